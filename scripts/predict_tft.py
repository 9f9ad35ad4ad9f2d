"""Rule predict_tft: a TFT's quantile paths at a fold's validation origins, and at its test or live origins."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from common.errors import UserError
from common.files import write_parquet
from common.job import job, say
from forecasting.bars import InsufficientHistoryError
from forecasting.folds import FoldScheme
from forecasting.quantiles import forecast_table, no_forecasts, read_forecasts, single_precision
from forecasting.split import FoldFiles, Split, read_splits
from forecasting.task import Task
from forecasting.tft import checkpoint
from forecasting.tft.correction import correction_factor, fit_hars, with_har_inputs
from forecasting.tft.network import predict
from forecasting.tft.panel import Panel, feature_columns


def predict_tft(
    output: str,
    validation: str,
    models: list[str],
    base: list[str],
    files: FoldFiles,
    task: Task,
    scheme: FoldScheme,
    stride: int,
    threads: int,
) -> None:
    """Write the forecasts of one fold, and those at its validation origins: the mean over seeds, sorted.

    models: one checkpoint a seed. base: the forecasts that the TFT corrects, in validation and in test; empty where it
    forecasts directly. stride: bars between origins. Where a symbol has too few bars for the HAR of the correction, the
    TFT is skipped: files without rows.
    """
    torch.set_num_threads(threads)
    splits = read_splits(files, task, scheme, stride)
    symbols, history, fit_end = splits.validation.symbols, splits.validation.history, splits.validation.fit_end
    try:
        hars = fit_hars(symbols, history, fit_end, task.horizon) if base else []
    except InsufficientHistoryError as short:
        for path in (output, validation):
            write_parquet(path, no_forecasts(symbols, task.horizon, task.quantile_levels))
        say(f"predict_tft: fold {files.fold} skipped (insufficient history: {short})")
        return
    for split, path, corrected in zip(splits, (validation, output), base or (None, None), strict=True):
        split = trimmed(split, task.lookback)
        if corrected:
            split = replace(split, features=with_har_inputs(split.features, split.bars, hars))
        table = forecast(models, split, task, corrected)
        write_parquet(path, single_precision(table) if path == validation else table)
        count, crossings = sum(map(len, split.rows)), table.attrs["crossings"]
        say(f"predict_tft: fold {split.name}: {count} origins, {crossings} crossings sorted")


def forecast(models: Sequence[str], split: Split, task: Task, base: str | None) -> pd.DataFrame:
    """The table of forecasts of a split, by the models of these checkpoints; `base`: the forecasts that they correct.

    The split's features hold the HAR's inputs where there is a base. Raises UserError when a model was trained on other
    features, or the base lacks an origin.
    """
    trained = [checkpoint.load_for(path, feature_columns(split.features[0])) for path in models]
    # models differ in their scalers, so each has a panel
    panels = [Panel(split.features, model.scaler, task) for model in trained]
    rows = np.concatenate([start + at for start, at in zip(panels[0].starts[:-1], split.rows, strict=True)])
    outputs = [predict(model.network, panel, rows) for model, panel in zip(trained, panels, strict=True)]
    if base is None:
        quantiles = np.mean([panels[0].returns(rows, part.numpy().astype(np.float64)) for part in outputs], axis=0)
    else:
        factor = np.mean([correction_factor(part).numpy() for part in outputs], axis=0)
        quantiles = _base_quantiles(base, split, task) * factor
    parts = np.split(quantiles, np.cumsum([len(at) for at in split.rows])[:-1])
    return forecast_table(split.symbols, split.origins, split.closes, parts, task.quantile_levels)


def trimmed(split: Split, lookback: int) -> Split:
    """The split with those rows of its features alone that are within `lookback` bars of an origin, or between."""
    bounds = [(max(0, rows[0] + 1 - lookback), rows[-1] + 1) if len(rows) else (0, 0) for rows in split.rows]
    features = [frame.iloc[slice(*bound)] for frame, bound in zip(split.features, bounds, strict=True)]
    rows = [rows - first for rows, (first, _) in zip(split.rows, bounds, strict=True)]
    return replace(split, features=features, rows=rows)


def _base_quantiles(base: str, split: Split, task: Task) -> np.ndarray:
    """The base's quantiles [origins, horizon, levels] at the split's origins, in their order.

    Raises UserError when the base lacks an origin.
    """
    forecasts = read_forecasts(base, task.horizon, task.quantile_levels)
    index = pd.MultiIndex.from_arrays([forecasts.symbol, forecasts.origin])
    keys = [(symbol, time) for symbol, times in zip(split.symbols, split.origins, strict=True) for time in times]
    found = index.get_indexer(pd.MultiIndex.from_tuples(keys))
    if (found < 0).any():
        raise UserError(f"{base}: lacks origins of the forecasts that correct it; delete it and run again")
    return forecasts.quantiles[found]


if __name__ == "__main__":
    with job() as snakemake:
        predict_tft(
            output=snakemake.output.forecasts,
            validation=snakemake.output.validation,
            models=list(snakemake.input.models),
            base=list(snakemake.input.base),
            files=FoldFiles.of_job(snakemake.wildcards.fold, snakemake.input),
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            threads=snakemake.threads,
        )
