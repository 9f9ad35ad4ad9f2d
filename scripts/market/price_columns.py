"""Which columns of a table are open, high, low and close: by their names, else by evidence in the rows."""

from itertools import permutations, product

import numpy as np

from common.errors import UserError
from market.columns import MIN_SHARE, PRICES, SAMPLE, Column, alike, is_numeric, mean_gap, not_candles, numbers, sample
from market.time_column import common_step

PRICE_NAMES = {
    "open": ("open", "o", "open price", "price open", "opening price", "first", "px open"),
    "high": ("high", "h", "high price", "price high", "highest", "max", "px high"),
    "low": ("low", "l", "low price", "price low", "lowest", "min", "px low"),
    "close": ("close", "c", "close price", "price close", "closing price", "last", "px close", "price", "adj close"),
}
SURE = 0.8  # an order of open and close is sure if its error is at most this share of the other's
FEW = 20  # steps between rows, below which the usual order is taken where the rows cannot tell


def find_prices(columns: list[Column], times: np.ndarray) -> dict[str, Column]:
    """The columns of the four prices: those of their names, else by evidence. Raises UserError."""
    candidates = {
        field: [column for name in names for column in columns if column.name == name]
        for field, names in PRICE_NAMES.items()
    }
    missing = [field for field, found in candidates.items() if not found]
    if len(missing) == len(PRICES):
        return _prices_by_evidence(columns, times)
    if missing:
        raise UserError(not_candles(columns))
    exact = {column.name for found in candidates.values() for column in found}
    for name in exact:
        same = [column for column in columns if column.name == name]
        if len(same) > 1:
            raise UserError(f"{len(same)} columns are named {same[0].label}; remove all but one")
    if all(len(found) == 1 for found in candidates.values()):
        return {field: found[0] for field, found in candidates.items()}
    values = {column.label: sample(numbers(column)) for found in candidates.values() for column in found}
    choices = [choice for choice in product(*candidates.values()) if len({c.label for c in choice}) == len(PRICES)]
    best = max(choices, key=lambda choice: _share_possible(np.array([values[column.label] for column in choice])))
    return dict(zip(PRICES, best, strict=True))


def _share_possible(prices: np.ndarray) -> float:
    """Share of rows of which open and close, [4, n], are within low to high."""
    opened, high, low, close = prices
    return float(np.mean((high >= np.maximum(opened, close)) & (low <= np.minimum(opened, close))))


def _prices_by_evidence(columns: list[Column], times: np.ndarray) -> dict[str, Column]:
    """High is the highest, low the lowest; of the others, open is the one that follows a close."""
    group = alike([column for column in columns if is_numeric(column)])
    if len(group) < len(PRICES):
        raise UserError(not_candles(columns))
    order = np.argsort(times, kind="stable")
    values = np.array([sample(numbers(column)[order]) for column in group])
    moved = values.max(axis=0) > values.min(axis=0)
    highest = (values == values.max(axis=0))[:, moved].mean(axis=1) if moved.any() else np.zeros(len(group))
    lowest = (values == values.min(axis=0))[:, moved].mean(axis=1) if moved.any() else np.zeros(len(group))
    high, low = int(np.argmax(highest)), int(np.argmax(lowest))
    row = f"a row is {', '.join(f'{value:g}' for value in values[:, 0])}; say the order in exchange.columns"
    if not moved.any():
        raise UserError(f"no price moves within a bar, so high and low cannot be told; {row}")
    if min(highest[high], lowest[low]) < MIN_SHARE or high == low:
        raise UserError(f"no column is the highest or the lowest of its row throughout; {row}")
    inner = [place for place in range(len(group)) if place not in (high, low)]
    opened, close = _open_and_close(values, np.sort(times)[:SAMPLE], inner, row)
    return dict(zip(PRICES, (group[place] for place in (opened, high, low, close)), strict=True))


def _open_and_close(values: np.ndarray, times: np.ndarray, inner: list[int], row: str) -> tuple[int, int]:
    """Of the columns `inner` of values [k, n], the two of which the first is about the second one bar before."""
    follows = np.diff(times) == common_step(times)
    logs = np.log(np.where(values > 0, values, np.nan))
    errors = {
        (opened, close): mean_gap(np.abs(logs[opened, 1:] - logs[close, :-1])[follows])
        for opened, close in permutations(inner, 2)
        if follows.any()
    }
    ranked = sorted(errors, key=errors.__getitem__)
    if len(ranked) > 1 and errors[ranked[0]] <= SURE * errors[ranked[1]]:
        return ranked[0]
    if follows.sum() < FEW and len(inner) == 2:
        return inner[0], inner[1]
    raise UserError(f"open and close cannot be told apart: no column follows another one's last value; {row}")
