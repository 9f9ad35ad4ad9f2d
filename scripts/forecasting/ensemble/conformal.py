"""Conformal calibration of a forecast's spread, by step ahead, from the outcomes realised by each origin.

For a pair of levels (p, 1 − p) with median m, the score of an outcome y is r = |y − m| / half-spread of the side where
it fell, so the interval covers y where r ≤ 1, and stretched by f where r ≤ f. f is the conformal quantile of the latest
r: the ⌈(n + 1)(1 − 2p)⌉-th smallest of n. This is the score CQR-m of Kivaranovic, Johnson and Leeb (2020), AISTATS, a
variant of Romano, Patterson and Candès (2019), "Conformalized quantile regression", NeurIPS. They take one exchangeable
calibration set, and guarantee coverage; markets drift, so here it is a rolling window, without a guarantee. Gibbs and
Candès (2021), "Adaptive conformal inference under distribution shift", NeurIPS, adapt the nominal level after each
miss; here the level is fixed, the window rolls, and `strength` < 1 shrinks a factor that is noisy and late.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import ceil

import numpy as np

from forecasting.task import Task

# of `pid`, chosen as docs/calibration.md says
RATE, LEAK, GAIN = 0.005, 0.001, 0.1
# the tangent's argument at most: it is infinite at π / 2
STEEPEST = 1.5


def rolling(
    quantiles: np.ndarray,
    realised: np.ndarray,
    origin: np.ndarray,
    task: Task,
    window: int = 900,
    strength: float = 0.5,
    minimum: int = 100,
) -> np.ndarray:
    """Quantiles [n, horizon, levels] with the spread around the median multiplied by f^strength, and sorted.

    quantiles: of one symbol, sorted, cumulative log returns. realised [n, horizon]: the realised ones, NaN where not
    known. origin [n]: int64 ms, increasing, gaps allowed; the open time of the last observed bar. window: latest
    outcomes that count; minimum: with fewer of them the spread stays.

    Origin i uses step h of the origins j with origin_j + h · task.bar_ms ≤ origin_i alone. A spread stays, too, where
    it or f is zero, where f is infinite, and at a level without its partner 1 − p. Factors differ by pair, so quantiles
    may cross: hence the sorting; the median stays. Raises ValueError where the levels lack 0.5.
    """
    levels = task.quantile_levels
    middle = list(levels).index(0.5)
    calibrated = quantiles.astype(np.float64)
    for step in range(quantiles.shape[1]):
        observed = np.isfinite(realised[:, step])
        count = np.searchsorted(origin[observed], origin - (step + 1) * task.bar_ms, side="right")
        for low, high in _pairs(levels):
            scores = _scores(realised[observed, step], *quantiles[observed, step][:, [low, middle, high]].T)
            factor = _factors(scores, levels[high] - levels[low], window, minimum)[count] ** strength
            spread = quantiles[:, step, [low, high]] - quantiles[:, step, [middle]]
            calibrated[:, step, [low, high]] += (factor[:, None] - 1) * spread
    return np.sort(calibrated, axis=-1)


def pid(quantiles: np.ndarray, realised: np.ndarray, origin: np.ndarray, task: Task) -> np.ndarray:
    """Quantiles [n, horizon, levels] with the spread around the median multiplied by f, and sorted; arguments, and what
    each origin uses, are those of `rolling`.

    Conformal PID control of Angelopoulos, Candès and Tibshirani (2023), NeurIPS, of log f: after an outcome within the
    interval it falls, after one outside it rises (P), and it saturates in the sum of all errors (I). Their scorecaster
    (D) is the forecast itself. The first is also forgotten, by `LEAK` an outcome, as what it followed has passed.
    """
    levels = task.quantile_levels
    middle, pairs = list(levels).index(0.5), _pairs(levels)
    scores = np.stack(
        [_scores(realised, *np.moveaxis(quantiles[..., [low, middle, high]], -1, 0)) for low, high in pairs], axis=-1
    )
    scores[np.isnan(realised)] = np.nan
    ahead = task.bar_ms * np.arange(1, quantiles.shape[1] + 1)
    count = np.searchsorted(origin, origin[:, None] - ahead, side="right")
    factors = np.exp(_controlled(scores, count, np.array([1 - levels[high] + levels[low] for low, high in pairs])))
    calibrated = quantiles.astype(np.float64)
    for place, pair in enumerate(pairs):
        spread = quantiles[..., pair] - quantiles[..., [middle]]
        calibrated[..., pair] += (factors[..., [place]] - 1) * spread
    return np.sort(calibrated, axis=-1)


def _controlled(scores: np.ndarray, count: np.ndarray, misses: np.ndarray) -> np.ndarray:
    """log f [n, horizon, pairs] by the scores [n, horizon, pairs] of the first `count` [n, horizon] origins at each;
    NaN is left out. misses [pairs]: the share of outcomes that should lie outside."""
    logs = np.zeros_like(scores)
    tracked, total = np.zeros(scores.shape[1:]), np.zeros(scores.shape[1:])
    done = np.zeros(scores.shape[1], dtype=np.int64)
    for place, known in enumerate(count):
        while (due := np.flatnonzero(done < known)).size:
            score, used = scores[done[due], due], logs[done[due], due]
            error = np.where(np.isnan(score), 0, (score > np.exp(used)) - misses)
            tracked[due] = (1 - LEAK) * tracked[due] + RATE * error
            total[due] += error
            done[due] += 1
        n = np.maximum(done, 2)[:, None]
        logs[place] = tracked + GAIN * np.tan(np.clip(total * np.log(n) / n, -STEEPEST, STEEPEST))
    return logs


def _pairs(quantile_levels: Sequence[float]) -> list[tuple[int, int]]:
    """Positions of each p < 0.5 and of its 1 − p, where both are among the levels."""
    levels = np.asarray(quantile_levels)
    lower, upper = np.nonzero(np.isclose(levels[:, None] + levels, 1) & (levels[:, None] < levels))
    return list(zip(lower.tolist(), upper.tolist(), strict=True))


def _scores(realised: np.ndarray, low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> np.ndarray:
    """r [n] of each outcome; without a spread it is 0 at the median and infinite elsewhere."""
    distance = np.abs(realised - middle)
    half_spread = np.where(realised < middle, middle - low, high - middle)
    return np.divide(distance, half_spread, out=np.where(distance > 0, np.inf, 0.0), where=half_spread > 0)


def _factors(scores: np.ndarray, coverage: float, window: int, minimum: int) -> np.ndarray:
    """f [n + 1] once 0, 1, … n of the scores [n] are observed; 1 where there are too few."""
    factors = np.ones(len(scores) + 1)
    values = scores.tolist()
    recent: list[float] = []
    for count, value in enumerate(values, start=1):
        insort(recent, value)
        if count > window:
            del recent[bisect_left(recent, values[count - 1 - window])]
        # a coverage of 0.9 may come out as a little more
        rank = ceil((len(recent) + 1) * coverage - 1e-9)
        if minimum <= len(recent) and rank <= len(recent) and 0 < recent[rank - 1] < np.inf:
            factors[count] = recent[rank - 1]
    return factors
