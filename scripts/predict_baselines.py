"""Rule predict_baselines: what the naive members forecast at a fold's test origins, or at the live origin."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_json, read_parquet, write_parquet
from common.job import job, say
from forecasting.baselines import MEMBERS, Bars, Settings
from forecasting.folds import fold_origins, make_fold, unbroken
from forecasting.members import COMPUTED
from forecasting.quantiles import forecast_table
from market.intervals import iso, season_bars, step_ms


def predict_baselines(
    output: Mapping[str, str],
    features: Sequence[str],
    candles: Sequence[str],
    live_candles: Sequence[str],
    pin: str,
    fold: str,
    symbols: Sequence[str],
    interval: str,
    lookback: int,
    horizon: int,
    levels: Sequence[float],
    folds: Mapping[str, int],
    stride: int,
    halflives: Mapping[str, float],
) -> None:
    """Write the forecasts of every baseline for one fold, to `output[member]`.

    One file a symbol, in the order of `symbols`. features: of the fold's pin, for the origins alone, which all members
    share; they lack the bars that warm them up, which a baseline can use. candles: of the training pin, what is fitted
    on. live_candles: of the live pin, what fold "live" forecasts from; empty for a test fold, which forecasts from
    `candles`. pin: the pin that the fold belongs to. folds: count, test_bars, embargo. halflives: ewma_halflife,
    drift_halflife, in bars.

    Raises UserError when the fold has no origin, a symbol has nothing to fit on, or its candles lack an origin's bar.
    """
    step = step_ms(interval)
    part = make_fold(fold, read_json(pin)["as_of"], step, **folds)
    settings = Settings(horizon, tuple(levels), season_bars(step), **halflives)
    frames = [read_parquet(path, ["timestamp", "segment"]) for path in features]
    rows = fold_origins(frames, symbols, part, step, lookback, horizon, stride)
    times = [frame["timestamp"].to_numpy()[own] for frame, own in zip(frames, rows, strict=True)]
    tracks: list[tuple[Bars, Bars, np.ndarray]] = []
    for symbol, fitted, current, own in zip(symbols, candles, live_candles or candles, times, strict=True):
        past, present = (read_parquet(path, ["timestamp", "close"]) for path in (fitted, current))
        history = Bars.of(past[past["timestamp"] < part.train_end], step)
        if not unbroken(history.segment, 0, horizon).any():
            raise UserError(
                f"fold {fold}: {symbol} has no {horizon + 1} bars without a gap before {iso(part.train_end)}; "
                "give more days, or fewer or shorter folds"
            )
        origins = pd.Index(present["timestamp"]).get_indexer(own)
        if (origins < 0).any():
            raise UserError(f"{current}: lacks bars that the features have; delete the features and run again")
        tracks.append((history, Bars.of(present, step), origins))
    for name, member in MEMBERS.items():
        paths = [member(history, bars, origins, settings) for history, bars, origins in tracks]
        write_parquet(output[name], forecast_table(symbols, times, paths, levels))
    count = sum(map(len, times))
    say(f"predict_baselines: fold {fold}: {count} origins of {len(symbols)} symbols, {len(MEMBERS)} members")


if __name__ == "__main__":
    with job() as snakemake:
        predict_baselines(
            output={member: snakemake.output[member] for member in COMPUTED},
            features=list(snakemake.input.features),
            candles=list(snakemake.input.candles),
            live_candles=list(snakemake.input.live_candles),
            pin=snakemake.input.pin,
            fold=snakemake.wildcards.fold,
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
            lookback=snakemake.params.lookback,
            horizon=snakemake.params.horizon,
            levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
            stride=snakemake.params.stride,
            halflives=snakemake.params.baselines,
        )
