"""Rule predict_baselines: what the baselines forecast at a fold's test or live origins, and at those before them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_json, read_parquet, write_parquet
from common.job import job, say
from forecasting.bars import Bars, TooShortError, first_bar, read_bars
from forecasting.baselines import simple as baselines
from forecasting.baselines.interface import Member, Settings, Track
from forecasting.folds import fold_origins, make_fold, validation_fold
from forecasting.members import RANDOM_WALK
from forecasting.quantiles import forecast_table, no_forecasts
from market.intervals import iso, season_bars, step_ms

# forecasts [origins, horizon, levels] of each symbol
Panel = Callable[[Sequence[Track], Settings], list[np.ndarray]]


def predict_baselines(
    output: Mapping[str, str],
    validation: Mapping[str, str],
    features: Sequence[str],
    train_features: Sequence[str],
    candles: Sequence[str],
    live_candles: Sequence[str],
    cutoff: str,
    train_cutoff: str,
    fold: str,
    symbols: Sequence[str],
    interval: str,
    lookback: int,
    horizon: int,
    quantile_levels: Sequence[float],
    folds: Mapping[str, int],
    stride: int,
    share: float,
    settings: Mapping[str, Any],
) -> None:
    """Write the forecasts of every baseline for one fold, to `output[member]`; and to `validation[member]` those at its
    validation origins, fitted on what lies before them. A member that sits out writes files without rows.

    One file a symbol, in the order of `symbols`. features: of the fold's cutoff, for the origins alone, which all
    members share; they lack the bars that warm them up, which a baseline can use. train_features, candles: of the
    training cutoff; candles are what is fitted on. live_candles: of the live cutoff, with which `candles` go on for
    fold "live"; empty for a test fold. cutoff: that of the fold. share: of the training span that validates. settings:
    the config's `baselines`.

    Raises UserError when the fold has no origin, a symbol has nothing to fit on, or its candles lack an origin's bar.
    """
    step = step_ms(interval)
    test = make_fold(fold, read_json(cutoff)["as_of"], step, **folds)
    trained = make_fold(fold, read_json(train_cutoff)["as_of"], step, **folds)
    history, bars = read_bars(candles, live_candles, interval)
    inner = validation_fold(trained, first_bar(history), share, step)
    half_lives = {name: settings[name] for name in ("ewma_halflife", "drift_halflife")}
    shared = Settings(horizon, tuple(quantile_levels), season_bars(step), **half_lives)
    for span, files, source, known, end, refit in (
        (inner, validation, train_features, history, inner.train_end, None),
        (test, output, features, bars, trained.train_end, settings["refit_bars"]),
    ):
        frames = [read_parquet(path, ["timestamp", "segment"]) for path in source]
        rows = fold_origins(frames, symbols, span, step, lookback, horizon, stride)
        times = [frame["timestamp"].to_numpy()[own] for frame, own in zip(frames, rows, strict=True)]
        tracks = [
            Track(past, present, _rows(present, own, symbol))
            for past, present, own, symbol in zip(history, known, times, symbols, strict=True)
        ]
        away = _write(files, symbols, tracks, times, end, refit, shared)
        said = "".join(f"; {name} sits out: {why}" for name, why in away.items())
        say(f"predict_baselines: fold {span.name}: {sum(map(len, times))} origins, {len(files)} members{said}")


def _write(
    files: Mapping[str, str],
    symbols: Sequence[str],
    tracks: Sequence[Track],
    times: Sequence[np.ndarray],
    end: int,
    refit: int | None,
    settings: Settings,
) -> dict[str, str]:
    """Write every member's file; who sits out, and why."""
    away, known = {}, members()
    for name, path in files.items():
        try:
            quantiles = forecast(known[name], tracks, end, refit, settings)
            write_parquet(path, forecast_table(symbols, times, quantiles, settings.quantile_levels))
        except TooShortError as short:
            if name == RANDOM_WALK:
                raise UserError(
                    f"predict_baselines: before {iso(end)} {short}; give more days, or fewer or shorter folds"
                ) from short
            away[name] = str(short)
            write_parquet(path, no_forecasts(symbols, settings.horizon, settings.quantile_levels))
    return away


def forecast(
    member: Panel, tracks: Sequence[Track], end: int, refit: int | None, settings: Settings
) -> list[np.ndarray]:
    """A member's quantiles [origins, horizon, levels] of each track, fitted on its history before `end` (ms).

    refit: bars after which the member is fitted anew, on all that had come by then; None: never. Raises TooShortError.
    """
    told = [np.empty((len(track.origins), settings.horizon, len(settings.quantile_levels))) for track in tracks]
    opened = [track.bars.timestamp[track.origins] for track in tracks]
    first = min(int(own[0]) for own in opened if len(own))
    length = refit * tracks[0].bars.step if refit else 1 << 62
    for block in np.unique(np.concatenate([(own - first) // length for own in opened])):
        # what was known as the block's first origin closed
        known = end if block == 0 else first + int(block) * length
        mine = [(own - first) // length == block for own in opened]
        parts = [
            Track(track.history.before(known), track.bars, track.origins[chosen])
            for track, chosen in zip(tracks, mine, strict=True)
        ]
        # a symbol without an origin may have no history either
        here = [place for place, part in enumerate(parts) if len(part.origins)]
        for place, quantiles in zip(here, member([parts[k] for k in here], settings), strict=True):
            told[place][mine[place]] = quantiles
    return told


def members() -> dict[str, Panel]:
    """Every baseline by name."""
    # their libraries take a second each to import
    from forecasting.baselines.boosting import lightgbm_quantiles
    from forecasting.baselines.garch import garch_fhs

    alone: list[Member] = [
        baselines.random_walk,
        baselines.ewma,
        baselines.ewma_fhs,
        baselines.seasonal_ewma_fhs,
        garch_fhs,
        baselines.har_fhs,
        baselines.lhar_fhs,
        baselines.ewma_drift,
        baselines.seasonal_naive,
    ]
    return {member.__name__: _each(member) for member in alone} | {"lightgbm": lightgbm_quantiles}


def _each(member: Member) -> Panel:
    return lambda tracks, settings: [member(*track, settings) for track in tracks]


def _rows(bars: Bars, times: np.ndarray, symbol: str) -> np.ndarray:
    """Rows of the bars that open at `times`. Raises UserError when one is missing."""
    rows = pd.Index(bars.timestamp).get_indexer(pd.Index(times))
    if (rows < 0).any():
        raise UserError(f"the candles of {symbol} lack bars that its features have; delete the features and run again")
    return rows


if __name__ == "__main__":
    with job() as snakemake:
        names = snakemake.params.members
        predict_baselines(
            output={name: snakemake.output[name] for name in names},
            validation={name: snakemake.output[f"{name}_validation"] for name in names},
            features=list(snakemake.input.features),
            train_features=list(snakemake.input.train_features),
            candles=list(snakemake.input.candles),
            live_candles=list(snakemake.input.live_candles),
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
            settings=snakemake.params.baselines,
        )
