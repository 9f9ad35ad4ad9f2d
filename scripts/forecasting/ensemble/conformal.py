"""Rolling conformal correction of a forecast's spread, by step ahead, fed by what had come at each origin.

For a pair of levels (p, 1 − p) with median m, an outcome y is told as r = |y − m| / half-spread of the side where it
fell, so the interval covers y where r ≤ 1, and stretched by f where r ≤ f. f is the conformal quantile of the latest r:
the ⌈(n + 1)(1 − 2p)⌉-th smallest of n. This is the score CQR-m of Kivaranovic, Johnson and Leeb (2020), AISTATS, a
variant of Romano, Patterson and Candès (2019), "Conformalized quantile regression", NeurIPS. They take one exchangeable
calibration set, and promise coverage; markets drift, so here it is a rolling window, and nothing is promised. Gibbs and
Candès (2021), "Adaptive conformal inference under distribution shift", NeurIPS, move the level that is asked for after
each miss; here the level stays, the window moves, and `strength` < 1 shrinks a factor that is noisy and late.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import ceil

import numpy as np


def rolling(
    quantiles: np.ndarray,
    actual: np.ndarray,
    origin: np.ndarray,
    step_ms: int,
    quantile_levels: Sequence[float],
    window: int = 900,
    strength: float = 0.5,
    fewest: int = 100,
) -> np.ndarray:
    """Quantiles [n, horizon, levels] with the spread around the median multiplied by f^strength, and sorted.

    quantiles: of one symbol, sorted, cumulative log returns. actual [n, horizon]: what came, NaN where not known.
    origin [n]: int64 ms, increasing, gaps allowed; the open time of the last known bar. levels: rising, with 0.5.
    window: latest outcomes that count; fewest: with less of them the spread stays.

    Origin i learns of step h from the origins j with origin_j + h · step_ms ≤ origin_i alone. A spread stays, too,
    where it or f is zero, where f is infinite, and at a level without its partner 1 − p. Factors differ by pair, so
    levels may cross: hence the sorting; the median stays. Raises ValueError where levels lack 0.5.
    """
    middle = list(quantile_levels).index(0.5)
    corrected = quantiles.astype(np.float64)
    for step in range(quantiles.shape[1]):
        known = np.isfinite(actual[:, step])
        realised = np.searchsorted(origin[known], origin - (step + 1) * step_ms, side="right")
        for low, high in _pairs(quantile_levels):
            ratio = _ratios(actual[known, step], *quantiles[known, step][:, [low, middle, high]].T)
            factor = _factors(ratio, quantile_levels[high] - quantile_levels[low], window, fewest)[realised] ** strength
            spread = quantiles[:, step, [low, high]] - quantiles[:, step, [middle]]
            corrected[:, step, [low, high]] += (factor[:, None] - 1) * spread
    return np.sort(corrected, axis=-1)


def _pairs(quantile_levels: Sequence[float]) -> list[tuple[int, int]]:
    """Places of each p < 0.5 and of its 1 − p, where both are among the levels."""
    own = np.asarray(quantile_levels)
    lower, upper = np.nonzero(np.isclose(own[:, None] + own, 1) & (own[:, None] < own))
    return list(zip(lower.tolist(), upper.tolist(), strict=True))


def _ratios(actual: np.ndarray, low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> np.ndarray:
    """r [n] of each outcome; without a spread it is 0 at the median and infinite beside it."""
    distance = np.abs(actual - middle)
    half = np.where(actual < middle, middle - low, high - middle)
    return np.divide(distance, half, out=np.where(distance > 0, np.inf, 0.0), where=half > 0)


def _factors(ratio: np.ndarray, share: float, window: int, fewest: int) -> np.ndarray:
    """f [n + 1] once 0, 1, … n of the ratios [n] are known; 1 where there is none to use."""
    factor = np.ones(len(ratio) + 1)
    values = ratio.tolist()
    recent: list[float] = []
    for count, value in enumerate(values, start=1):
        insort(recent, value)
        if count > window:
            del recent[bisect_left(recent, values[count - 1 - window])]
        # a share of 0.9 may come as a little more
        rank = ceil((len(recent) + 1) * share - 1e-9)
        if fewest <= len(recent) and rank <= len(recent) and 0 < recent[rank - 1] < np.inf:
            factor[count] = recent[rank - 1]
    return factor
