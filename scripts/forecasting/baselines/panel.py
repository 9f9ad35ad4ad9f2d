"""Standardised returns of all symbols on one axis of time, and what directions are tested with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.bars import Bars, returns, typical_variance
from market.intervals import DAY

# centre of mass of a bar's deviation, in horizons, and in bars at least
SCALE, SCALE_BARS = 1 / 3, 4
# a deviation is at least this share of the symbol's typical one
FLOOR = 0.03
# a standardised return counts as at most so much
CLIP = 4.0
# disjoint spans of the history that must agree; a cluster is so many horizons long, and a day at least
BLOCKS, CLUSTER = 4, 8


@dataclass(frozen=True)
class Panel:
    """Bars of all symbols, NaN where a symbol has none.

    timestamp [rows] (ms). log_close, middle [rows, symbols]: of the close, and of the middle of the bar's range.
    scale [rows, symbols]: a bar's deviation, by this bar and earlier ones. shock [rows, symbols]: log return over the
    scale before it, at most ±CLIP; NaN after a gap. floors [symbols]: what the scale is at least.
    """

    timestamp: np.ndarray
    log_close: np.ndarray
    middle: np.ndarray
    scale: np.ndarray
    shock: np.ndarray
    floors: np.ndarray
    bar_ms: int
    horizon: int

    @classmethod
    def of(cls, symbols: Sequence[Bars], horizon: int, floors: np.ndarray | None = None) -> "Panel":
        """The panel of the symbols' bars. floors: those of the history; None: of these bars, which are the history."""
        bar_ms = symbols[0].bar_ms
        timestamp = np.unique(np.concatenate([bars.timestamp for bars in symbols]))
        if floors is None:
            floors = FLOOR * np.sqrt([typical_variance(bars.variance, bar_ms) for bars in symbols])
        com = max(SCALE * horizon, SCALE_BARS)
        log_close, middle, scale, shock = np.full((4, len(timestamp), len(symbols)), np.nan)
        for place, bars in enumerate(symbols):
            rows = np.searchsorted(timestamp, bars.timestamp)
            # a price that never changed has no deviation
            deviation = np.maximum(np.sqrt(pd.Series(bars.variance).ewm(com=com).mean()), floors[place] or 1.0)
            log_close[rows, place], middle[rows, place], scale[rows, place] = bars.log_close, bars.middle, deviation
            relative = returns(bars.log_close, bars.segment) / deviation.shift()
            shock[rows, place] = np.clip(relative, -CLIP, CLIP)
        return cls(timestamp, log_close, middle, scale, shock, floors, bar_ms, horizon)

    def clusters(self, rows: np.ndarray) -> np.ndarray:
        """Number [n] of the cluster that each of the `rows` [n] lies in: of returns that depend on each other."""
        length = max(DAY, CLUSTER * self.horizon * self.bar_ms)
        return np.unique(self.timestamp[rows] // length, return_inverse=True)[1]

    def ahead(self, rows: np.ndarray, step: int) -> np.ndarray:
        """Whether [n] the bars from each of the `rows` [n] to the one `step` bars later have no gap in all symbols."""
        return self.timestamp[rows + step] - self.timestamp[rows] == step * self.bar_ms


def ewma(values: np.ndarray, halflife: float) -> np.ndarray:
    """Exponentially weighted mean [rows, ...] down the rows, NaN as 0."""
    return pd.DataFrame(np.nan_to_num(values)).ewm(halflife=halflife).mean().to_numpy().reshape(values.shape)


def blocks(clusters: int) -> list[np.ndarray]:
    """The clusters' numbers, cut into BLOCKS spans."""
    return np.array_split(np.arange(clusters), BLOCKS)
