"""Rule trial_tft: the leak trial of a TFT, with the models of a finished run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch

from common.files import read_json, write_json, write_parquet
from common.job import job, say
from common.plug_ins import PlugIn
from forecasting.bars import InsufficientHistoryError
from forecasting.folds import FoldScheme
from forecasting.leaks import Leak, after_cut, describe, find_leak, spread_cuts, tried, write_changed
from forecasting.split import FoldFiles, read_splits
from forecasting.task import Task
from forecasting.tft.correction import fit_hars, with_har_inputs
from make_features import features_of_all
from market.plug_in_features import load_features
from predict_tft import forecast


def trial_tft(
    output: str,
    member: str,
    models: Mapping[str, Sequence[str]],
    base: Mapping[str, str],
    features: Sequence[str],
    candles: Sequence[str],
    cutoff: str,
    spans: Sequence[int],
    extra: Sequence[PlugIn],
    task: Task,
    scheme: FoldScheme,
    stride: int,
    cuts: int,
    threads: int,
) -> None:
    """Write the result for the TFT (JSON: forecasting.leaks.Trials): its features are made of the changed candles, and
    its networks read these.

    models: a checkpoint a seed, by fold. base: the forecasts that it corrects, by fold; empty where it forecasts
    directly. features, candles: a file a symbol, and `cutoff`, of the training cutoff. stride: bars between origins.
    """
    torch.set_num_threads(threads)
    own = load_features(extra)

    def table(fold: str, features: Sequence[str], candles: Sequence[str]) -> pd.DataFrame:
        files = FoldFiles(fold, features, features, candles, [], cutoff, cutoff)
        validation, split = read_splits(files, task, scheme, stride)
        if fold in base:
            hars = fit_hars(split.symbols, split.history, validation.fit_end, task.horizon)
            split = replace(split, features=with_har_inputs(split.features, split.bars, hars))
        return forecast(models[fold], split, task, base.get(fold))

    def table_of_changed(fold: str, cut: int) -> pd.DataFrame:
        with TemporaryDirectory() as folder:
            paths = write_changed(Path(folder, "candles"), candles, task.interval, cut)
            made = [str(Path(folder, "features", Path(path).name)) for path in paths]
            for path, frame in zip(made, features_of_all(paths, spans, task.interval, own), strict=True):
                write_parquet(path, frame)
            return table(fold, made, paths)

    def leaks(fold: str, times: Sequence[int]) -> Iterator[Leak | None]:
        try:
            clean = table(fold, features, candles)
        except InsufficientHistoryError as short:
            say(f"trial_tft: fold {fold} skipped (insufficient history: {short})")
            return
        for cut in times:
            yield find_leak(clean, table_of_changed(fold, cut), cut, after_cut(cut))

    trial = tried(member, spread_cuts(scheme, read_json(cutoff)["as_of"], task, stride, cuts), leaks)
    write_json(output, {"trials": [trial]})
    say(describe(trial))


if __name__ == "__main__":
    with job() as snakemake:
        names = [str(number) for number in range(snakemake.params.folds["count"])]
        seeds = len(snakemake.input.models) // len(names)
        trial_tft(
            output=snakemake.output.trials,
            member=snakemake.wildcards.tft,
            models={
                fold: list(snakemake.input.models)[place * seeds : (place + 1) * seeds]
                for place, fold in enumerate(names)
            },
            base=dict(zip(names, snakemake.input.base, strict=False)),
            features=list(snakemake.input.features),
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            spans=snakemake.params.spans,
            extra=[PlugIn(*one) for one in snakemake.params.extra],
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            cuts=snakemake.params.cuts,
            threads=snakemake.threads,
        )
