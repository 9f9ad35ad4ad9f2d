"""Simple baselines, each a few lines over arrays; see forecasting.baselines.interface for what they are given.

FHS, filtered historical simulation, is in forecasting.baselines.fhs.
"""

from statistics import NormalDist

import numpy as np
import pandas as pd

from forecasting.bars import Bars, require_windows, returns
from forecasting.baselines.fhs import Deviation, fhs, symmetric_quantiles
from forecasting.baselines.har import fit_season
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.folds import contiguous
from forecasting.task import Task


def random_walk(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """No change, with the symmetric quantiles of the history's h-step log returns."""
    require_windows(series.history, task.horizon, 1)
    windows = series.history.windows(0, task.horizon)
    quantiles = symmetric_quantiles(series.history.paths(windows, task.horizon), task.quantile_levels)
    return np.tile(quantiles, (len(series.origins), 1, 1))


def ewma(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """No change, Gaussian; the variance at step h is h times the EWMA variance at the origin.

    σ²ₜ = λ σ²ₜ₋₁ + (1 − λ) rₜ², λ = 2^(−1/halflife), started at the history's variance after each gap.
    RiskMetrics Technical Document (J.P. Morgan, 1996), 4th ed., chapter 5.
    """
    # the normal's median is 0, not the 1e-17 of its approximation
    normal = np.array([NormalDist().inv_cdf(level) if level != 0.5 else 0.0 for level in task.quantile_levels])
    return _ewma_deviation(series.history, task, settings)(series.bars, series.origins)[:, :, None] * normal


def ewma_drift(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """`ewma` around a linear trend: h times the EWMA of log returns (0 after each gap)."""
    bars = series.bars
    drift = _smooth(returns(bars.log_close, bars.segment), bars.segment, settings.drift_halflife, 0.0)[series.origins]
    path = drift[:, None] * task.steps
    return path[:, :, None] + ewma(series, task, settings)


def ewma_fhs(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """FHS of `ewma`'s deviations."""
    return fhs(_ewma_deviation(series.history, task, settings), series, task)


def seasonal_ewma_fhs(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """FHS of an EWMA of deseasonalised squared returns; the season of the steps ahead is put back.

    Andersen and Bollerslev (1997), Intraday periodicity and volatility persistence, J. Empirical Finance 4(2-3).
    """
    require_windows(series.history, task.horizon, 5)
    season = fit_season(series.history)

    def deseasonalised(bars: Bars) -> np.ndarray:
        return returns(bars.log_close, bars.segment) ** 2 / season.at(bars.timestamp)

    start = float(np.nanmean(deseasonalised(series.history)))

    def deviation(bars: Bars, rows: np.ndarray) -> np.ndarray:
        variance = _smooth(deseasonalised(bars), bars.segment, settings.ewma_halflife, start)[rows]
        return np.sqrt(variance[:, None] * season.ahead(bars.timestamp[rows], bars.bar_ms, task.horizon))

    return fhs(deviation, series, task)


def seasonal_naive(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """The path that followed one season before the origin, with the symmetric quantiles of its errors in the history.

    A horizon beyond a season repeats the season. An origin without a contiguous season before it, or a history without
    one, gives the random walk's forecast. Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.2.
    """
    history, bars, origins = series.history, series.bars, series.origins
    forecast = random_walk(series, task, settings)
    seasonal = contiguous(bars.segment, task.season, 0)[origins]
    windows = history.windows(task.season, task.horizon)
    if not len(windows) or not seasonal.any():
        return forecast
    errors = history.paths(windows, task.horizon) - _seasonal_paths(history, windows, task)
    quantiles = symmetric_quantiles(errors, task.quantile_levels)
    forecast[seasonal] = _seasonal_paths(bars, origins[seasonal], task)[:, :, None] + quantiles
    return forecast


def _ewma_deviation(history: Bars, task: Task, settings: BaselineSettings) -> Deviation:
    start = float(np.nanmean(returns(history.log_close, history.segment) ** 2))

    def deviation(bars: Bars, rows: np.ndarray) -> np.ndarray:
        squares = returns(bars.log_close, bars.segment) ** 2
        variance = _smooth(squares, bars.segment, settings.ewma_halflife, start)[rows]
        return np.sqrt(variance[:, None] * task.steps)

    return deviation


def _seasonal_paths(bars: Bars, rows: np.ndarray, task: Task) -> np.ndarray:
    """Cumulative log returns [n, horizon] of the season that ended at each of the rows [n], repeated to the horizon."""
    whole, part = np.divmod(task.steps, task.season)
    start = rows - task.season
    first = bars.log_close[start, None]
    season = bars.log_close[rows, None] - first
    return whole * season + bars.log_close[start[:, None] + part] - first


def _smooth(values: np.ndarray, segment: np.ndarray, halflife: float, start: float) -> np.ndarray:
    """Exponentially weighted mean [rows] of each segment's values, `start` where a segment begins (NaN)."""
    filled = pd.Series(np.where(np.isnan(values), start, values))
    return filled.groupby(segment).ewm(halflife=halflife, adjust=False).mean().to_numpy()
