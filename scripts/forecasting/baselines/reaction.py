"""A fast reaction: the next few returns answer the latest ones (bounces between bid and ask, coins behind the market).

One ridge regression a step, pooled over symbols (local projections: Jordà 2005, Estimation and inference of impulse
responses by local projections, American Economic Review 95(1)). The bounce: Roll (1984), A simple implicit measure of
the effective bid-ask spread, J. Finance 39(4).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.baselines.momentum import Momentum
from forecasting.baselines.panel import CLIP, Panel, blocks, ewma

# steps that are fitted, in horizons
STEPS = (1 / 60, 1 / 30, 1 / 20, 1 / 12, 1 / 6, 1 / 4, 1 / 2, 1)
# half-lives in bars of the averages that a close is compared with, and of the other symbols' returns
AVERAGES, MARKET = (1, 3, 8, 20), 3
MOST = 6.0  # a close's distance from an average counts as at most so many deviations
RIDGE = 0.005  # penalty, in the regressors' mean squares
SIGNIFICANT = 3.0  # t of a step's gain out of sample, at least
FADE = 6  # after the last significant step a shift fades linearly over so many times that step


@dataclass(frozen=True)
class Reaction:
    """By symbol: the significant steps [k], and their coefficients [k, regressors]."""

    steps: tuple[np.ndarray, ...]
    coefficients: tuple[np.ndarray, ...]

    def shifts(self, panel: Panel, rows: np.ndarray, place: int) -> np.ndarray:
        """Expected cumulative log returns [n, horizon] of a symbol, by its place, after the `rows` [n]."""
        steps = self.steps[place]
        if not len(steps):
            return np.zeros((len(rows), panel.horizon))
        ahead = np.arange(1, panel.horizon + 1)
        fitted = regressors(panel, place)[rows] @ self.coefficients[place].T * np.sqrt(steps)
        # linear between the steps, from 0; the last one's shift is held, and fades
        after = np.searchsorted(steps, ahead)
        left = np.where(after > 0, steps[after - 1], 0)
        right = steps[np.minimum(after, len(steps) - 1)]
        weight = np.where(right > left, (ahead - left) / np.maximum(right - left, 1), 1.0)
        padded = np.column_stack([np.zeros(len(rows)), fitted, fitted[:, -1]])
        path = padded[:, after] * (1 - weight) + padded[:, after + 1] * weight
        fade = np.clip(1 - (ahead - steps[-1]) / (FADE * steps[-1]), 0, 1)
        return panel.scale[rows, place, None] * path * fade


def regressors(panel: Panel, place: int) -> np.ndarray:
    """Regressors [rows, regressors] of a symbol, by its place, in deviations, NaN as 0: the close's distance from the
    middle of its bar, and of the bar before; from averages of middles; the last two returns; and the other symbols'."""
    scale, close = panel.scale[:, place], panel.log_close[:, place]
    inside = np.clip((close - panel.middle[:, place]) / scale, -CLIP, CLIP)
    averages = [(close - _mean(panel.middle[:, place], halflife)) / scale for halflife in AVERAGES]
    own, others = panel.shock[:, place], np.nan_to_num(np.delete(panel.shock, place, axis=1))
    columns = [inside, _lagged(inside), *(np.clip(one, -MOST, MOST) for one in averages), own, _lagged(own)]
    if others.shape[1]:
        market = others.mean(axis=1)
        columns += [market, ewma(market, MARKET)]
    return np.nan_to_num(np.stack(columns, axis=1))


def fit_reaction(panel: Panel, momentum: Momentum | None) -> Reaction:
    """The reaction of a history, beside its momentum.

    A step counts for a symbol where coefficients of the other blocks of the history lessen the squared error in every
    block, and in all with t >= SIGNIFICANT by clusters.
    """
    symbols = range(panel.shock.shape[1])
    inputs = [regressors(panel, place) for place in symbols]
    drifts = [momentum.expected(panel, place) if momentum else np.zeros(len(panel.timestamp)) for place in symbols]
    found: list[list[tuple[int, np.ndarray]]] = [[] for _ in symbols]
    for step in sorted({max(1, round(share * panel.horizon)) for share in STEPS}):
        response = momentum.response(step)[-1] if momentum else 0.0
        rows = np.arange(len(panel.timestamp) - step)
        bounds = np.flatnonzero(np.diff(panel.clusters(rows), prepend=-1))
        parts = [slice(*pair) for pair in zip(bounds, [*bounds[1:], len(rows)], strict=True)]
        whole = panel.ahead(rows, step)
        moments = [
            _moments(panel, place, inputs[place], drifts[place] * response, step, whole, parts) for place in symbols
        ]
        clusters = len(moments[0][1])
        if clusters < 8:
            continue
        pooled = tuple(np.sum([one[k] for one in moments], axis=0) for k in (0, 1))
        gains = np.empty((len(symbols), clusters))
        for block in blocks(clusters):
            rest = np.setdiff1d(np.arange(clusters), block)
            slope = _ridge(pooled[0][rest], pooled[1][rest])
            for place, (squares, products) in enumerate(moments):
                gains[place, block] = 2 * products[block] @ slope - (squares[block] @ slope) @ slope
        slope = _ridge(*pooled)
        for place in symbols:
            if _significant(gains[place]):
                found[place].append((step, slope))
    return Reaction(
        tuple(np.array([step for step, _ in one], dtype=np.int64) for one in found),
        tuple(np.array([slope for _, slope in one]) for one in found),
    )


def _moments(
    panel: Panel,
    place: int,
    inputs: np.ndarray,
    drift: np.ndarray,
    step: int,
    whole: np.ndarray,
    parts: Sequence[slice],
) -> tuple[np.ndarray, np.ndarray]:
    """Sums by cluster of the regressors' products with each other [clusters, k, k] and with the target [clusters, k]:
    the return over `step` bars less its `drift` [rows], in its deviations.

    whole [rows - step]: whether the bars up to the step's have no gap. parts: the rows of each cluster.
    """
    start, scale = panel.log_close[:-step, place], panel.scale[:-step, place]
    change = panel.log_close[step:, place] - start - drift[:-step]
    target = np.clip(change / (scale * np.sqrt(step)), -CLIP, CLIP)
    valid = np.isfinite(target) & whole
    values = np.where(valid[:, None], inputs[:-step], 0.0)
    target = np.where(valid, target, 0.0)
    squares = np.stack([values[part].T @ values[part] for part in parts])
    return squares, np.stack([values[part].T @ target[part] for part in parts])


def _ridge(squares: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Coefficients [k] of the sums of the clusters' moments."""
    total = squares.sum(axis=0)
    penalty = np.diag(RIDGE * np.diag(total) + 1e-12)
    # the last bits of a matrix product depend on the machine
    return np.round(np.linalg.solve(total + penalty, products.sum(axis=0)), 8)


def _significant(gains: np.ndarray) -> bool:
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    agree = all(gains[block].sum() > 0 for block in blocks(len(gains)))
    return bool(agree and gains.mean() >= SIGNIFICANT * error)


def _mean(values: np.ndarray, halflife: float) -> np.ndarray:
    return pd.Series(values).ewm(halflife=halflife).mean().to_numpy()


def _lagged(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], values[:-1]])
