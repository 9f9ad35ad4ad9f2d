"""The features of one symbol's candles, and the registry that lists them.

Every feature is causal and has finite memory, or one that has faded below 1e-9 after `warm_up` bars: a longer history
gives the same values. To add one, write a function of a `Segment` and add a line to `FEATURES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import talib

from market.indicators import (
    CALENDAR,
    SMALLEST_SCALE,
    calendar,
    garman_klass,
    log_ratio,
    log_returns,
    parkinson,
    segment_slices,
    segments,
    trailing_mean,
)
from market.warmup import RSI_BARS, warm_up

KEYS = ["timestamp", "segment", "close", "scale"]  # columns of a features file that are no features
OTHERS_RETURN = "others_return"  # the other symbols' mean relative return


@dataclass(frozen=True)
class Segment:
    """A contiguous segment of candles, [rows] each, and what several features share."""

    spans: Sequence[int]
    "bars over which features are computed, strictly increasing"
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    timestamp: np.ndarray
    "open times, ms"

    def since(self, row: int) -> "Segment":
        """The segment without the rows before this one."""
        columns = (self.open, self.high, self.low, self.close, self.volume, self.timestamp)
        return Segment(self.spans, *(column[row:] for column in columns))

    @cached_property
    def variance(self) -> dict[int, np.ndarray]:
        """Mean square of the one-bar log returns over each span."""
        squares = np.nan_to_num(log_returns(self.close)) ** 2
        return {span: trailing_mean(squares, span) for span in self.spans}

    @cached_property
    def scale(self) -> np.ndarray:
        """Volatility of one bar: root of the variances' mean over the spans."""
        return np.sqrt(np.mean(list(self.variance.values()), axis=0))

    @cached_property
    def deviation(self) -> np.ndarray:
        """`scale`, never 0."""
        return np.maximum(self.scale, SMALLEST_SCALE)

    @cached_property
    def mean_volume(self) -> np.ndarray:
        """Mean volume over the longest span."""
        return trailing_mean(self.volume, max(self.spans))


def scaled_return(segment: Segment, span: int) -> np.ndarray:
    """Log return over the span, in units of scale · √span."""
    return log_returns(segment.close, span) / (segment.deviation * np.sqrt(span))


def realised_volatility(segment: Segment, span: int) -> np.ndarray:
    """Logarithm of the span's realised volatility over the scale."""
    return log_ratio(segment.variance[span], segment.deviation**2) / 2


def parkinson_volatility(segment: Segment, span: int) -> np.ndarray:
    """Logarithm of Parkinson's volatility over the scale."""
    variance = parkinson(segment.high, segment.low)
    return log_ratio(trailing_mean(variance, span), segment.deviation**2) / 2


def garman_klass_volatility(segment: Segment, span: int) -> np.ndarray:
    """Logarithm of Garman and Klass' volatility over the scale."""
    variance = garman_klass(segment.open, segment.high, segment.low, segment.close)
    return log_ratio(trailing_mean(variance, span), segment.deviation**2) / 2


def average_distance(segment: Segment, span: int) -> np.ndarray:
    """Log close less its moving average, in units of scale · √span."""
    log_close = np.log(segment.close)
    return (log_close - talib.SMA(log_close, span)) / (segment.deviation * np.sqrt(span))


def relative_volume(segment: Segment, span: int) -> np.ndarray:
    """Logarithm of the span's mean volume over that of the longest span."""
    return log_ratio(trailing_mean(segment.volume, span), segment.mean_volume)


def rsi(segment: Segment, span: int) -> np.ndarray:
    """Wilder's relative strength index over `RSI_BARS` bars, from -1 to 1."""
    return talib.RSI(segment.close, RSI_BARS) / 50 - 1


def log_scale(segment: Segment, span: int) -> np.ndarray:
    """Logarithm of the scale."""
    return np.log(segment.deviation)


class Feature(NamedTuple):
    """A column, or one for each of several spans."""

    name: str
    "of the column; {span} becomes the span"
    values: Callable[[Segment, int], np.ndarray]
    "of a segment and a span: the column [rows]"
    spans: Callable[[Sequence[int]], list[int]]
    "of the config's features.spans: the spans to make a column for"


def _each(spans: Sequence[int]) -> list[int]:
    return list(spans)


def _longest(spans: Sequence[int]) -> list[int]:
    return [max(spans)]


FEATURES = (
    Feature("return_{span}", scaled_return, lambda spans: [1, *spans]),
    Feature("volatility_{span}", realised_volatility, _each),
    Feature("parkinson_{span}", parkinson_volatility, _longest),
    Feature("garman_klass_{span}", garman_klass_volatility, _longest),
    Feature("average_distance_{span}", average_distance, _longest),
    Feature("volume_{span}", relative_volume, lambda spans: [1, min(spans)]),
    Feature("rsi", rsi, _longest),
    Feature("log_scale", log_scale, _longest),
)


def feature_names(spans: Sequence[int], others: bool, extra: Sequence[Feature] = ()) -> list[str]:
    """Names of the feature columns, in their order; `others` when more than one symbol is in the run."""
    names = [feature.name.format(span=span) for feature in (*FEATURES, *extra) for span in feature.spans(spans)]
    return [*names, *([OTHERS_RETURN] if others else []), *CALENDAR]


def compute_features(
    candles: pd.DataFrame,
    others: pd.DataFrame | None,
    spans: Sequence[int],
    bar_ms: int,
    extra: Sequence[Feature] = (),
) -> pd.DataFrame:
    """Features of one symbol: the columns `KEYS` and `feature_names`.

    candles: the symbol's candles (see market.candles). others: `timestamp, relative_return`, the mean over the other
    symbols of their `relative_returns` over max(spans) bars, or None; where it is missing the feature is 0. spans: in
    bars. bar_ms: bar length in ms. extra: features beside those of the registry. Rows without valid features are
    dropped: the first `warm_up(spans)` of every contiguous segment, and those of a frozen price.
    """
    slices = segment_slices(candles["timestamp"].to_numpy(), bar_ms)
    parts = [
        _segment_features(candles.iloc[rows], spans, (*FEATURES, *extra))
        for rows in slices
        if rows.stop - rows.start > warm_up(spans)
    ]
    names = feature_names(spans, others is not None, extra)
    if not parts:
        return pd.DataFrame({name: [] for name in [*KEYS, *names]})
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[frame["scale"] >= SMALLEST_SCALE].reset_index(drop=True)
    timestamp = frame["timestamp"].to_numpy()
    frame["segment"] = segments(timestamp, bar_ms)
    frame[CALENDAR] = calendar(timestamp, bar_ms)
    if others is not None:
        frame[OTHERS_RETURN] = _at(others, timestamp).astype(np.float32)
    return frame[[*KEYS, *names]]


def _segment_features(candles: pd.DataFrame, spans: Sequence[int], features: Sequence[Feature]) -> pd.DataFrame:
    """The features of the candles of one contiguous segment, its first `warm_up(spans)` rows dropped."""
    columns = (candles[name].to_numpy() for name in ("open", "high", "low", "close", "volume", "timestamp"))
    segment = Segment(spans, *columns)
    warm = slice(warm_up(spans), None)
    frame = {
        "timestamp": segment.timestamp[warm],
        "close": segment.close[warm],
        "scale": segment.scale[warm],
    }
    for feature in features:
        for span in feature.spans(spans):
            frame[feature.name.format(span=span)] = feature.values(segment, span)[warm].astype(np.float32)
    return pd.DataFrame(frame)


def _at(others: pd.DataFrame, timestamp: np.ndarray) -> np.ndarray:
    """The others' mean relative return at each timestamp; 0 where they have none."""
    return others.set_index("timestamp")["relative_return"].reindex(timestamp).fillna(0.0).to_numpy()
