"""Causal indicators of one symbol's candles: a row's values use that bar and earlier ones, never a later one.

Everything here has finite memory, or a memory that has faded below 1e-9 after `warm_up` bars, so a longer history
gives the same values. TA-Lib does the moving averages and the RSI.
"""

import numpy as np
import pandas as pd
import talib

from market.intervals import DAY
from market.warmup import RSI_BARS, warm_up

# below this a bar's volatility is a frozen price, not a market
SMALLEST_SCALE = 1e-7
CALENDAR = ["day_sin", "day_cos", "week_sin", "week_cos"]
CROSS = "others_return"


def feature_names(spans: list[int], others: bool) -> list[str]:
    """Names of the feature columns, in their order; `others` when more than one symbol is in the run."""
    return [
        *(f"return_{span}" for span in [1, *spans]),
        *(f"volatility_{span}" for span in spans),
        *(f"{kind}_{max(spans)}" for kind in ("parkinson", "garman_klass", "average_distance")),
        *(f"volume_{span}" for span in (1, min(spans))),
        "rsi",
        "log_scale",
        *([CROSS] if others else []),
        *CALENDAR,
    ]


def segments(timestamp: np.ndarray, step: int) -> np.ndarray:
    """Id [rows] int32 of the unbroken run of bars that each row belongs to, counted from 0."""
    return np.cumsum(np.diff(timestamp, prepend=timestamp[:1]) > step, dtype=np.int32)


def features(candles: pd.DataFrame, others: pd.DataFrame | None, spans: list[int], step: int) -> pd.DataFrame:
    """Features of one symbol: `timestamp, segment, close, scale` and the columns of `feature_names`.

    candles: the symbol's candles (see market.candles). others: `timestamp, relative_return`, the mean over the other
    symbols of their `relative_returns` over max(spans) bars, or None; where it is missing the feature is 0. spans: in
    bars. step: bar length in ms. Rows that are not warm are dropped: the first `warm_up(spans)` of every unbroken run,
    and those of a frozen price.
    """
    unbroken = _unbroken(candles["timestamp"].to_numpy(), step)
    runs = [_run(candles.iloc[rows], spans) for rows in unbroken if rows.stop - rows.start > warm_up(spans)]
    names = feature_names(spans, others is not None)
    if not runs:
        return pd.DataFrame({name: [] for name in ["timestamp", "segment", "close", "scale", *names]})
    frame = pd.concat(runs, ignore_index=True)
    frame = frame[frame["scale"] >= SMALLEST_SCALE].reset_index(drop=True)
    kept = frame["timestamp"].to_numpy()
    frame["segment"] = segments(kept, step)
    frame[CALENDAR] = calendar(kept, step)
    if others is not None:
        frame[CROSS] = _at(others, kept).astype(np.float32)
    return frame[["timestamp", "segment", "close", "scale", *names]]


def calendar(timestamp: np.ndarray, step: int) -> np.ndarray:
    """Sine and cosine [rows, 4] float32 of the time of day and of week at which each bar closes."""
    closes = timestamp + step
    # 1970 began on a Thursday: the week's phase is shifted, which a sine and cosine pair does not mind
    day, week = (((closes % period) * (2 * np.pi / period)).astype(np.float32) for period in (DAY, 7 * DAY))
    return np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=1)


def log_returns(close: np.ndarray, span: int = 1) -> np.ndarray:
    """Log return over `span` bars, NaN for the first `span` rows."""
    logs = np.log(close)
    returns = np.full(len(logs), np.nan)
    returns[span:] = logs[span:] - logs[:-span]
    return returns


def relative_returns(timestamp: np.ndarray, close: np.ndarray, span: int, step: int) -> np.ndarray:
    """Log return [rows] of each bar over the root mean square of the last `span` of them, its own included.

    timestamp, close: [rows]. step: bar length in ms. Where a gap (a return over one is none) leaves fewer than `span`
    returns behind, or the price stood still, it is NaN.
    """
    relative = np.full(len(close), np.nan)
    for rows in _unbroken(timestamp, step):
        if rows.stop - rows.start > span:
            returns = log_returns(close[rows])[1:]
            norm = np.sqrt(_mean(returns**2, span))
            np.divide(returns, norm, out=relative[rows][1:], where=norm >= SMALLEST_SCALE)
    return relative


def parkinson(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Variance of each bar from its range: ln(H/L)² / (4 ln 2). Parkinson (1980), J. Business 53(1)."""
    return np.log(high / low) ** 2 / (4 * np.log(2))


def garman_klass(open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Variance of each bar: ½ ln(H/L)² − (2 ln 2 − 1) ln(C/O)². Garman and Klass (1980), J. Business 53(1)."""
    return 0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * np.log(close / open_) ** 2


def _unbroken(timestamp: np.ndarray, step: int) -> list[slice]:
    """The rows of each unbroken run of bars."""
    bounds = np.flatnonzero(np.diff(segments(timestamp, step), prepend=-1))
    return [slice(first, last) for first, last in zip(bounds, [*bounds[1:], len(timestamp)], strict=True)]


def _run(candles: pd.DataFrame, spans: list[int]) -> pd.DataFrame:
    """Features of one unbroken run of bars, its first `warm_up(spans)` rows dropped."""
    open_, high, low, close, volume = (candles[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    longest = max(spans)
    log_close = np.log(close)
    squares = np.nan_to_num(log_returns(close)) ** 2
    variances = {span: _mean(squares, span) for span in spans}
    scale = np.sqrt(np.mean(list(variances.values()), axis=0))
    deviation = np.maximum(scale, SMALLEST_SCALE)
    norm = _mean(volume, longest)

    columns = {f"return_{span}": log_returns(close, span) / (deviation * np.sqrt(span)) for span in [1, *spans]}
    columns |= {f"volatility_{span}": _log_ratio(variances[span], deviation**2) / 2 for span in spans}
    ranges = {"parkinson": parkinson(high, low), "garman_klass": garman_klass(open_, high, low, close)}
    columns |= {f"{kind}_{longest}": _log_ratio(_mean(x, longest), deviation**2) / 2 for kind, x in ranges.items()}
    distance = log_close - talib.SMA(log_close, longest)
    columns[f"average_distance_{longest}"] = distance / (deviation * np.sqrt(longest))
    columns |= {f"volume_{span}": _log_ratio(_mean(volume, span), norm) for span in (1, min(spans))}
    columns["rsi"] = talib.RSI(close, RSI_BARS) / 50 - 1
    columns["log_scale"] = np.log(deviation)

    warm = slice(warm_up(spans), None)
    frame = {"timestamp": candles["timestamp"].to_numpy()[warm], "close": close[warm], "scale": scale[warm]}
    return pd.DataFrame(frame | {name: column[warm].astype(np.float32) for name, column in columns.items()})


def _mean(values: np.ndarray, span: int) -> np.ndarray:
    """Trailing mean over `span` bars of values that are not negative."""
    # a running sum can end a hair below zero
    return values if span == 1 else np.maximum(talib.SMA(values, span), 0.0)


def _log_ratio(values: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """Logarithm of values / norm, kept finite: a thousandth of the norm is the floor; 0 where there is no norm."""
    ratio = np.divide(values, norm, out=np.ones_like(values), where=norm > 0)
    # single precision: its logarithm is several times faster, and the columns are single anyway
    return np.log(np.maximum(ratio, 1e-3).astype(np.float32))


def _at(others: pd.DataFrame, timestamp: np.ndarray) -> np.ndarray:
    """The others' mean relative return at each timestamp; 0 where they have none."""
    return others.set_index("timestamp")["relative_return"].reindex(timestamp).fillna(0.0).to_numpy()
