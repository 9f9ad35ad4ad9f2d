"""Rule trial_ensemble: the leak trial of the ensemble, with the members' forecasts of a finished run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from common.files import read_json, read_parquet, write_json, write_parquet
from common.job import job, quiet, say
from ensemble import ensemble
from forecasting.folds import FoldScheme
from forecasting.leaks import Leak, after_cut, describe, find_leak, spread_cuts, tried, write_changed
from forecasting.members import ENSEMBLE
from forecasting.quantiles import quantile_columns
from forecasting.task import Task


def trial_ensemble(
    output: str,
    forecasts: Mapping[str, Sequence[str]],
    validation: Mapping[str, Sequence[str]],
    candles: Sequence[str],
    cutoff: str,
    task: Task,
    scheme: FoldScheme,
    stride: int,
    settings: Mapping[str, Any],
    calibration: Mapping[str, Any],
    cuts: int,
) -> None:
    """Write the result for the ensemble (JSON: forecasting.leaks.Trials): it is made of the members' forecasts, of
    which those after the cut are changed, and of the changed candles.

    forecasts, validation: a file a member, by fold: at the test origins and at the validation origins before them.
    candles: a file a symbol, and `cutoff`, of the training cutoff. stride: bars between origins. settings, calibration:
    the config's sections `ensemble`, `calibration`.
    """

    def table(fold: str, members: Sequence[str], bars: Sequence[str]) -> pd.DataFrame:
        with TemporaryDirectory() as folder, quiet():
            made, weights, shares = (str(Path(folder, f"{name}.parquet")) for name in ("ensemble", "weights", "shares"))
            ensemble(made, weights, shares, members, validation[fold], bars, [], task, settings, calibration)
            return read_parquet(made)

    def table_of_changed(fold: str, cut: int) -> pd.DataFrame:
        with TemporaryDirectory() as folder:
            members = [str(Path(folder, "members", Path(path).name)) for path in forecasts[fold]]
            for path, other in zip(forecasts[fold], members, strict=True):
                write_parquet(other, with_wider(read_parquet(path), cut, task))
            return table(fold, members, write_changed(Path(folder, "candles"), candles, task.interval, cut))

    def leaks(fold: str, times: Sequence[int]) -> Iterator[Leak | None]:
        clean = table(fold, forecasts[fold], candles)
        for cut in times:
            yield find_leak(clean, table_of_changed(fold, cut), cut, after_cut(cut))

    trial = tried(ENSEMBLE, spread_cuts(scheme, read_json(cutoff)["as_of"], task, stride, cuts), leaks)
    write_json(output, {"trials": [trial]})
    say(describe(trial))


def with_wider(forecasts: pd.DataFrame, cut: int, task: Task) -> pd.DataFrame:
    """The forecasts with quantiles twice as far from zero at origins after the cut (ms)."""
    columns = quantile_columns(task.quantile_levels)
    wider = forecasts.copy()
    wider.loc[forecasts["origin"] > cut, columns] *= 2
    return wider


if __name__ == "__main__":
    with job() as snakemake:
        names = [str(number) for number in range(snakemake.params.folds["count"])]
        count = len(snakemake.input.forecasts) // len(names)
        parts = {fold: slice(place * count, (place + 1) * count) for place, fold in enumerate(names)}
        trial_ensemble(
            output=snakemake.output.trials,
            forecasts={fold: list(snakemake.input.forecasts)[part] for fold, part in parts.items()},
            validation={fold: list(snakemake.input.validation)[part] for fold, part in parts.items()},
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            settings=snakemake.params.ensemble,
            calibration=snakemake.params.calibration,
            cuts=snakemake.params.cuts,
        )
