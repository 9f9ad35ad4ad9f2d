"""Baselines: the simple forecasts that a model must beat, each a few lines over plain arrays.

A member takes the bars it may be fitted on (`history`), the bars whose state it forecasts from (`bars`), the row
positions of the origins in `bars`, and the settings. It gives quantiles [origins, horizon, levels] of the cumulative
log return from the close at the origin; for an origin it uses only rows of `bars` up to that origin. It raises
TooShortError when the history cannot carry it.

FHS, filtered historical simulation, takes the quantiles of returns in units of their forecast deviation from history:
Barone-Adesi, Giannopoulos and Vosper (1999), J. Futures Markets 19(5).
"""

from statistics import NormalDist

import numpy as np
import pandas as pd

from forecasting.bars import Bars, enough, returns
from forecasting.baselines.fhs import Scale, fhs, symmetric_quantiles
from forecasting.baselines.har import fit_har, fit_season
from forecasting.baselines.interface import Settings
from forecasting.folds import unbroken


def random_walk(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """No change, with the spread that h-step log returns had in the history."""
    enough(history, settings.horizon, 1)
    windows = history.windows(0, settings.horizon)
    spread = symmetric_quantiles(history.paths(windows, settings.horizon), settings.quantile_levels)
    return np.tile(spread, (len(origins), 1, 1))


def ewma(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """No change, Gaussian, the variance at step h being h times the EWMA variance at the origin.

    σ²ₜ = λ σ²ₜ₋₁ + (1 − λ) rₜ², λ = 2^(−1/halflife), begun at the history's variance after each gap.
    RiskMetrics Technical Document (J.P. Morgan, 1996), 4th ed., chapter 5.
    """
    # the normal's median is 0, not the 1e-17 of its approximation
    normal = np.array([NormalDist().inv_cdf(level) if level != 0.5 else 0.0 for level in settings.quantile_levels])
    return _ewma_scale(history, settings)(bars, origins)[:, :, None] * normal


def ewma_drift(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """The classic path: `ewma` around a straight line, h times the EWMA of log returns (0 after each gap)."""
    moves = returns(bars.log_close, bars.segment)
    drift = _smooth(moves, bars.segment, settings.drift_halflife, 0.0)[origins]
    path = drift[:, None] * settings.ahead
    return path[:, :, None] + ewma(history, bars, origins, settings)


def ewma_fhs(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """`ewma`'s deviations with the quantiles that returns had in units of them."""
    return fhs(_ewma_scale(history, settings), history, bars, origins, settings)


def seasonal_ewma_fhs(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """As `ewma_fhs`, of returns freed of the time of day's and week's volatility, which is put back over the steps.

    Andersen and Bollerslev (1997), Intraday periodicity and volatility persistence, J. Empirical Finance 4(2-3).
    """
    enough(history, settings.horizon, 5)
    season = fit_season(history)

    def calm(part: Bars) -> np.ndarray:
        return returns(part.log_close, part.segment) ** 2 / season.at(part.timestamp)

    start = float(np.nanmean(calm(history)))

    def scale(part: Bars, rows: np.ndarray) -> np.ndarray:
        state = _smooth(calm(part), part.segment, settings.ewma_halflife, start)[rows]
        return np.sqrt(state[:, None] * season.ahead(part.timestamp[rows], part.step, settings.horizon))

    return fhs(scale, history, bars, origins, settings)


def har_fhs(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """Deviations of a seasonal HAR (forecasting.baselines.har) with the quantiles that returns had in units of them."""
    return fhs(fit_har(history, settings.horizon, leverage=False).deviation, history, bars, origins, settings)


def lhar_fhs(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """As `har_fhs`, of a HAR with absolute variation and leverage."""
    return fhs(fit_har(history, settings.horizon, leverage=True).deviation, history, bars, origins, settings)


def seasonal_naive(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """The path that followed one season before the origin, with the spread of its own errors in the history.

    A horizon beyond a season repeats the season. An origin without an unbroken season behind it, or a history without
    one, gives the random walk's forecast. Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.2.
    """
    forecast = random_walk(history, bars, origins, settings)
    seasonal = unbroken(bars.segment, settings.season, 0)[origins]
    windows = history.windows(settings.season, settings.horizon)
    if not len(windows) or not seasonal.any():
        return forecast
    errors = history.paths(windows, settings.horizon) - _seasonal_paths(history, windows, settings)
    spread = symmetric_quantiles(errors, settings.quantile_levels)
    forecast[seasonal] = _seasonal_paths(bars, origins[seasonal], settings)[:, :, None] + spread
    return forecast


def _ewma_scale(history: Bars, settings: Settings) -> Scale:
    start = float(np.nanmean(returns(history.log_close, history.segment) ** 2))

    def scale(part: Bars, rows: np.ndarray) -> np.ndarray:
        squares = returns(part.log_close, part.segment) ** 2
        state = _smooth(squares, part.segment, settings.ewma_halflife, start)[rows]
        return np.sqrt(state[:, None] * settings.ahead)

    return scale


def _seasonal_paths(bars: Bars, rows: np.ndarray, settings: Settings) -> np.ndarray:
    """Cumulative log returns [rows, horizon] of the season that ended at each row, repeated to the horizon."""
    whole, part = np.divmod(settings.ahead, settings.season)
    start = rows - settings.season
    first = bars.log_close[start, None]
    season = bars.log_close[rows, None] - first
    return whole * season + bars.log_close[start[:, None] + part] - first


def _smooth(values: np.ndarray, segment: np.ndarray, halflife: float, start: float) -> np.ndarray:
    """Exponentially weighted mean [rows] of each run's values; where a run begins (NaN), it is `start`."""
    begun = pd.Series(np.where(np.isnan(values), start, values))
    return begun.groupby(segment).ewm(halflife=halflife, adjust=False).mean().to_numpy()
