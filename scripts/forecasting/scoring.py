"""Scores of quantile forecasts: elementwise losses over plain arrays; smaller is better but for coverage.

`actual` [...] is the realised cumulative log return, `quantiles` [..., levels] its forecast, `levels` [levels].
Losses are in log return unless their name says percent.
"""

from collections.abc import Sequence

import numpy as np


def pinball(actual: np.ndarray, quantiles: np.ndarray, levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Pinball loss [..., levels] of each quantile: (q − 1{y < f}) (y − f), without the factor 2 that some use.

    Koenker and Bassett (1978), Econometrica 46(1).
    """
    error = actual[..., None] - quantiles
    return (np.asarray(levels) - (error < 0)) * error


def crps_weights(levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weights [levels] that make CRPS of pinball losses: 2 × the trapezoid rule over [0, 1].

    CRPS = 2 ∫ pinball dq: Gneiting and Ranjan (2011), J. Business & Economic Statistics 29(3). At 0 and 1 the loss is
    taken as 0, its limit. With few levels the result is a little small: 3.5 % for a Gaussian and the default seven.
    """
    padded = np.concatenate([[0.0], np.asarray(levels), [1.0]])
    return padded[2:] - padded[:-2]


def covered(actual: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Whether the outcome lies in the interval, bounds included; its mean is the interval's coverage."""
    return (lower <= actual) & (actual <= upper)


def price_error_percent(actual: np.ndarray, median: np.ndarray) -> np.ndarray:
    """Absolute error of the median price in percent of the realised price; its mean is the MAPE.

    100 |exp(m − y) − 1|, since both log returns start from the same close.
    """
    return 100 * np.abs(np.expm1(median - actual))


def hac_sum(series: np.ndarray, lags: int) -> float:
    """Long-run variance of the sum of a centred series [n], with Bartlett weights up to `lags`; never negative.

    Σ x² + 2 Σₗ (1 − l / (lags + 1)) Σₜ xₜ xₜ₊ₗ. Newey and West (1987), Econometrica 55(3).
    """
    near = range(1, min(lags, len(series) - 1) + 1)
    return float(series @ series + 2 * sum((1 - lag / (lags + 1)) * (series[:-lag] @ series[lag:]) for lag in near))


def hac_lags(horizon: int, stride: int, moments: int) -> int:
    """Lags for losses of windows `stride` bars apart: those that overlap, and no fewer than Newey and West's rule.

    The rule is 4 (n / 100)^(2/9): Newey and West (1994), Review of Economic Studies 61(4).
    """
    return max(-(-(horizon - 1) // stride), int(4 * (moments / 100) ** (2 / 9)))
