"""Filtered historical simulation: the quantiles of returns in units of their forecast deviation, from history.

Barone-Adesi, Giannopoulos and Vosper (1999), J. Futures Markets 19(5).
"""

from collections.abc import Callable, Sequence

import numpy as np

from forecasting.bars import Bars
from forecasting.baselines.interface import Settings

# deviations [rows, horizon] of the returns after each of those rows of the bars
Scale = Callable[[Bars, np.ndarray], np.ndarray]


def fhs(scale: Scale, history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """Filtered historical simulation: the origins' deviations times the quantiles of the history's relative returns."""
    return scale(bars, origins)[:, :, None] * relative_quantiles(
        scale, history, settings.horizon, settings.quantile_levels
    )


def relative_quantiles(scale: Scale, history: Bars, horizon: int, quantile_levels: Sequence[float]) -> np.ndarray:
    """Symmetric quantiles [horizon, levels] of the history's returns in units of their forecast deviation."""
    rows = history.windows(0, horizon)
    paths, deviation = history.paths(rows, horizon), scale(history, rows)
    # long frozen, a price has no deviation left
    return symmetric_quantiles(
        np.divide(paths, deviation, out=np.zeros_like(paths), where=deviation > 0), quantile_levels
    )


def symmetric_quantiles(samples: np.ndarray, quantile_levels: Sequence[float]) -> np.ndarray:
    """Quantiles [horizon, levels] of samples [n, horizon] and their mirror image, so that the median is exactly 0.

    The p-quantile of ±x is ± the |2p − 1|-quantile of |x|.
    """
    centred = 2 * np.array(quantile_levels) - 1
    return (np.sign(centred)[:, None] * np.quantile(np.abs(samples), np.abs(centred), axis=0)).T
