"""Losses of quantile forecasts, elementwise over plain arrays; smaller is better, except for coverage.

`actual` [...] is the realised cumulative log return, `quantiles` [..., levels] its forecast at
`quantile_levels` [levels]. Losses are in log return unless their name says percent.
"""

from collections.abc import Sequence

import numpy as np


def pinball(actual: np.ndarray, quantiles: np.ndarray, quantile_levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Pinball loss [..., levels] of each quantile: (q − 1{y < f}) (y − f), without the factor 2 that some use.

    Koenker and Bassett (1978), Econometrica 46(1).
    """
    error = actual[..., None] - quantiles
    return (np.asarray(quantile_levels) - (error < 0)) * error


def crps_weights(quantile_levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weights [levels] that make CRPS of pinball losses: 2 × the trapezoid rule over [0, 1].

    CRPS = 2 ∫ pinball dq: Gneiting and Ranjan (2011), J. Business & Economic Statistics 29(3). At 0 and 1 the loss is
    taken as 0, its limit. With few levels the result is a little small: 3.5 % for a Gaussian and the default seven.
    """
    padded = np.concatenate([[0.0], np.asarray(quantile_levels), [1.0]])
    return padded[2:] - padded[:-2]


def crps(loss: np.ndarray, quantile_levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """CRPS [...] of pinball losses [..., levels]; see `crps_weights`."""
    # level by level: the last bits of a matrix product depend on the BLAS kernel that it finds fit
    return sum(
        (loss[..., k] * weight for k, weight in enumerate(crps_weights(quantile_levels))), np.zeros(loss.shape[:-1])
    )


def covered(actual: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Whether the outcome lies in the prediction interval, bounds included; the mean is its coverage."""
    return (lower <= actual) & (actual <= upper)


def price_error_percent(actual: np.ndarray, median: np.ndarray) -> np.ndarray:
    """Absolute error of the median price in percent of the realised price; its mean is the MAPE.

    100 |exp(m − y) − 1|, since both log returns start from the same close.
    """
    return 100 * np.abs(np.expm1(median - actual))


def winkler(actual: np.ndarray, lower: np.ndarray, upper: np.ndarray, coverage: float) -> np.ndarray:
    """Interval score: the width, and 2 / (1 − coverage) for each unit by which the outcome lies outside.

    Winkler (1972), J. American Statistical Association 67(337).
    """
    outside = np.maximum(lower - actual, 0) + np.maximum(actual - upper, 0)
    return upper - lower + 2 / (1 - coverage) * outside


def pit(actual: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Share [..., levels + 1] of each outcome that lies below, between and above the quantiles: one 1, or two halves.

    An outcome that meets quantiles is shared by the ranges on both sides of them. The mean is a histogram of the
    probability integral transform: Gneiting, Balabdaoui and Raftery (2007), J. Royal Statistical Society B 69(2).
    """
    ranges = np.arange(quantiles.shape[-1] + 1)
    below = (quantiles < actual[..., None]).sum(axis=-1)
    upto = (quantiles <= actual[..., None]).sum(axis=-1)
    return ((below[..., None] == ranges) + (upto[..., None] == ranges).astype(np.float64)) / 2
