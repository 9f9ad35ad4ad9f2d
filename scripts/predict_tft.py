"""Rule predict_tft: the TFT's quantile paths at a fold's test or live origins, and at those before them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from common.errors import UserError
from common.files import read_json, read_parquet, write_parquet
from common.job import job, say
from forecasting.bars import TooShortError, first_bar, read_bars
from forecasting.folds import fold_origins, make_fold, validation_fold
from forecasting.quantiles import average, forecast_table, no_forecasts, read_forecasts
from forecasting.tft import checkpoint, correction
from forecasting.tft import network as tft
from forecasting.tft.checkpoint import Trained
from forecasting.tft.panel import Panel, feature_columns
from market.intervals import step_ms


def predict_tft(
    output: str,
    validation: str,
    models: list[str],
    features: list[str],
    train_features: list[str],
    candles: list[str],
    live_candles: list[str],
    base: list[str],
    cutoff: str,
    train_cutoff: str,
    fold: str,
    symbols: list[str],
    interval: str,
    lookback: int,
    horizon: int,
    quantile_levels: list[float],
    folds: dict[str, int],
    stride: int,
    share: float,
    threads: int,
) -> None:
    """Write the forecasts of one fold, and those at its validation origins: the mean over seeds of each quantile, then
    sorted; crossings are counted.

    models: one checkpoint a seed. features: one file a symbol, in the order of `symbols`, of the training cutoff for a
    test fold and of the live cutoff for fold "live". cutoff: that cutoff. train_features, candles: of the training
    cutoff. live_candles: of the live cutoff, with which `candles` go on for fold "live"; empty for a test fold. base:
    what the TFT corrects, in test and in validation; empty where it speaks for itself. share: of the training span that
    validates. Where a symbol is too young for what is corrected the TFT sits out: files without rows.
    """
    torch.set_num_threads(threads)
    step = step_ms(interval)
    test = make_fold(fold, read_json(cutoff)["as_of"], step, **folds)
    trained = make_fold(fold, read_json(train_cutoff)["as_of"], step, **folds)
    history, bars = read_bars(candles, live_candles, interval)
    inner = validation_fold(trained, first_bar(history), share, step)
    try:
        hars = correction.fit_hars(symbols, history, inner.train_end, horizon) if base else []
    except TooShortError as short:
        for target in (output, validation):
            write_parquet(target, no_forecasts(symbols, horizon, quantile_levels))
        say(f"predict_tft: fold {fold} sits out: {short}")
        return
    for span, target, source, known, corrected in zip(
        (test, inner),
        (output, validation),
        (features, train_features),
        (bars, history),
        base or (None, None),
        strict=True,
    ):
        frames = [read_parquet(own) for own in source]
        rows = fold_origins(frames, symbols, span, step, lookback, horizon, stride)
        if corrected:
            frames = correction.with_inputs(frames, known, hars)
        loaded = [checkpoint.load_for(path, feature_columns(frames[0])) for path in models]
        table = _forecasts(loaded, frames, symbols, rows, step, lookback, horizon, quantile_levels, corrected)
        write_parquet(target, table)
        say(
            f"predict_tft: fold {span.name}: {sum(map(len, rows))} origins, {table.attrs['crossings']} crossings sorted"
        )


def _forecasts(
    models: Sequence[Trained],
    frames: Sequence[pd.DataFrame],
    symbols: Sequence[str],
    rows: Sequence[np.ndarray],
    step: int,
    lookback: int,
    horizon: int,
    quantile_levels: Sequence[float],
    base: str | None,
) -> pd.DataFrame:
    """The table of forecasts at each symbol's rows; `base` is the file of those that are corrected."""
    # each model has scalers of its own, so a panel of its own
    panels = [Panel(list(frames), model.scaler, step, lookback, horizon) for model in models]
    starts = panels[0].starts[:-1]
    origins = np.concatenate([start + own for start, own in zip(starts, rows, strict=True)])
    said = [tft.predict(model.network, panel, origins) for model, panel in zip(models, panels, strict=True)]
    counts = np.cumsum([len(own) for own in rows])[:-1]
    times = np.split(panels[0].timestamp[origins], counts)
    if base is None:
        quantiles = average([panels[0].returns(origins, units.numpy().astype(np.float64)) for units in said])
    else:
        quantiles = _corrected(
            base, symbols, times, average([correction.factor(part).numpy() for part in said]), quantile_levels
        )
    return forecast_table(symbols, times, np.split(quantiles, counts), quantile_levels)


def _corrected(
    base: str, symbols: Sequence[str], times: Sequence[np.ndarray], factor: np.ndarray, quantile_levels: Sequence[float]
) -> np.ndarray:
    """The base's quantiles times the factor [origins, horizon, levels] on them, in the order of `symbols`.

    Raises UserError when the base has no forecast of an origin.
    """
    told = read_forecasts(base, factor.shape[1], quantile_levels)
    place = pd.MultiIndex.from_arrays([told.symbol, told.origin])
    wanted = [(symbol, time) for symbol, own in zip(symbols, times, strict=True) for time in own]
    found = place.get_indexer(pd.MultiIndex.from_tuples(wanted))
    if (found < 0).any():
        raise UserError(f"{base}: lacks forecasts that the TFT is to correct; delete it and run again")
    return told.quantiles[found] * factor


if __name__ == "__main__":
    with job() as snakemake:
        predict_tft(
            output=snakemake.output.forecasts,
            validation=snakemake.output.validation,
            models=list(snakemake.input.models),
            features=list(snakemake.input.features),
            train_features=list(snakemake.input.train_features),
            candles=list(snakemake.input.candles),
            live_candles=list(snakemake.input.live_candles),
            base=list(snakemake.input.base),
            cutoff=snakemake.input.cutoff,
            train_cutoff=snakemake.input.train_cutoff,
            fold=snakemake.wildcards.fold,
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
            lookback=snakemake.params.lookback,
            horizon=snakemake.params.horizon,
            quantile_levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
            stride=snakemake.params.stride,
            share=snakemake.params.validation_fraction,
            threads=snakemake.threads,
        )
