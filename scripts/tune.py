"""Rule tune: the TFT's settings with the smallest validation loss on the early folds; the later ones are never seen."""

import shutil
from collections.abc import Mapping, Sequence
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
from forecasting.folds import make_fold
from forecasting.members import TFT
from forecasting.tft import training
from forecasting.tft import tuning as search
from forecasting.tft.training_set import TrainingSet, build_network, training_set
from market.intervals import iso, step_ms


def tune(
    output: str,
    table: str,
    features: list[str],
    candles: list[str],
    cutoff: str,
    seed: int,
    interval: str,
    lookback: int,
    horizon: int,
    quantile_levels: list[float],
    folds: dict[str, int],
    model: dict[str, Any],
    validation_fraction: float,
    space: dict[str, Any],
    trials: int,
    before: int,
    threads: int,
    code: Sequence[str] = (),
) -> None:
    """Write the settings chosen, as a config file (`output`), and all that were tried, a row each (`table`, CSV).

    features, candles: one file a symbol. cutoff: the training cutoff. folds: count, test_bars, embargo. model: the
    config's section, without its seeds and threads; it is tried first. space: tuning.space of the config. before:
    trials of earlier studies that led to `model`. The study lies in a folder beside `output` that is named by what
    identifies it, the modules in `code` included: a killed one goes on, and more trials add to it. Raises UserError
    when there is no fold that may be looked at.
    """
    torch.set_num_threads(threads)
    step, as_of = step_ms(interval), read_json(cutoff)["as_of"]
    parts = [make_fold(name, as_of, step, **folds) for name in early(folds["count"])]
    tried = search.make_space(space, model)
    _check(tried, model["attention_heads"])
    sets = [
        training_set(
            part, features, candles, TFT, interval, lookback, horizon, quantile_levels, model, validation_fraction
        )
        for part in parts
    ]
    params = (as_of, interval, lookback, horizon, quantile_levels, folds, model, validation_fraction, space, seed)
    folder = Path(output).parent / f".tune-{fingerprint([*features, *candles, *code], *params)}"

    def measure(title: str, own: dict[str, Any], fold: int) -> tuple[float, float]:
        scratch = folder / f"training-{fingerprint([], own, fold)}"
        return relative_loss(sets[fold], model | own, seed, f"{title}, fold {parts[fold].name}", scratch)

    found = search.search(folder / "study.log", tried, model, len(parts), trials, seed, measure)
    chosen = search.choose(found)
    write_csv(table, pd.DataFrame([_row(number, trial, trial is chosen) for number, trial in enumerate(found, 1)]))
    seen = f"the validation loss in {len(parts)} of {folds['count']} folds, on bars before {iso(parts[-1].train_end)}"
    write_text(output, _config(chosen.params, len(found), before, seen))
    stays = " (the default: no other is better by more than a standard error)" if chosen is found[0] else ""
    gain = f"{100 * (1 - search.loss(chosen)):+.2f} % ± {100 * search.standard_error(chosen):.2f}"
    say(f"tune: the choice among {len(found)}, by {seen}: {search.listed(chosen.params)}{stays}")
    say(f"tune: its loss is {gain} better than without a correction, a figure that the choice flatters")


def early(count: int) -> list[str]:
    """Names of the folds whose training spans may be looked at: all but the last half of `count`, rounded up.

    Raises UserError when that leaves none.
    """
    if count < 2:
        raise UserError(f"folds.count: {count} leaves no fold to tune on that is not evaluated; give 2 or more")
    return [str(fold) for fold in range(count // 2)]


def relative_loss(
    data: TrainingSet, model: dict[str, Any], seed: int, title: str, scratch: Path
) -> tuple[float, float]:
    """Best validation loss of a training, in units of that of no correction, and its standard error.

    Whether the correction would be kept is not asked: of two that would not, one is still better.
    """
    network, _ = build_network(data, model, seed)
    fitted = training.fit(network, data.panel, data.windows, model, seed, title, scratch)
    shutil.rmtree(scratch)
    return 1 - fitted.gain, fitted.error


def _check(space: search.Space, heads: int) -> None:
    """Raise UserError when there is nothing to try, or a width that the attention heads do not divide."""
    if not space:
        raise UserError("tuning.space: has no setting to try; give one, such as dropout: {low: 0, high: 0.4}")
    widths = space.get("hidden_size")
    if isinstance(widths, CategoricalDistribution):
        tried: Sequence[Any] = widths.choices
    else:
        tried = range(widths.low, widths.high + 1) if isinstance(widths, IntDistribution) else ()
    for width in tried:
        if width % heads:
            raise UserError(
                f"tuning.space.hidden_size: {width} is no multiple of tft.attention_heads, {heads}; "
                "give choices that are"
            )


def _row(number: int, trial: FrozenTrial, chosen: bool) -> dict[str, Any]:
    result = {
        "state": trial.state.name.lower(),
        "folds": len(trial.user_attrs.get(search.MEASURED, [])),
        "loss": search.loss(trial),
        "standard_error": search.standard_error(trial),
        "chosen": chosen,
    }
    return {"trial": number} | dict(sorted(trial.params.items())) | result


def _config(params: Mapping[str, Any], tried: int, before: int, seen: str) -> str:
    """A config file of the settings and how many were tried."""
    content = yaml.safe_dump({"tft": dict(params), "tuning": {"previous_trials": before + tried}}, sort_keys=True)
    return f"# The choice of `snakemake tune`, by {seen}.\n{content}"


if __name__ == "__main__":
    with job() as snakemake:
        tune(
            output=snakemake.output.config,
            table=snakemake.output.table,
            features=list(snakemake.input.features),
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            seed=snakemake.params.seed,
            interval=snakemake.params.interval,
            lookback=snakemake.params.lookback,
            horizon=snakemake.params.horizon,
            quantile_levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
            model=snakemake.params.tft,
            validation_fraction=snakemake.params.validation_fraction,
            space=snakemake.params.space,
            trials=snakemake.params.trials,
            before=snakemake.params.before,
            threads=snakemake.threads,
            code=list(snakemake.input.code),
        )
