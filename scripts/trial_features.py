"""Rule trial_features: the leak trial of the features, the registry's and those of the user's own."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from common.files import read_json, write_json
from common.job import job, say
from common.plug_ins import PlugIn
from forecasting.folds import FoldScheme
from forecasting.leaks import Trial, after_cut, describe, find_leak, spread_cuts, write_changed
from forecasting.task import Task
from make_features import features_of_all
from market.features import KEYS, Feature
from market.plug_in_features import load_features


def trial_features(
    output: str,
    candles: Sequence[str],
    cutoff: str,
    spans: Sequence[int],
    extra: Sequence[PlugIn],
    task: Task,
    scheme: FoldScheme,
    stride: int,
    cuts: int,
) -> None:
    """Write the result for each column of the features (JSON: forecasting.leaks.Trials).

    candles: a file a symbol, and `cutoff`, of the training cutoff. stride: bars between origins. cuts: after how many
    times of the test spans candles are changed. Raises UserError when a function of the user's fails.
    """
    features = load_features(extra)
    before = tables(candles, spans, features, task)
    names = before.columns.drop([*KEYS, "symbol"])
    trials: dict[str, Trial] = {name: {"kind": "feature", "name": name, "cuts": 0, "leak": None} for name in names}
    times = spread_cuts(scheme, read_json(cutoff)["as_of"], task, stride, cuts)
    for cut in (cut for fold in times.values() for cut in fold):
        with TemporaryDirectory() as folder:
            after = tables(write_changed(Path(folder), candles, task.interval, cut), spans, features, task)
        for name, trial in trials.items():
            if trial["leak"] is None:
                trial["cuts"] += 1
                trial["leak"] = find_leak(column(before, name), column(after, name), cut, after_cut(cut))
    write_json(output, {"trials": list(trials.values())})
    for trial in trials.values():
        if trial["leak"]:
            say(describe(trial))


def tables(candles: Sequence[str], spans: Sequence[int], extra: Sequence[Feature], task: Task) -> pd.DataFrame:
    """The features of all symbols, one below the other, with their `symbol`."""
    frames = features_of_all(candles, spans, task.interval, extra)
    parts = [frame.assign(symbol=Path(path).stem) for path, frame in zip(candles, frames, strict=True)]
    return pd.concat(parts, ignore_index=True)


def column(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """One feature, as the leak trial compares it."""
    return table[["symbol", "timestamp", name]].rename(columns={"timestamp": "origin"})


if __name__ == "__main__":
    with job() as snakemake:
        trial_features(
            output=snakemake.output.trials,
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            spans=snakemake.params.spans,
            extra=[PlugIn(*one) for one in snakemake.params.extra],
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            cuts=snakemake.params.cuts,
        )
