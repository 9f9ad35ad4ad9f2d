"""Rule tune: the TFT's settings with the smallest validation loss on the early folds; the later ones are not used."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial

from common.errors import UserError
from common.files import fingerprint, read_json, write_csv, write_text
from common.job import job, say
from forecasting.folds import FoldScheme
from forecasting.task import Task
from forecasting.tft import training, tuning
from forecasting.tft.training_set import TrainingSet, initial_network, read_training_set
from market.intervals import iso


def tune(
    output: str,
    table: str,
    features: list[str],
    candles: list[str],
    cutoff: str,
    seed: int,
    task: Task,
    scheme: FoldScheme,
    settings: dict[str, Any],
    space: dict[str, Any],
    trials: int,
    previous_trials: int,
    threads: int,
    code: Sequence[str] = (),
) -> None:
    """Write the best settings, as a config file (`output`), and all trials, a row each (`table`, CSV).

    features, candles: one file a symbol, and `cutoff`, of the training cutoff. settings: the config's section `tft`,
    without its seeds and threads; they are the first trial. space: tuning.space of the config. previous_trials: of
    earlier studies that led to `settings`. The study lies in a folder beside `output` that is named by a fingerprint of
    its inputs, the modules in `code` among them: a killed one is resumed, and more trials add to it. Raises UserError
    when no fold may be used.
    """
    torch.set_num_threads(threads)
    as_of = read_json(cutoff)["as_of"]
    folds = [scheme.fold(name, as_of, task.bar_ms) for name in early_folds(scheme.count)]
    searched = tuning.make_space(space, settings)
    _check(searched, settings["attention_heads"])
    sets = [read_training_set(features, candles, fold, scheme, task, settings, corrects=True) for fold in folds]
    params = (as_of, asdict(task), asdict(scheme), settings, space, seed)
    folder = Path(output).parent / f".tune-{fingerprint([*features, *candles, *code], *params)}"

    def objective(title: str, params: dict[str, Any], fold: int) -> tuple[float, float]:
        scratch = folder / f"training-{fingerprint([], params, fold)}"
        run = training.Run(seed, f"{title}, fold {folds[fold].name}", scratch)
        return relative_loss(sets[fold], settings | params, run)

    found = tuning.search(folder / "study.log", searched, settings, len(folds), trials, seed, objective)
    best = tuning.choose(found)
    write_csv(table, pd.DataFrame([_row(number, trial, trial is best) for number, trial in enumerate(found, 1)]))
    by = f"the validation loss in {len(folds)} of {scheme.count} folds, on bars before {iso(folds[-1].train_end)}"
    write_text(output, _config(best.params, previous_trials + len(found), by))
    default = " (the default: no other is better by more than a standard error)" if best is found[0] else ""
    gain = f"{100 * (1 - tuning.loss(best)):+.2f} % ± {100 * tuning.standard_error(best):.2f}"
    say(f"tune: the best of {len(found)} trials, by {by}: {tuning.in_words(best.params)}{default}")
    say(f"tune: its loss is {gain} better than without a correction; being selected, it is biased upwards")


def early_folds(count: int) -> list[str]:
    """Names of the folds whose training spans may be used: all but the last half of `count`, rounded up.

    Raises UserError when none is left.
    """
    if count < 2:
        raise UserError(f"folds.count: {count} leaves no fold for tuning that is not evaluated; it must be 2 or more")
    return [str(fold) for fold in range(count // 2)]


def relative_loss(data: TrainingSet, settings: dict[str, Any], run: training.Run) -> tuple[float, float]:
    """Best validation loss of a training, relative to that of no correction, and its standard error.

    Whether the correction would be kept does not matter: of two that would not, one is still better.
    """
    network, _ = initial_network(data, settings, run.seed)
    fitted = training.fit(network, data.panel, data.origins, settings, run)
    shutil.rmtree(run.folder)
    return 1 - fitted.gain, fitted.error


def _check(space: tuning.Space, heads: int) -> None:
    """Raise UserError when the space is empty, or holds a width that the attention heads do not divide."""
    if not space:
        raise UserError("tuning.space: is empty; give a setting to search, such as dropout: {low: 0, high: 0.4}")
    widths = space.get("hidden_size")
    if isinstance(widths, CategoricalDistribution):
        values: Sequence[Any] = widths.choices
    else:
        values = range(widths.low, widths.high + 1) if isinstance(widths, IntDistribution) else ()
    for width in values:
        if width % heads:
            raise UserError(
                f"tuning.space.hidden_size: {width} is not a multiple of tft.attention_heads, {heads}; "
                "give choices that are"
            )


def _row(number: int, trial: FrozenTrial, chosen: bool) -> dict[str, Any]:
    result = {
        "state": trial.state.name.lower(),
        "folds": len(trial.user_attrs.get(tuning.MEASURED, [])),
        "loss": tuning.loss(trial),
        "standard_error": tuning.standard_error(trial),
        "chosen": chosen,
    }
    return {"trial": number} | dict(sorted(trial.params.items())) | result


def _config(params: Mapping[str, Any], trials: int, by: str) -> str:
    """A config file of the settings and the number of trials that they were chosen among."""
    content = yaml.safe_dump({"tft": dict(params), "tuning": {"previous_trials": trials}}, sort_keys=True)
    return f"# The choice of `snakemake tune`, by {by}.\n{content}"


if __name__ == "__main__":
    with job() as snakemake:
        tune(
            output=snakemake.output.config,
            table=snakemake.output.table,
            features=list(snakemake.input.features),
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            seed=snakemake.params.seed,
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            settings=snakemake.params.tft,
            space=snakemake.params.space,
            trials=snakemake.params.trials,
            previous_trials=snakemake.params.previous_trials,
            threads=snakemake.threads,
            code=list(snakemake.input.code),
        )
