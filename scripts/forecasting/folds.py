"""Rolling-origin folds: which bars a model may train on, and the origins it is tested at.

Times are bar open times in milliseconds; a span is half open, [start, end).

    ...── training ──┤ embargo ├── test span of fold k ──┤── test span of fold k+1 ──┤ … ┤ as_of
                 train_end  test_start              test_end
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.errors import UserError
from market.intervals import iso

LIVE = "live"


@dataclass(frozen=True)
class Fold:
    """Training may use bars before `train_end`; origins and what they forecast lie in [test_start, test_end)."""

    name: str
    train_end: int
    test_start: int
    test_end: int


def make_fold(name: str, as_of: int, step: int, count: int, test_bars: int, embargo: int) -> Fold:
    """The fold of that name: "0" to "count - 1" in time's order, or "live", whose training may use all before as_of.

    The test spans tile the last `count · test_bars` bars.
    """
    if name == LIVE:
        return Fold(LIVE, as_of, as_of, as_of)
    test_end = as_of - (count - 1 - int(name)) * test_bars * step
    test_start = test_end - test_bars * step
    return Fold(name, test_start - embargo * step, test_start, test_end)


def validation_fold(fold: Fold, first: int, share: float, step: int) -> Fold:
    """The last `share` of the time from `first` (ms) to the fold's training end, as a fold of its own: what is fitted
    before it is judged on it, without a look at the test span. No embargo: a training window ends before `train_end`.
    """
    start = fold.train_end - round((fold.train_end - first) * share / step) * step
    return Fold(f"{fold.name} (validation)", start, start, fold.train_end)


def unbroken(segment: np.ndarray, behind: int, ahead: int) -> np.ndarray:
    """Mask of the rows with `behind` rows before and `ahead` rows after them in the same segment.

    `segment` [rows] holds the id of each row's unbroken run of bars, in increasing order.
    """
    rows = len(segment)
    fits = np.zeros(rows, dtype=bool)
    if rows > behind + ahead:
        fits[behind : rows - ahead] = segment[: rows - behind - ahead] == segment[behind + ahead :]
    return fits


def test_origins(features: pd.DataFrame, fold: Fold, step: int, lookback: int, horizon: int, stride: int) -> np.ndarray:
    """Row positions of the fold's test origins in one symbol's features, every `stride` bars of the fold.

    Each has `lookback` bars behind it (itself included) and `horizon` bars ahead without a gap, and everything that
    it forecasts lies in the test span. The grid of origins is the fold's, so all symbols share it.
    """
    timestamp = features["timestamp"].to_numpy()
    return np.flatnonzero(
        unbroken(features["segment"].to_numpy(), lookback - 1, horizon)
        & (timestamp >= fold.test_start)
        & (timestamp + horizon * step < fold.test_end)
        & ((timestamp - fold.test_start) % (stride * step) == 0)
    )


def training_origins(features: pd.DataFrame, train_end: int, step: int, lookback: int, horizon: int) -> np.ndarray:
    """Row positions of all origins whose unbroken window, targets included, ends before `train_end`."""
    timestamp = features["timestamp"].to_numpy()
    fits = unbroken(features["segment"].to_numpy(), lookback - 1, horizon)
    return np.flatnonzero(fits & (timestamp + horizon * step < train_end))


def live_origin(features: pd.DataFrame, as_of: int, step: int, lookback: int, symbol: str) -> np.ndarray:
    """Row position [1] of the bar that closes at `as_of`.

    Raises UserError when it is missing or has fewer than `lookback` unbroken bars behind it.
    """
    fits = unbroken(features["segment"].to_numpy(), lookback - 1, 0)
    found = np.flatnonzero(fits & (features["timestamp"].to_numpy() == as_of - step))
    if not len(found):
        raise UserError(
            f"as_of: the {lookback} bars of {symbol} before {iso(as_of)} are not unbroken in the candles; "
            "take another as_of, or a smaller lookback"
        )
    return found


def fold_origins(
    frames: Sequence[pd.DataFrame],
    symbols: Sequence[str],
    fold: Fold,
    step: int,
    lookback: int,
    horizon: int,
    stride: int,
) -> list[np.ndarray]:
    """Row positions of the fold's origins in each symbol's features: `live_origin` or `test_origins`.

    `frames` are in the order of `symbols`. A symbol with less than a horizon of training windows has none: it is not
    forecast before it has a history. Raises UserError when no symbol has one, or a live one is missing.
    """
    if fold.name == LIVE:
        named = zip(frames, symbols, strict=True)
        return [live_origin(frame, fold.test_end, step, lookback, symbol) for frame, symbol in named]
    found = [
        test_origins(frame, fold, step, lookback, horizon, stride)
        if len(training_origins(frame, fold.train_end, step, lookback, horizon)) >= horizon
        else np.empty(0, dtype=np.int64)
        for frame in frames
    ]
    if not any(map(len, found)):
        raise UserError(
            f"fold {fold.name}: no symbol has a history, and {lookback} + {horizon} bars without a gap for an origin "
            f"between {iso(fold.test_start)} and {iso(fold.test_end)}; give more days, longer folds, or another as_of"
        )
    return found
