"""Candles and their quality: what an exchange or a file gave, made regular, with everything found wrong on record.

Rows are float64 [n, 6]: open time (ms, exact in a float64), open, high, low, close, volume.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_parquet, write_json, write_parquet
from market.intervals import iso, step_ms

COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]
FROZEN_BARS = 10  # a run of at least as many bars without volume or movement is called frozen

Quality = dict[str, Any]


def clean(
    rows: np.ndarray,
    symbol: str,
    interval: str,
    start: int,
    end: int,
    fill: int,
    max_missing: float,
    max_conflicting: float,
) -> tuple[pd.DataFrame, Quality]:
    """Candles fit to learn from, and the record of what was wrong with them: `tidy`, then a look at how much is left.

    max_missing, max_conflicting: the largest shares of the window's bars that may be missing (after filling), or come
    twice with different values. Raises UserError when one is exceeded, nothing is left, or the price never moves.
    """
    candles, quality = tidy(rows, symbol, interval, start, end, fill)
    name, expected, missing = f"{symbol} {interval}", quality["expected"], quality["missing"]
    if candles.empty:
        unusable = f" ({len(quality['dropped'])} unusable rows)" if quality["dropped"] else ""
        raise UserError(
            f"{name}: no candles from {iso(start)} to {iso(end)}{unusable}; choose another as_of, days or symbol"
        )
    if missing > max_missing * expected:
        longest = max(quality["missing_spans"], key=lambda span: span["bars"])
        raise UserError(
            f"{name}: {missing} of {expected} bars from {iso(start)} to {iso(end)} are missing "
            f"({missing / expected:.1%}, {longest['bars']} of them from {longest['first']}), more than "
            f"candles.max_missing {max_missing:.1%}; choose another as_of or fewer days, or raise it"
        )
    conflicting = len(quality["conflicting"])
    if conflicting > max_conflicting * expected:
        raise UserError(
            f"{name}: {conflicting} of {expected} bars come more than once with different values "
            f"({conflicting / expected:.1%}, the first at {quality['conflicting'][0]}), more than "
            f"candles.max_conflicting {max_conflicting:.1%}; mend the data, or raise candles.max_conflicting"
        )
    prices = candles[["open", "high", "low", "close"]].to_numpy()
    if np.all(prices == prices[0, 0]):
        raise UserError(
            f"{name}: the price is {prices[0, 0]:g} in all {len(candles)} bars, so there is nothing to forecast; "
            "choose another symbol or another as_of"
        )
    return candles, quality


def tidy(
    rows: np.ndarray, symbol: str, interval: str, start: int, end: int, fill: int
) -> tuple[pd.DataFrame, Quality]:  # fmt: skip
    """Candles with a bar at most once, in order and on the grid, and the record of what was changed. Refuses nothing.

    Parameters
    ----------
    rows: [n, 6], in any order; those outside [start, end) are ignored.
    symbol: as it shall stand in the record.
    start, end: the window in ms, on the interval's grid; bars open in [start, end).
    fill: gaps of up to so many bars are filled with flat bars at the last close, without volume. What is missing before
        the first bar or after the last is never filled: a bar that has not come yet is not known to be flat.

    Returns the candles (columns `COLUMNS`) and a record: `bars` in the candles, `expected` in the window; `missing` and
    `filled` bars and their spans, `frozen_spans` of ten or more bars without volume or movement (they stay);
    `duplicates` (identical rows dropped), `conflicting` (times of bars that came with different values: the one of the
    largest volume, so the fullest, is kept), `dropped` rows with the reason, `out_of_order` rows.
    """
    step = step_ms(interval)
    rows = rows[(rows[:, 0] >= start) & (rows[:, 0] < end)]
    out_of_order = int(np.count_nonzero(np.diff(rows[:, 0]) < 0))
    rows, dropped = usable(rows, step)
    rows, duplicates, conflicting = one_per_time(rows)
    rows, missing, filled = _fill_gaps(rows, step, start, end, fill)
    candles = pd.DataFrame(rows, columns=COLUMNS).astype({"timestamp": "int64"})
    quality = {
        "symbol": symbol,
        "interval": interval,
        "start": iso(start),
        "end": iso(end),
        "bars": len(candles),
        "expected": (end - start) // step,
        "missing": int(missing[:, 1].sum()),
        "missing_spans": _named(missing, step),
        "filled": int(filled[:, 1].sum()),
        "filled_spans": _named(filled, step),
        "frozen_spans": _named(_frozen(rows, step), step),
        "duplicates": duplicates,
        "conflicting": [iso(time) for time in conflicting.tolist()],
        "dropped": dropped,
        "out_of_order": out_of_order,
    }
    return candles, quality


def usable(rows: np.ndarray, step: int) -> tuple[np.ndarray, list[dict[str, str]]]:
    """Rows that can be a bar, sorted by time (stably), and the others as `{time, reason}`."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    prices = rows[:, 1:5]
    reasons = {
        "not finite": ~np.isfinite(rows).all(axis=1),
        "off the grid": rows[:, 0] % step != 0,
        "price not positive": (prices <= 0).any(axis=1),
        "high below low": rows[:, 2] < rows[:, 3],
        "negative volume": rows[:, 5] < 0,
    }
    wrong = np.logical_or.reduce(list(reasons.values()))
    dropped = [
        {"time": iso(int(rows[index, 0])), "reason": next(reason for reason, hit in reasons.items() if hit[index])}
        for index in np.flatnonzero(wrong)
    ]
    return rows[~wrong], dropped


def one_per_time(rows: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
    """Of sorted rows, one each time: the one of the largest volume, which saw most of its bar.

    Returns the rows, the number of identical rows dropped, and the times [k] of bars that came with different values.
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


def write_candles(candles_path: str | Path, quality_path: str | Path, candles: pd.DataFrame, quality: Quality) -> None:
    """Write candles (Parquet) and the record of their quality (JSON)."""
    write_parquet(candles_path, candles)
    write_json(quality_path, quality)


def read_candles(path: str | Path, interval: str, columns: list[str] | None = None) -> pd.DataFrame:
    """Candles written by `write_candles`: `columns` of them, `timestamp` first, or all of `COLUMNS`.

    `timestamp` strictly increases on the interval's grid. There may be no rows. Raises UserError when the file is
    damaged or holds something else.
    """
    candles = read_parquet(path, columns)
    wanted = {name: "int64" if name == "timestamp" else "float64" for name in columns or COLUMNS}
    found = {str(name): str(kind) for name, kind in candles.dtypes.items()}
    if found != wanted:
        raise _not_candles(path, interval, f"its columns are {', '.join(found)}")
    timestamp = candles["timestamp"].to_numpy()
    if np.any(timestamp % step_ms(interval)):
        raise _not_candles(path, interval, "some bars are off the interval's grid")
    if np.any(np.diff(timestamp) <= 0):
        raise _not_candles(path, interval, "its times do not increase")
    if not np.isfinite(candles.to_numpy()).all():
        raise _not_candles(path, interval, "some values are not finite")
    return candles


def continued(earlier: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Candles of one symbol from two fetches as one: where both have a bar's time, and after, the later ones stand."""
    return pd.concat([earlier[earlier["timestamp"] < later["timestamp"].min()], later], ignore_index=True)


def _not_candles(path: str | Path, interval: str, reason: str) -> UserError:
    return UserError(f"{path}: these are no {interval} candles ({reason}); delete it and run again to rebuild it")


def _fill_gaps(
    rows: np.ndarray, step: int, start: int, end: int, fill: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Rows with the short gaps between them filled, and the spans [k, 2] (first open time, bars) missing and filled."""
    time = rows[:, 0].astype(np.int64)
    # the gap before the first row, then the one after each
    after = np.diff(np.concatenate([[start - step], time, [end]])) // step - 1
    first = np.concatenate([[start - step], time]) + step
    short = after <= fill
    short[[0, -1]] = False
    filling = after[1:] * short[1:]
    filled_rows = np.repeat(rows, 1 + filling, axis=0)
    position = np.arange(len(filled_rows)) - np.repeat(np.cumsum(1 + filling) - 1 - filling, 1 + filling)
    made = position > 0
    filled_rows[:, 0] += position * step
    filled_rows[made, 1:4] = filled_rows[made, 4:5]
    filled_rows[made, 5] = 0
    spans = np.stack([first, after], axis=1)
    return filled_rows, spans[(after > 0) & ~short], spans[(after > 0) & short]


def _frozen(rows: np.ndarray, step: int) -> np.ndarray:
    """Spans [k, 2] (first open time, bars) in which, bar after bar, nothing was traded and the price stood still."""
    still = np.zeros(len(rows), dtype=bool)
    still[1:] = (
        (rows[1:, 5] == 0)
        & (rows[1:, 2] == rows[1:, 3])
        & (rows[1:, 4] == rows[:-1, 4])
        & (np.diff(rows[:, 0]) == step)
    )
    edges = np.flatnonzero(np.diff(still, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= FROZEN_BARS
    return np.stack([rows[begins[long], 0].astype(np.int64), (ends - begins)[long]], axis=1)


def _named(spans: np.ndarray, step: int) -> list[dict[str, Any]]:
    """Spans [k, 2] (first open time, bars) as the record tells them: open times of the first and last bar, and bars."""
    return [
        {"first": iso(first), "last": iso(first + (bars - 1) * step), "bars": bars} for first, bars in spans.tolist()
    ]
