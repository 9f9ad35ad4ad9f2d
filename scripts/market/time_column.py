"""Which column of a table is the opening time of its bars: regular as bars are, and on their grid."""

import re
from itertools import product

import numpy as np
import pandas as pd

from common.errors import UserError
from market.columns import Column, described
from market.times import parse_times, regularity

TIME_NAMES = {
    "timestamp", "time", "date", "datetime", "open time", "opentime", "unix", "unix time", "unix timestamp", "ts", "t",
    "start", "start time", "begin", "time open", "time period start", "open timestamp", "utc", "gmt time", "index", "",
    "time utc", "date utc", "timestamp ms", "epoch", "unnamed: 0", "starttime", "open date", "dt", "mts",
}  # fmt: skip
CLOSING_NAMES = {"close time", "closetime", "time close", "time period end", "end", "end time", "close timestamp"}
UNIT_OF_CLOSE = (1, 1000)  # ms from a closing time such as 23:59:59.999 or 23:59:59 to the next open


def find_time(columns: list[Column]) -> tuple[np.ndarray, Column, str]:
    """Open times [n] (ms), the column they are from, and what they were taken for. Raises UserError."""
    named = [column for column in columns if column.name in TIME_NAMES | CLOSING_NAMES]
    reasons: dict[str, str] = {}
    found = _readable_times(named, reasons) or _readable_times([c for c in columns if c not in named], {}, sure=True)
    if not found:
        raise UserError(
            "; ".join(f"invalid candle file: {label}: {reason}" for label, reason in reasons.items())
            or f"not a candle file: no column is a time; {described(columns)}"
        )
    found.sort(key=_fitness, reverse=True)
    times, column, unit = found[0]
    opens = opening_times(times, column)
    if opens is not times:
        unit += ", closing times turned into opening times"
    return opens, column, unit


def _readable_times(
    columns: list[Column], reasons: dict[str, str], sure: bool = False
) -> list[tuple[np.ndarray, Column, str]]:  # fmt: skip
    """Columns that are times, and a date with the clock beside it. sure: only those whose steps are those of bars."""
    clocks = [column for column in columns if _matches(column, r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?")]
    joined = [
        Column(f"{day.label} {clock.label}", "", day.values.astype(str).str.cat(clock.values.astype(str), sep=" "))
        for day, clock in product(columns, clocks)
        if day is not clock and _matches(day, r"[\d./-]{6,10}")
    ]
    found = []
    for column in [*joined, *(column for column in columns if column not in clocks)]:
        try:
            times, unit = times_of(column, reasons)
        except UserError:
            continue
        if not sure or _like_bars(times):
            found.append((times, column, unit))
    return found


def times_of(column: Column, reasons: dict[str, str]) -> tuple[np.ndarray, str]:
    try:
        return parse_times(column.values)
    except (ValueError, OverflowError, TypeError) as error:
        reasons[column.label] = f"{error}; delete or replace it"
        raise UserError(f"invalid candle file: {column.label}: {error}; delete or replace it") from error


def opening_times(times: np.ndarray, column: Column) -> np.ndarray:
    """Opening times where those of the column are of the close: one unit before the grid, or so called."""
    bar_ms = common_step(times)
    for unit in UNIT_OF_CLOSE:
        if bar_ms > 60 * unit and np.mean((times + unit) % bar_ms == 0) > 0.9:
            return np.asarray(times + unit - bar_ms)
    if column.name in CLOSING_NAMES and bar_ms > 1:
        return np.asarray(times - bar_ms)
    return times


def is_time(column: Column) -> bool:
    try:
        times, _ = parse_times(column.values)
    except (ValueError, OverflowError, TypeError):
        return False
    return _like_bars(times)


def common_step(times: np.ndarray) -> int:
    """The most common time between two bars."""
    steps, counts = np.unique(np.diff(np.unique(times)), return_counts=True)
    return int(steps[np.argmax(counts)]) if len(steps) else 1


def _matches(column: Column, pattern: str) -> bool:
    return not column.values.empty and re.fullmatch(pattern, str(column.values.iloc[0]).strip()) is not None


def _fitness(found: tuple[np.ndarray, Column, str]) -> tuple[float, ...]:
    """The larger the likelier: as regular as bars, on their grid, not called closing, numbers, the earlier."""
    times, column, _ = found
    on_grid = np.mean(times % common_step(times) == 0)
    numeric = pd.api.types.is_numeric_dtype(column.values)
    closing = column.name in CLOSING_NAMES
    return round(regularity(times), 1), round(float(on_grid), 1), not closing, numeric, -float(times[0])


def _like_bars(times: np.ndarray) -> bool:
    """Are they of this century, in steps of bars?"""
    regular = len(times) <= 2 or regularity(times) > 0.3
    return bool(regular and times.min() > 1e12 and times.max() < 4.2e12)
