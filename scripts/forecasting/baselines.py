"""Naive forecasts that a model must beat, each a few lines over plain arrays.

A member takes the bars it may be fitted on (`history`), the bars whose state it forecasts from (`bars`), the row
positions of the origins in `bars`, and the settings. It gives quantiles [origins, horizon, levels] of the cumulative
log return from the close at the origin; for an origin it uses only rows of `bars` up to that origin.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from forecasting.folds import unbroken
from forecasting.members import COMPUTED
from market.indicators import segments

# windows of the history that an empirical distribution is taken from, at most
WINDOWS = 20_000


@dataclass(frozen=True)
class Bars:
    """Bars of one symbol: log close [rows] and segment [rows], the id of each row's unbroken run."""

    log_close: np.ndarray
    segment: np.ndarray

    @classmethod
    def of(cls, candles: pd.DataFrame, step: int) -> "Bars":
        """The bars of candles (`timestamp`, `close`). `step` is a bar's length in ms."""
        return cls(np.log(candles["close"].to_numpy()), segments(candles["timestamp"].to_numpy(), step))


@dataclass(frozen=True)
class Settings:
    """What all members share: steps ahead, quantile levels, bars of a season, half-lives in bars."""

    horizon: int
    levels: tuple[float, ...]
    season: int
    ewma_halflife: float
    drift_halflife: float


Member = Callable[[Bars, Bars, np.ndarray, Settings], np.ndarray]


def random_walk(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """No change, with the spread that h-step log returns had in the history.

    The history must hold an unbroken window of `horizon` bars ahead of a bar.
    """
    windows = _windows(history, 0, settings.horizon)
    spread = symmetric_quantiles(_paths(history, windows, settings.horizon), settings.levels)
    return np.tile(spread, (len(origins), 1, 1))


def ewma(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """No change, Gaussian, the variance at step h being h times the EWMA variance at the origin.

    σ²ₜ = λ σ²ₜ₋₁ + (1 − λ) rₜ², λ = 2^(−1/halflife), begun at the history's variance after each gap.
    RiskMetrics Technical Document (J.P. Morgan, 1996), 4th ed., chapter 5.
    """
    variance = float(np.nanmean(_returns(history) ** 2))
    state = _smooth(_returns(bars) ** 2, bars.segment, settings.ewma_halflife, variance)[origins]
    deviation = np.sqrt(state[:, None] * np.arange(1, settings.horizon + 1))
    # the normal's median is 0, not the 1e-17 of its approximation
    normal = np.array([NormalDist().inv_cdf(level) if level != 0.5 else 0.0 for level in settings.levels])
    return deviation[:, :, None] * normal


def ewma_drift(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """The classic path: `ewma` around a straight line, h times the EWMA of log returns (0 after each gap)."""
    drift = _smooth(_returns(bars), bars.segment, settings.drift_halflife, 0.0)[origins]
    path = drift[:, None] * np.arange(1, settings.horizon + 1)
    return path[:, :, None] + ewma(history, bars, origins, settings)


def seasonal_naive(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """The path that followed one season before the origin, with the spread of its own errors in the history.

    A horizon beyond a season repeats the season. An origin without an unbroken season behind it, or a history without
    one, gives the random walk's forecast. Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.2.
    """
    forecast = random_walk(history, bars, origins, settings)
    seasonal = unbroken(bars.segment, settings.season, 0)[origins]
    windows = _windows(history, settings.season, settings.horizon)
    if not len(windows) or not seasonal.any():
        return forecast
    errors = _paths(history, windows, settings.horizon) - _seasonal_paths(history, windows, settings)
    spread = symmetric_quantiles(errors, settings.levels)
    forecast[seasonal] = _seasonal_paths(bars, origins[seasonal], settings)[:, :, None] + spread
    return forecast


MEMBERS: dict[str, Member] = dict(zip(COMPUTED, [random_walk, ewma, ewma_drift, seasonal_naive], strict=True))


def symmetric_quantiles(samples: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles [horizon, levels] of samples [n, horizon] and their mirror image, so that the median is exactly 0.

    The p-quantile of ±x is ± the |2p − 1|-quantile of |x|.
    """
    centred = 2 * np.array(levels) - 1
    return (np.sign(centred)[:, None] * np.quantile(np.abs(samples), np.abs(centred), axis=0)).T


def _windows(bars: Bars, behind: int, ahead: int) -> np.ndarray:
    """Rows with that many unbroken bars behind and ahead, at most `WINDOWS` of them, evenly spread."""
    rows = np.flatnonzero(unbroken(bars.segment, behind, ahead))
    if len(rows) <= WINDOWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, WINDOWS).astype(np.int64)]


def _paths(bars: Bars, rows: np.ndarray, horizon: int) -> np.ndarray:
    """Cumulative log returns [rows, horizon] that followed each row."""
    ahead = rows[:, None] + np.arange(1, horizon + 1)
    return bars.log_close[ahead] - bars.log_close[rows, None]


def _seasonal_paths(bars: Bars, rows: np.ndarray, settings: Settings) -> np.ndarray:
    """Cumulative log returns [rows, horizon] of the season that ended at each row, repeated to the horizon."""
    whole, part = np.divmod(np.arange(1, settings.horizon + 1), settings.season)
    start = rows - settings.season
    first = bars.log_close[start, None]
    season = bars.log_close[rows, None] - first
    return whole * season + bars.log_close[start[:, None] + part] - first


def _returns(bars: Bars) -> np.ndarray:
    """Log return [rows] of each bar, NaN for the first of an unbroken run."""
    returns = np.diff(bars.log_close, prepend=np.nan)
    returns[np.diff(bars.segment, prepend=-1) != 0] = np.nan
    return returns


def _smooth(values: np.ndarray, segment: np.ndarray, halflife: float, start: float) -> np.ndarray:
    """Exponentially weighted mean [rows] of each run's values; where a run begins (NaN), it is `start`."""
    begun = pd.Series(np.where(np.isnan(values), start, values))
    return begun.groupby(segment).ewm(halflife=halflife, adjust=False).mean().to_numpy()
