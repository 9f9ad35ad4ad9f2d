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
from forecasting.task import Task
from market.intervals import iso

LIVE = "live"


@dataclass(frozen=True)
class Fold:
    """Training may use bars before `train_end`; origins and their targets lie in [test_start, test_end)."""

    name: str
    train_end: int
    test_start: int
    test_end: int


@dataclass(frozen=True)
class FoldScheme:
    """How a history is cut into folds: the config's section `folds`, without its stride.

    The test spans tile the last `count · test_bars` bars. embargo: bars between a fold's training and its test span.
    validation_fraction: share of a training span, at its end, that validates. validation_origins: of all symbols, at
    which members are compared there, at most; None: no limit.
    """

    count: int
    test_bars: int
    embargo: int
    validation_fraction: float
    validation_origins: int | None = None

    def fold(self, name: str, as_of: int, bar_ms: int, live_as_of: int | None = None) -> Fold:
        """The fold of that name: "0" to "count - 1" in time's order, or "live", whose training may use all bars before
        `as_of` (ms), the training cutoff, and which ends at the live one."""
        if name == LIVE:
            return Fold(LIVE, as_of, as_of, as_of if live_as_of is None else live_as_of)
        test_end = as_of - (self.count - 1 - int(name)) * self.test_bars * bar_ms
        test_start = test_end - self.test_bars * bar_ms
        return Fold(name, test_start - self.embargo * bar_ms, test_start, test_end)

    def validation(self, fold: Fold, first: int, bar_ms: int) -> Fold:
        """The validation span of a fold's training, as a fold: members are fitted before it and compared on it, and the
        test span stays unseen. first: open time (ms) of the first bar. It needs no embargo, since training windows end
        before `train_end`.
        """
        bars = round((fold.train_end - first) * self.validation_fraction / bar_ms)
        start = fold.train_end - bars * bar_ms
        return Fold(f"{fold.name} (validation)", start, start, fold.train_end)


def contiguous(segment: np.ndarray, before: int, after: int) -> np.ndarray:
    """Mask [rows] of the rows with `before` rows before and `after` rows after them in the same contiguous segment.

    `segment` [rows] holds the id of each row's segment, in increasing order.
    """
    rows = len(segment)
    fits = np.zeros(rows, dtype=bool)
    if rows > before + after:
        fits[before : rows - after] = segment[: rows - before - after] == segment[before + after :]
    return fits


def test_origins(features: pd.DataFrame, fold: Fold, task: Task, stride: int) -> np.ndarray:
    """Row positions of the fold's test origins in one symbol's features, every `stride` bars of the fold.

    Each has `lookback` contiguous bars up to it (itself included) and `horizon` after it, and all its targets lie in
    the test span. The grid of origins is the fold's, so all symbols share it.
    """
    timestamp = features["timestamp"].to_numpy()
    return np.flatnonzero(
        contiguous(features["segment"].to_numpy(), task.lookback - 1, task.horizon)
        & (timestamp >= fold.test_start)
        & (timestamp + task.horizon * task.bar_ms < fold.test_end)
        & ((timestamp - fold.test_start) % (stride * task.bar_ms) == 0)
    )


def training_origins(features: pd.DataFrame, train_end: int, task: Task) -> np.ndarray:
    """Row positions of all origins whose contiguous window, targets included, ends before `train_end` (ms)."""
    timestamp = features["timestamp"].to_numpy()
    fits = contiguous(features["segment"].to_numpy(), task.lookback - 1, task.horizon)
    return np.flatnonzero(fits & (timestamp + task.horizon * task.bar_ms < train_end))


def live_origins(features: pd.DataFrame, fold: Fold, task: Task, stride: int, symbol: str) -> np.ndarray:
    """Row positions [n] in one symbol's features: last that of the bar that closes at the fold's end, the live origin;
    before it those of every `stride` bars since training, whose outcomes calibrate and weigh its forecast.

    As test origins these have `lookback` contiguous bars up to them and `horizon` after them, as far as these are over.
    Raises UserError when the last bar is missing or is not the last of `lookback` contiguous bars.
    """
    timestamp, segment = features["timestamp"].to_numpy(), features["segment"].to_numpy()
    fits = contiguous(segment, task.lookback - 1, 0)
    last = timestamp == fold.test_end - task.bar_ms
    if not (fits & last).any():
        raise UserError(
            f"as_of: {symbol} has no {task.lookback} contiguous bars before {iso(fold.test_end)}; "
            "choose another as_of, or a smaller lookback"
        )
    ahead = np.minimum(np.arange(len(segment)) + task.horizon, np.flatnonzero(last)[0])
    since = (timestamp >= fold.test_start) & ((timestamp - fold.test_start) % (stride * task.bar_ms) == 0)
    return np.flatnonzero(fits & (last | since & (segment == segment[ahead])))


def fold_origins(
    frames: Sequence[pd.DataFrame], symbols: Sequence[str], fold: Fold, task: Task, stride: int
) -> list[np.ndarray]:
    """Row positions of the fold's origins in each symbol's features: `live_origins` or `test_origins`.

    `frames` are in the order of `symbols`. A symbol with fewer than `horizon` training windows has no origin: it is not
    forecast without a history. Raises UserError when no symbol has an origin, or a live one is missing.
    """
    if fold.name == LIVE:
        named = zip(frames, symbols, strict=True)
        return [live_origins(frame, fold, task, stride, symbol) for frame, symbol in named]
    found = [
        test_origins(frame, fold, task, stride)
        if len(training_origins(frame, fold.train_end, task)) >= task.horizon
        else np.empty(0, dtype=np.int64)
        for frame in frames
    ]
    if not any(map(len, found)):
        raise UserError(
            f"fold {fold.name}: no symbol has training windows and an origin with {task.lookback} + {task.horizon} "
            f"contiguous bars between {iso(fold.test_start)} and {iso(fold.test_end)}; "
            "increase days or folds.test_bars, or choose another as_of"
        )
    return found
