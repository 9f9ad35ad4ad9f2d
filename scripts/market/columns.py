"""A table's columns: labels, names, numbers, and which of them are alike."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.errors import UserError

PRICES = ("open", "high", "low", "close")
FIELDS = ("time", *PRICES, "volume")
SKIP = "-"  # in exchange.columns, a column that is not used
SAMPLE = 5000  # rows that evidence is taken from
MIN_SHARE = 0.8  # of rows in which the high must be the highest, the low the lowest
ALIKE = 0.15  # mean difference of the logarithms of two prices of a bar, at most


@dataclass(frozen=True)
class Column:
    """A column: its label as text, its name in plain words, its values."""

    label: str
    name: str
    values: pd.Series


def columns_of(table: pd.DataFrame) -> list[Column]:
    """Without names, a column's label is its place: column 1, column 2, …"""
    unnamed = all(isinstance(label, int) for label in table.columns)
    columns = []
    for place, label in enumerate(table.columns):
        text = f"column {place + 1}" if unnamed else str(label).strip()
        name = "" if unnamed else " ".join(re.split(r"[\s_\-()\[\]<>/]+", text.lower())).strip(" .")
        columns.append(Column(text, SKIP if unnamed else name, table.iloc[:, place]))
    return columns


def numbers(column: Column) -> np.ndarray:
    """Numbers [n] of a column; `12.3K` is 12,300. Raises UserError where one is none."""
    if pd.api.types.is_numeric_dtype(column.values):
        return column.values.to_numpy(np.float64)
    texts = column.values.astype("string").str.strip().str.replace("$", "")
    scales = texts.str.extract(r"\d([KMB])$")[0].map({"K": 1e3, "M": 1e6, "B": 1e9}).fillna(1.0)
    try:
        numbers = pd.to_numeric(texts.str.replace(r"(?<=\d)[KMB]$", "", regex=True))
    except (ValueError, TypeError) as error:
        raise UserError(f"invalid candle file: {column.label}: {error}; delete or replace it") from error
    return (numbers.astype("Float64") * scales).to_numpy(np.float64, na_value=np.nan)


def is_numeric(column: Column) -> bool:
    if pd.api.types.is_bool_dtype(column.values) or pd.api.types.is_datetime64_any_dtype(column.values):
        return False
    try:
        return bool(np.isfinite(numbers(column)[:-1]).mean() > MIN_SHARE) if len(column.values) > 1 else True
    except UserError:
        return False


def sample(values: np.ndarray) -> np.ndarray:
    """A head of the rows: neighbours stay neighbours."""
    return values[:SAMPLE]


def alike(columns: list[Column]) -> list[Column]:
    """The largest group of columns whose values are about the same in each row, as prices of a bar are."""
    values = [sample(numbers(column)) for column in columns]
    logs = [np.log(np.where(part > 0, part, np.nan)) for part in values]
    groups = [
        [column for column, log in zip(columns, logs, strict=True) if mean_gap(np.abs(log - one)) < ALIKE]
        for one in logs
    ]
    return max(groups, key=len, default=[])


def mean_gap(gaps: np.ndarray) -> float:
    """Mean of the gaps that are known, each at most 1; 1 where none is."""
    known = gaps[np.isfinite(gaps)]
    return float(np.minimum(known, 1).mean()) if len(known) else 1.0


def not_candles(columns: list[Column]) -> str:
    return f"not a candle file: the columns time, open, high, low, close and volume are required, {described(columns)}"


def described(columns: list[Column]) -> str:
    found = ", ".join(column.label for column in columns[:12])
    row = ", ".join(str(column.values.iloc[0]) for column in columns[:12])
    return f"it has {found}; a row is {row}"
