"""Candles and their quality: rows of an exchange or a file made regular, with everything found wrong on record.

Rows are float64 [n, 6]: open time (ms, exact in a float64), open, high, low, close, volume.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired  # typing's own is not enough for pydantic before Python 3.12

import numpy as np
import pandas as pd
from typing_extensions import TypedDict

from common.errors import UserError
from common.files import read_parquet, write_json, write_parquet
from market.intervals import iso, step_ms

COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]
ROUNDING = 1e-6  # share of the price, by which an open or close may lie outside low to high
IMPOSSIBLE = "open or close outside low to high"
FROZEN_BARS = 10  # a run of at least as many bars without volume or movement is called frozen


class Part(NamedTuple):
    """Rows [n, 6] of a window: bars that open in [start, end) ms."""

    rows: np.ndarray
    start: int
    end: int


class Span(TypedDict):
    """Successive bars: open times (ISO) of the first and the last, and how many."""

    first: str
    last: str
    bars: int


class DroppedRow(TypedDict):
    """A row that is no valid bar: its time (ISO), and why."""

    time: str
    reason: str


class Revision(TypedDict):
    """A bar that the exchange changed: open, high, low, close, volume before and after, and when it was seen."""

    time: str
    before: list[float]
    after: list[float]
    seen: str


class PartialBar(TypedDict):
    """A bar made of a part of its finer ones: its time (ISO), and the share of them that is there."""

    time: str
    share: float


class Reading(TypedDict):
    """What was taken for what in files that were read alike."""

    first_file: str
    files: int
    columns: dict[str, str]
    "the kind of table, and for each field the column it is from"


class Quality(TypedDict):
    """What was found wrong with the rows of a window, and what was changed."""

    symbol: str
    interval: str
    start: str
    end: str
    bars: int
    "in the candles"
    expected: int
    "in the window"
    missing: int
    "bars that neither the rows have nor a fill gave"
    missing_spans: list[Span]
    filled: int
    filled_spans: list[Span]
    frozen_spans: list[Span]
    "of ten or more bars without volume or movement; they stay"
    duplicates: int
    "identical rows dropped"
    conflicting: list[str]
    "times of bars whose rows differ; the one of the largest volume, so the fullest, is kept"
    dropped: list[DroppedRow]
    impossible: int
    "of them, rows whose open or close is outside low to high by more than a millionth of the price"
    out_of_order: int
    "rows earlier than the one before"
    lowest: float | None
    highest: float | None
    "of all prices; None where there are no bars"
    revised: list[Revision]
    "bars that the exchange changed after they were first fetched"
    partial: NotRequired[list[PartialBar]]
    "resampled bars of which finer ones are missing"
    read: NotRequired[list[Reading]]
    "what was taken for what in candle files"


def clean(
    rows: np.ndarray,
    symbol: str,
    interval: str,
    start: int,
    end: int,
    fill: int,
    *,
    revised: Sequence[Revision] = (),
    fill_end: bool = False,
) -> tuple[pd.DataFrame, Quality]:
    """Candles with a bar at most once, in order and on the grid, and the record of what was changed. Refuses nothing.

    Parameters
    ----------
    rows: [n, 6], in any order; those outside [start, end) are ignored.
    symbol: for the record.
    start, end: the window in ms, on the interval's grid; bars open in [start, end).
    fill: gaps of up to so many bars are filled with flat bars at the last close, without volume. What is missing before
        the first bar is never filled, what is missing after the last only if `fill_end`: a bar that does not exist yet
        need not be flat.
    revised: bars that the exchange changed, for the record.

    Returns the candles (columns `COLUMNS`) and the record.
    """
    bar_ms = step_ms(interval)
    rows = rows[(rows[:, 0] >= start) & (rows[:, 0] < end)]
    out_of_order = int(np.count_nonzero(np.diff(rows[:, 0]) < 0))
    rows, dropped = valid_rows(rows, bar_ms)
    rows, duplicates, conflicting = deduplicate(rows)
    rows, missing, filled = _fill_gaps(rows, bar_ms, start, end, fill, fill_end)
    candles = pd.DataFrame(rows, columns=COLUMNS).astype({"timestamp": "int64"})
    quality: Quality = {
        "symbol": symbol,
        "interval": interval,
        "start": iso(start),
        "end": iso(end),
        "bars": len(candles),
        "expected": (end - start) // bar_ms,
        "missing": int(missing[:, 1].sum()),
        "missing_spans": _as_spans(missing, bar_ms),
        "filled": int(filled[:, 1].sum()),
        "filled_spans": _as_spans(filled, bar_ms),
        "frozen_spans": _as_spans(frozen_spans(rows, bar_ms), bar_ms),
        "duplicates": duplicates,
        "conflicting": [iso(time) for time in conflicting.tolist()],
        "dropped": dropped,
        "impossible": sum(row["reason"] == IMPOSSIBLE for row in dropped),
        "out_of_order": out_of_order,
        "lowest": float(rows[:, 1:5].min()) if len(rows) else None,
        "highest": float(rows[:, 1:5].max()) if len(rows) else None,
        "revised": list(revised),
    }
    return candles, quality


def merged(records: Sequence[Quality]) -> Quality:
    """The record of a window, given those of its parts in order."""
    whole: dict[str, Any] = dict(records[0])
    for record in records[1:]:
        for key, value in record.items():
            if isinstance(value, (list, int)):
                whole[key] += value
        whole["end"] = record["end"]
    whole["lowest"] = min((low for record in records if (low := record["lowest"]) is not None), default=None)
    whole["highest"] = max((high for record in records if (high := record["highest"]) is not None), default=None)
    return whole  # type: ignore[return-value]


def check_quality(quality: Quality, max_missing: float, max_conflicting: float) -> None:
    """Raise UserError when candles of this record are not fit to learn from: none are left, or the price never moves.

    max_missing, max_conflicting: the largest shares of the window's bars that may be missing (after filling), or have
    rows that differ.
    """
    name, expected, missing = f"{quality['symbol']} {quality['interval']}", quality["expected"], quality["missing"]
    window = f"from {quality['start']} to {quality['end']}"
    if not quality["bars"]:
        invalid = f" ({len(quality['dropped'])} invalid rows)" if quality["dropped"] else ""
        raise UserError(f"{name}: no candles {window}{invalid}; choose another as_of, days or symbol")
    if missing > max_missing * expected:
        longest = max(quality["missing_spans"], key=lambda span: span["bars"])
        raise UserError(
            f"{name}: {missing} of {expected} bars {window} are missing "
            f"({missing / expected:.1%}, {longest['bars']} of them from {longest['first']}), more than "
            f"candles.max_missing {max_missing:.1%}; choose another as_of or fewer days, or raise candles.max_missing"
        )
    conflicting = len(quality["conflicting"])
    if conflicting > max_conflicting * expected:
        raise UserError(
            f"{name}: {conflicting} of {expected} bars have duplicate rows with different values "
            f"({conflicting / expected:.1%}, the first at {quality['conflicting'][0]}), more than "
            f"candles.max_conflicting {max_conflicting:.1%}; correct the data, or raise candles.max_conflicting"
        )
    if quality["lowest"] == quality["highest"]:
        raise UserError(
            f"{name}: the price is constant ({quality['lowest']:g} in all {quality['bars']} bars), so there is nothing "
            "to forecast; choose another symbol or another as_of"
        )


def valid_rows(rows: np.ndarray, bar_ms: int) -> tuple[np.ndarray, list[DroppedRow]]:
    """Rows that are a valid bar, sorted by time (stably), and the others with the reason."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    prices = rows[:, 1:5]
    reasons = {
        "not finite": ~np.isfinite(rows).all(axis=1),
        "off the grid": rows[:, 0] % bar_ms != 0,
        "price not positive": (prices <= 0).any(axis=1),
        "high below low": rows[:, 2] < rows[:, 3],
        "negative volume": rows[:, 5] < 0,
        IMPOSSIBLE: (prices[:, [0, 3]].max(axis=1) > prices[:, 1] * (1 + ROUNDING))
        | (prices[:, [0, 3]].min(axis=1) < prices[:, 2] * (1 - ROUNDING)),
    }
    invalid = np.logical_or.reduce(list(reasons.values()))
    dropped: list[DroppedRow] = [
        {"time": iso(int(rows[index, 0])), "reason": next(reason for reason, hit in reasons.items() if hit[index])}
        for index in np.flatnonzero(invalid)
    ]
    return rows[~invalid], dropped


def deduplicate(rows: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
    """Of sorted rows, one each time: the one of the largest volume, which saw most of its bar.

    Returns the rows, the number of identical rows dropped, and the times [k] of bars whose rows differ.
    """
    same = rows[1:, 0] == rows[:-1, 0]
    if not same.any():
        return rows, 0, np.empty(0)
    twice = np.append(same, False) | np.insert(same, 0, False)
    repeated = rows[twice]
    # by time, then volume, then the rest: identical rows become neighbours, the fullest bar comes last
    repeated = repeated[np.lexsort(repeated[:, [1, 2, 3, 4, 5, 0]].T)]
    identical = np.append(False, (repeated[1:] == repeated[:-1]).all(axis=1))
    repeated = repeated[~identical]
    last = np.append(repeated[1:, 0] != repeated[:-1, 0], True)
    kept = np.concatenate([rows[~twice], repeated[last]])
    kept = kept[np.argsort(kept[:, 0], kind="stable")]
    return kept, int(identical.sum()), np.unique(repeated[~last, 0])


def frozen_spans(rows: np.ndarray, bar_ms: int) -> np.ndarray:
    """Spans [k, 2] (first open time, bars) in which, bar after bar, nothing is traded and the price does not move."""
    still = np.zeros(len(rows), dtype=bool)
    still[1:] = (
        (rows[1:, 5] == 0)
        & (rows[1:, 2] == rows[1:, 3])
        & (rows[1:, 4] == rows[:-1, 4])
        & (np.diff(rows[:, 0]) == bar_ms)
    )
    edges = np.flatnonzero(np.diff(still, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= FROZEN_BARS
    return np.stack([rows[begins[long], 0].astype(np.int64), (ends - begins)[long]], axis=1)


def write_candles(candles_path: str | Path, quality_path: str | Path, candles: pd.DataFrame, quality: Quality) -> None:
    """Write candles (Parquet) and the record of their quality (JSON)."""
    write_parquet(candles_path, candles)
    write_json(quality_path, quality)


def read_candles(path: str | Path, interval: str, columns: list[str] | None = None) -> pd.DataFrame:
    """Candles written by `write_candles`: `columns` of them, `timestamp` first, or all of `COLUMNS`.

    `timestamp` is strictly increasing and on the interval's grid. There may be no rows. Raises UserError when the file
    is damaged or holds something else.
    """
    candles = read_parquet(path, columns)
    wanted = {name: "int64" if name == "timestamp" else "float64" for name in columns or COLUMNS}
    found = {str(name): str(kind) for name, kind in candles.dtypes.items()}
    if found != wanted:
        raise _not_candles(path, interval, f"its columns are {', '.join(found)}")
    timestamp = candles["timestamp"].to_numpy()
    if np.any(timestamp % step_ms(interval)):
        raise _not_candles(path, interval, "some timestamps are off the interval's grid")
    if np.any(np.diff(timestamp) <= 0):
        raise _not_candles(path, interval, "its timestamps are not strictly increasing")
    if not np.isfinite(candles.to_numpy()).all():
        raise _not_candles(path, interval, "some values are not finite")
    return candles


def continued(earlier: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Candles of one symbol from two fetches as one: from the later one's first bar on, only its bars are kept."""
    if later.empty:
        return earlier
    return pd.concat([earlier[earlier["timestamp"] < later["timestamp"].iloc[0]], later], ignore_index=True)


def _not_candles(path: str | Path, interval: str, reason: str) -> UserError:
    return UserError(f"{path}: not a valid {interval} candle file ({reason}); delete it and run again to rebuild it")


def _fill_gaps(
    rows: np.ndarray, bar_ms: int, start: int, end: int, fill: int, fill_end: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Rows with the short gaps between them filled, and the spans [k, 2] (first open time, bars) missing and filled."""
    time = rows[:, 0].astype(np.int64)
    # the gap before the first row, then the one after each
    after = np.diff(np.concatenate([[start - bar_ms], time, [end]])) // bar_ms - 1
    first = np.concatenate([[start - bar_ms], time]) + bar_ms
    short = after <= fill
    short[0] = False
    short[-1] &= fill_end and len(rows) > 0
    filling = after[1:] * short[1:]
    filled_rows = np.repeat(rows, 1 + filling, axis=0)
    position = np.arange(len(filled_rows)) - np.repeat(np.cumsum(1 + filling) - 1 - filling, 1 + filling)
    flat = position > 0
    filled_rows[:, 0] += position * bar_ms
    filled_rows[flat, 1:4] = filled_rows[flat, 4:5]
    filled_rows[flat, 5] = 0
    spans = np.stack([first, after], axis=1)
    return filled_rows, spans[(after > 0) & ~short], spans[(after > 0) & short]


def _as_spans(spans: np.ndarray, bar_ms: int) -> list[Span]:
    """Spans [k, 2] (first open time, bars) as the record has them."""
    return [
        {"first": iso(first), "last": iso(first + (bars - 1) * bar_ms), "bars": bars} for first, bars in spans.tolist()
    ]
