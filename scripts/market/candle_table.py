"""Candles of a table: which column is what, told by names and by evidence, or by the user.

Evidence is what the rows say: the high is the highest, the low the lowest; an open is about the close before it; the
base currency's volume times the price is the quote currency's; opening times are on the interval's grid.
"""

import re

import numpy as np
import pandas as pd

from common.errors import UserError
from market.columns import FIELDS, SKIP, Column, columns_of, not_candles, numbers
from market.pairs import canonical, split
from market.price_columns import find_prices
from market.time_column import find_time, opening_times, times_of
from market.volume_column import find_volume

PAIR_NAMES = ("symbol", "pair", "ticker", "market", "instrument", "tic", "coin")


def candle_rows(
    table: pd.DataFrame, symbol: str, order: list[str] | None = None
) -> tuple[np.ndarray, dict[str, str]]:  # fmt: skip
    """Rows [n, 6] of a table: open time (ms), open, high, low, close, volume; and what was taken for which.

    symbol: of several, its rows and the volume in its base currency are taken. order: the columns' fields from left to
    right, `-` for one that is not used, where the user says it. Raises UserError with the reason and a row.
    """
    columns = columns_of(_of_symbol(table, symbol))
    if len(columns) < len(FIELDS):
        raise UserError(not_candles(columns))
    if order:
        chosen = _as_told(columns, order)
        time_column = chosen.pop("time")
        times, unit = times_of(time_column, {})
        times = opening_times(times, time_column)
    else:
        times, time_column, unit = find_time(columns)
        rest = [column for column in columns if column is not time_column]
        chosen = find_prices(rest, times)
        chosen["volume"] = find_volume(rest, chosen, symbol)
    said = {"time": f"{time_column.label} ({unit})"}
    rows = np.column_stack([times, *(numbers(chosen[field]) for field in FIELDS[1:])])
    _check(rows)
    last, before = np.isnan(rows[-1]), np.isnan(rows[-min(2, len(rows))])
    if (last & ~before).any():
        raise UserError("its last line is incomplete; delete or replace the file")
    return rows, said | {field: chosen[field].label for field in FIELDS[1:]}


def _of_symbol(table: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """The symbol's rows of a table of several. Raises UserError when it has none."""
    for label in table.columns:
        values = table[label] if list(table.columns).count(label) == 1 else None
        if str(label).strip().lower() not in PAIR_NAMES or values is None or values.nunique() < 2:
            continue
        names = {value: canonical(re.sub("[-_ ]", "", str(value))) for value in values.unique()}
        base = canonical(split(symbol)[0])
        wanted = [value for value, name in names.items() if name in (canonical(symbol), base)]
        if not wanted:
            found = ", ".join(map(str, list(names)[:5]))
            raise UserError(f"its column {label} has {found}, not {symbol}; give a file of {symbol}")
        return table[values.isin(wanted)].reset_index(drop=True)
    return table


def _as_told(columns: list[Column], order: list[str]) -> dict[str, Column]:
    if len(columns) < len(order):
        raise UserError(
            f"has {len(columns)} columns, but exchange.columns names {len(order)}; correct exchange.columns"
        )
    return {field: columns[place] for place, field in enumerate(order) if field != SKIP}


def _check(rows: np.ndarray) -> None:
    """Raise UserError when most rows are no bars at all."""
    opened, high, low, close = rows[:, 1:5].T
    swapped = high < low
    outside = ~swapped & ((np.maximum(opened, close) > high) | (np.minimum(opened, close) < low))
    for wrong, what in ((swapped, "high below low"), (outside, "open or close outside low to high")):
        if wrong.sum() > len(rows) / 2:
            row = ", ".join(f"{value:.10g}" for value in rows[np.argmax(wrong)])
            raise UserError(
                f"{what} in {wrong.sum()} of {len(rows)} rows, as in {row} (time, open, high, low, close, volume); "
                "correct its head, or say the order of its columns in exchange.columns"
            )
