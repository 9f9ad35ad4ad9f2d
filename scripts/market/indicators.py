"""Indicators of one symbol's candles, as plain functions of arrays: returns, range variances, calendar, segments.

All are causal: a row's value uses that bar and earlier ones, never a later one. TA-Lib does the moving averages.
"""

import numpy as np
import talib

from market.intervals import DAY

# a volatility below this is that of a frozen price
SMALLEST_SCALE = 1e-7
CALENDAR = ["day_sin", "day_cos", "week_sin", "week_cos"]


def segments(timestamp: np.ndarray, bar_ms: int) -> np.ndarray:
    """Id [rows] int32 of the contiguous segment that each row belongs to, counted from 0: a gap begins a new one."""
    return np.cumsum(np.diff(timestamp, prepend=timestamp[:1]) > bar_ms, dtype=np.int32)


def segment_slices(timestamp: np.ndarray, bar_ms: int) -> list[slice]:
    """The rows of each contiguous segment."""
    bounds = np.flatnonzero(np.diff(segments(timestamp, bar_ms), prepend=-1))
    return [slice(first, last) for first, last in zip(bounds, [*bounds[1:], len(timestamp)], strict=True)]


def calendar(timestamp: np.ndarray, bar_ms: int) -> np.ndarray:
    """Sine and cosine [rows, 4] float32 of the time of day and of week at which each bar closes."""
    closes = timestamp + bar_ms
    # 1970 began on a Thursday: the week's phase is shifted, which a sine and cosine pair does not mind
    day, week = (((closes % period) * (2 * np.pi / period)).astype(np.float32) for period in (DAY, 7 * DAY))
    return np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=1)


def log_returns(close: np.ndarray, span: int = 1) -> np.ndarray:
    """Log return over `span` bars, NaN for the first `span` rows."""
    logs = np.log(close)
    returns = np.full(len(logs), np.nan)
    returns[span:] = logs[span:] - logs[:-span]
    return returns


def relative_returns(timestamp: np.ndarray, close: np.ndarray, span: int, bar_ms: int) -> np.ndarray:
    """Log return [rows] of each bar over the root mean square of the last `span` returns, up to and with this one.

    timestamp, close: [rows]. bar_ms: bar length in ms. NaN where a gap (no return reaches over one) leaves fewer than
    `span` returns, or the price is frozen.
    """
    relative = np.full(len(close), np.nan)
    for rows in segment_slices(timestamp, bar_ms):
        if rows.stop - rows.start > span:
            returns = log_returns(close[rows])[1:]
            norm = np.sqrt(trailing_mean(returns**2, span))
            np.divide(returns, norm, out=relative[rows][1:], where=norm >= SMALLEST_SCALE)
    return relative


def parkinson(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Variance of each bar from its range: ln(H/L)² / (4 ln 2). Parkinson (1980), J. Business 53(1)."""
    return np.log(high / low) ** 2 / (4 * np.log(2))


def garman_klass(open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Variance of each bar: ½ ln(H/L)² − (2 ln 2 − 1) ln(C/O)². Garman and Klass (1980), J. Business 53(1)."""
    return 0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * np.log(close / open_) ** 2


def trailing_mean(values: np.ndarray, span: int) -> np.ndarray:
    """Mean [rows] of the last `span` of values that are not negative; NaN for the first `span` - 1 rows."""
    # a running sum can end a hair below zero
    return values if span == 1 else np.maximum(talib.SMA(values, span), 0.0)


def log_ratio(values: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """Logarithm of values / norm [rows] float32, at least that of 0.001; 0 where `norm` is 0."""
    ratio = np.divide(values, norm, out=np.ones_like(values), where=norm > 0)
    # single precision: its logarithm is several times faster, and the features are single precision anyway
    return np.log(np.maximum(ratio, 1e-3).astype(np.float32))
