"""Bars of one symbol as arrays, which every member is fitted on and forecasts from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.errors import UserError
from forecasting.folds import contiguous
from market.candles import continued, read_candles
from market.indicators import parkinson, segments
from market.intervals import DAY, step_ms

# windows that a regression or a distribution is fitted on, at most
WINDOWS = 20_000
# a day's variance counts as at most so many times the median day's, and a day is of at least so many bars
EXTREME_DAY, DAY_BARS = 10.0, 24


class InsufficientHistoryError(UserError):
    """A history too short to fit a member on: the member is skipped. The message says what is missing."""


@dataclass(frozen=True)
class Bars:
    """Bars of one symbol, arrays [rows]: open time (ms), close and its log, log of the middle of the range, id of the
    contiguous segment, variance, volume.

    The middle is the geometric mean of high and low. A bar's variance is the mean of two estimates: its squared log
    return, and that from its range (Parkinson). `bar_ms` is a bar's length in milliseconds.
    """

    timestamp: np.ndarray
    close: np.ndarray
    log_close: np.ndarray
    middle: np.ndarray
    segment: np.ndarray
    variance: np.ndarray
    volume: np.ndarray
    bar_ms: int

    @classmethod
    def of(cls, candles: pd.DataFrame, bar_ms: int) -> "Bars":
        """The bars of a frame of candles."""
        timestamp = candles["timestamp"].to_numpy()
        close = candles["close"].to_numpy()
        log_close = np.log(close)
        segment = segments(timestamp, bar_ms)
        high, low = candles["high"].to_numpy(), candles["low"].to_numpy()
        range_variance = parkinson(high, low)
        squared_return = returns(log_close, segment) ** 2
        variance = np.where(np.isnan(squared_return), range_variance, (squared_return + range_variance) / 2)
        middle = np.log(high * low) / 2
        return cls(timestamp, close, log_close, middle, segment, variance, candles["volume"].to_numpy(), bar_ms)

    def before(self, end: int) -> "Bars":
        """The bars that open before `end` (ms)."""
        rows = slice(int(np.searchsorted(self.timestamp, end)))
        return Bars(
            self.timestamp[rows],
            self.close[rows],
            self.log_close[rows],
            self.middle[rows],
            self.segment[rows],
            self.variance[rows],
            self.volume[rows],
            self.bar_ms,
        )

    def windows(self, before: int, after: int) -> np.ndarray:
        """Rows with that many contiguous bars before and after them, at most `WINDOWS` rows, evenly spaced."""
        rows = np.flatnonzero(contiguous(self.segment, before, after))
        if len(rows) <= WINDOWS:
            return rows
        return rows[np.linspace(0, len(rows) - 1, WINDOWS).astype(np.int64)]

    def paths(self, rows: np.ndarray, horizon: int) -> np.ndarray:
        """Realised cumulative log returns [n, horizon] after each of the `rows` [n]."""
        ahead = rows[:, None] + np.arange(1, horizon + 1)
        return self.log_close[ahead] - self.log_close[rows, None]


def read_bars(candles: Sequence[str], live_candles: Sequence[str], interval: str) -> tuple[list[Bars], list[Bars]]:
    """The bars of the files `candles`, and the same continued by the files `live_candles`, where there are any."""
    bar_ms = step_ms(interval)
    frames = [read_candles(path, interval) for path in candles]
    history = [Bars.of(frame, bar_ms) for frame in frames]
    if not live_candles:
        return history, history
    newer = [read_candles(path, interval) for path in live_candles]
    return history, [Bars.of(continued(*pair), bar_ms) for pair in zip(frames, newer, strict=True)]


def first_bar(symbols: Sequence[Bars]) -> int:
    """Open time (ms) of the first bar of any symbol. Raises UserError when there is none."""
    times = [int(bars.timestamp[0]) for bars in symbols if len(bars.timestamp)]
    if not times:
        raise UserError("there are no candles before the end of training; increase days, or use fewer or shorter folds")
    return min(times)


def require_windows(bars: Bars, horizon: int, count: int) -> None:
    """Raise InsufficientHistoryError unless `count` non-overlapping windows of `horizon` bars fit into the segments."""
    found = np.count_nonzero(contiguous(bars.segment, 0, horizon)) // horizon
    if found < count:
        raise InsufficientHistoryError(f"{found} non-overlapping windows of {horizon} bars, {count} needed")


def typical_variance(variance: np.ndarray, bar_ms: int) -> float:
    """Mean of the bars' variances [rows] (NaN is left out), which a break of the market does not dominate.

    It is a winsorised mean of successive days: one beyond `EXTREME_DAY` times their median counts as that much. Where
    the median is 0 it is the plain mean.
    """
    finite = variance[np.isfinite(variance)]
    if not len(finite):
        return 0.0
    days = -(-len(finite) // max(DAY // bar_ms, DAY_BARS))
    means = np.array([part.mean() for part in np.array_split(finite, days)])
    most = EXTREME_DAY * np.median(means)
    return float(np.minimum(means, most).mean() if most else means.mean())


def returns(log_close: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Log return [rows] of each bar, NaN for the first of a contiguous segment."""
    change = np.diff(log_close, prepend=np.nan)
    change[np.diff(segment, prepend=-1) != 0] = np.nan
    return change


def smooth(values: np.ndarray, com: float) -> np.ndarray:
    """Exponentially weighted mean [rows] with a centre of mass of `com` rows, across gaps too."""
    return pd.Series(values).ewm(com=com).mean().to_numpy()
