"""Filtered historical simulation: forecast deviations times the quantiles of the history's standardised returns.

Barone-Adesi, Giannopoulos and Vosper (1999), J. Futures Markets 19(5).
"""

from collections.abc import Callable, Sequence

import numpy as np

from forecasting.bars import Bars
from forecasting.baselines.interface import SymbolSeries
from forecasting.task import Task

# forecast standard deviation [n, horizon] of the cumulative log returns after each of the rows [n] of the bars
Deviation = Callable[[Bars, np.ndarray], np.ndarray]


def fhs(deviation: Deviation, series: SymbolSeries, task: Task) -> np.ndarray:
    """Filtered historical simulation: quantiles [origins, horizon, levels]."""
    quantiles = standardised_quantiles(deviation, series.history, task.horizon, task.quantile_levels)
    return deviation(series.bars, series.origins)[:, :, None] * quantiles


def standardised_quantiles(
    deviation: Deviation, history: Bars, horizon: int, quantile_levels: Sequence[float]
) -> np.ndarray:
    """Symmetric quantiles [horizon, levels] of the history's cumulative returns divided by their forecast deviation."""
    return window_quantiles(deviation(history, history.windows(0, horizon)), history, quantile_levels)


def window_quantiles(deviation: np.ndarray, history: Bars, quantile_levels: Sequence[float]) -> np.ndarray:
    """`standardised_quantiles` of the forecast deviation [n, horizon] after the history's windows."""
    horizon = deviation.shape[1]
    paths = history.paths(history.windows(0, horizon), horizon)
    # long frozen, a price has no deviation left
    standardised = np.divide(paths, deviation, out=np.zeros_like(paths), where=deviation > 0)
    return symmetric_quantiles(standardised, quantile_levels)


def symmetric_quantiles(samples: np.ndarray, quantile_levels: Sequence[float]) -> np.ndarray:
    """Quantiles [horizon, levels] of samples [n, horizon] and their mirror image, so that the median is exactly 0.

    The p-quantile of ±x is ± the |2p − 1|-quantile of |x|.
    """
    centred = 2 * np.array(quantile_levels) - 1
    # sorted first, which numpy does faster than it selects
    ordered = np.sort(np.abs(samples).T, axis=1)
    return (np.sign(centred)[:, None] * np.quantile(ordered, np.abs(centred), axis=1)).T
