"""Rule predict_baselines: what the naive members forecast at a fold's test origins, or at the live origin."""

from collections.abc import Mapping

import numpy as np

from common.errors import UserError
from common.files import read_json, read_parquet, write_parquet
from common.job import job, say
from forecasting.baselines import BASELINES, MEMBERS, Bars, Settings, season_bars
from forecasting.folds import LIVE, live_origin, make_fold, test_origins, unbroken
from forecasting.quantiles import forecast_table
from market.intervals import iso, step_ms

COLUMNS = ["timestamp", "segment", "close"]


def predict_baselines(
    output: Mapping[str, str],
    features: list[str],
    live: list[str],
    pin: str,
    fold: str,
    symbols: list[str],
    interval: str,
    lookback: int,
    horizon: int,
    levels: list[float],
    folds: dict[str, int],
    stride: int,
    halflives: Mapping[str, float],
) -> None:
    """Write the forecasts of every baseline for one fold, to `output[member]`.

    features: one file a symbol, in the order of `symbols`, of the training pin: what is fitted on. live: the same of
    the live pin, for fold "live" alone. pin: the pin that the fold belongs to. folds: count, test_bars, embargo.
    halflives: ewma_halflife, drift_halflife, in bars.

    Raises UserError when the fold has no origin, or a symbol has nothing to fit on.
    """
    step, as_of = step_ms(interval), read_json(pin)["as_of"]
    part = make_fold(fold, as_of, step, **folds)
    settings = Settings(horizon, tuple(levels), season_bars(step), **halflives)
    times: list[np.ndarray] = []
    tracks: list[tuple[Bars, Bars, np.ndarray]] = []
    for symbol, fitted, current in zip(symbols, features, live if fold == LIVE else features, strict=True):
        past, frame = read_parquet(fitted, COLUMNS), read_parquet(current, COLUMNS)
        if fold == LIVE:
            origins = live_origin(frame, as_of, step, lookback, symbol)
        else:
            origins = test_origins(frame, part, step, lookback, horizon, stride)
        history = Bars.of(past[past["timestamp"] < part.train_end])
        if not unbroken(history.segment, 0, horizon).any():
            raise UserError(
                f"fold {fold}: {symbol} has no {horizon + 1} bars without a gap before {iso(part.train_end)}; "
                "give more days, or fewer or shorter folds"
            )
        times.append(frame["timestamp"].to_numpy()[origins])
        tracks.append((history, Bars.of(frame), origins))
    count = sum(map(len, times))
    if not count:
        raise UserError(
            f"fold {fold}: no symbol has {lookback} + {horizon} bars without a gap for an origin between "
            f"{iso(part.test_start)} and {iso(part.test_end)}; lengthen folds.test_bars, or move as_of"
        )
    for name, member in MEMBERS.items():
        paths = [member(history, bars, origins, settings) for history, bars, origins in tracks]
        write_parquet(output[name], forecast_table(symbols, times, paths, levels))
    say(f"baselines fold {fold}: {count} origins of {len(symbols)} symbols, {len(BASELINES)} members")


if __name__ == "__main__":
    with job() as snakemake:
        predict_baselines(
            output={member: snakemake.output[member] for member in BASELINES},
            features=list(snakemake.input.features),
            live=list(snakemake.input.live),
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
