"""Bars of one symbol as arrays, which every member is fitted on and forecasts from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.errors import UserError
from forecasting.folds import unbroken
from market.candles import continued, read_candles
from market.indicators import parkinson, segments
from market.intervals import step_ms

# windows that a regression or a distribution is fitted on, at most
WINDOWS = 20_000


class TooShortError(UserError):
    """A history that a member cannot be fitted on, so that it sits out; the message says how short it is."""


@dataclass(frozen=True)
class Bars:
    """Bars of one symbol, all [rows]: open time (ms), log close, id of the unbroken run, variance, volume.

    A bar's variance is the mean of two estimates: its squared log return, and that from its range (Parkinson).
    """

    timestamp: np.ndarray
    log_close: np.ndarray
    segment: np.ndarray
    variance: np.ndarray
    volume: np.ndarray
    step: int

    @classmethod
    def of(cls, candles: pd.DataFrame, step: int) -> "Bars":
        """The bars of candles. `step` is a bar's length in ms."""
        timestamp = candles["timestamp"].to_numpy()
        log_close = np.log(candles["close"].to_numpy())
        segment = segments(timestamp, step)
        ranged = parkinson(candles["high"].to_numpy(), candles["low"].to_numpy())
        moved = returns(log_close, segment) ** 2
        variance = np.where(np.isnan(moved), ranged, (moved + ranged) / 2)
        return cls(timestamp, log_close, segment, variance, candles["volume"].to_numpy(), step)

    def before(self, end: int) -> "Bars":
        """Those that open before `end`."""
        rows = slice(int(np.searchsorted(self.timestamp, end)))
        return Bars(
            self.timestamp[rows],
            self.log_close[rows],
            self.segment[rows],
            self.variance[rows],
            self.volume[rows],
            self.step,
        )

    def windows(self, behind: int, ahead: int) -> np.ndarray:
        """Rows with that many unbroken bars behind and ahead, at most `WINDOWS` of them, evenly spread."""
        rows = np.flatnonzero(unbroken(self.segment, behind, ahead))
        if len(rows) <= WINDOWS:
            return rows
        return rows[np.linspace(0, len(rows) - 1, WINDOWS).astype(np.int64)]

    def paths(self, rows: np.ndarray, horizon: int) -> np.ndarray:
        """Cumulative log returns [rows, horizon] that followed each row."""
        ahead = rows[:, None] + np.arange(1, horizon + 1)
        return self.log_close[ahead] - self.log_close[rows, None]


def read_bars(candles: Sequence[str], later: Sequence[str], interval: str) -> tuple[list[Bars], list[Bars]]:
    """The bars of the files `candles`, and those with which the files `later` go on; without these, the same again."""
    step = step_ms(interval)
    known = [read_candles(path, interval) for path in candles]
    newer = [read_candles(path, interval) for path in later]
    now = [continued(own, new) for own, new in zip(known, newer, strict=True)] if newer else known
    history = [Bars.of(own, step) for own in known]
    return history, [Bars.of(own, step) for own in now] if newer else history


def first_bar(symbols: Sequence[Bars]) -> int:
    """Open time (ms) of the first bar of any symbol. Raises UserError when there is none."""
    times = [int(bars.timestamp[0]) for bars in symbols if len(bars.timestamp)]
    if not times:
        raise UserError("the candles hold no bar before the training ends; give more days, or fewer or shorter folds")
    return min(times)


def enough(bars: Bars, horizon: int, windows: int) -> None:
    """Raise TooShortError unless that many windows of `horizon` bars without overlap fit into the unbroken bars."""
    held = np.count_nonzero(unbroken(bars.segment, 0, horizon)) // horizon
    if held < windows:
        raise TooShortError(f"{held} windows of {horizon} bars, of {windows} needed")


def returns(log_close: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Log return [rows] of each bar, NaN for the first of an unbroken run."""
    moves = np.diff(log_close, prepend=np.nan)
    moves[np.diff(segment, prepend=-1) != 0] = np.nan
    return moves
