"""Tables of candle files, whatever their dialect: Parquet, feather, delimited text, JSON in any of its shapes.

A table's labels are its head's, or 0, 1, 2, … where it has none.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from common.errors import UserError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space"}
SAMPLE = 200  # lines by which the dialect is told
VALUES = 4  # a row of candles has at least so many numbers
NUMBER = re.compile(r"[+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?")
HEADS = {"open", "high", "low", "close", "o", "h", "l", "c", "volume", "min", "max"}


def read_table(content: bytes, name: str) -> tuple[pd.DataFrame, str]:
    """The table in a file of that name, and what it was taken for, such as "semicolon, decimal comma, 1 line skipped".

    Raises UserError with the reason, or what pandas, pyarrow and json raise on a damaged file.
    """
    name = name.lower()
    if name.endswith(".parquet"):
        return _flat(pd.read_parquet(io.BytesIO(content))), "Parquet"
    if name.endswith(".feather"):
        return _flat(pd.read_feather(io.BytesIO(content))), "feather"
    text = _decode(content)
    if not text.strip():
        return pd.DataFrame(), "empty"
    if name.endswith((".json", ".jsonl", ".ndjson")):
        return _read_json(text), "JSON"
    return _read_delimited(text)


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Times may be the index, and labels may have levels, of which the first is the field's name."""
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    if table.columns.nlevels > 1:
        table = table.set_axis([label[0] for label in table.columns], axis=1)
    return table


def _decode(content: bytes) -> str:
    """Text of UTF-8, UTF-16 or a Western code page, without its byte-order mark."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


# --- delimited text ---


def _read_delimited(text: str) -> tuple[pd.DataFrame, str]:
    lines = text[:100_000].splitlines(keepends=True)[:SAMPLE]
    delimiter = max(DELIMITERS, key=lambda mark: _rows_of_numbers(lines, mark))
    rows = [_cells(line, delimiter) for line in lines]
    first = next((index for index, row in enumerate(rows) if _is_body(row)), None)
    if first is None:  # no row of candles: say what there is
        head = next((row for row in rows if len(row) > 1), rows[0])
        return pd.DataFrame([row for row in rows if len(row) == len(head)][1:], columns=head), "text"
    body = text[sum(map(len, lines[:first])) :]
    decimal, thousands = _marks(rows[first:])
    table = pd.read_csv(
        io.StringIO(body),
        sep=delimiter,
        header=None,
        index_col=False,
        decimal=decimal,
        thousands=thousands,
        skipinitialspace=True,
        float_precision="round_trip",
        low_memory=False,
    ).dropna(how="all", ignore_index=True)
    heads = [row for row in rows[:first] if len(list(filter(None, row))) > 1 and len(row) >= table.shape[1] - 1]
    if heads:
        table = _without_repeated_heads(table, heads[0])
        table = table.set_axis(_labels(heads, table.shape[1]), axis=1)
    said = [DELIMITERS[delimiter]] + ["decimal comma"] * (decimal == ",") + [f"{first} lines above"] * (first > 1)
    return table, ", ".join(said)


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line; the last of a delimiter at its end is none."""
    line = line.strip("\r\n")
    cells = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter), [])
    return [cell.strip().strip("<>") for cell in cells]


def _rows_of_numbers(lines: list[str], delimiter: str) -> int:
    return sum(_is_body(_cells(line, delimiter)) for line in lines)


def _is_body(row: list[str]) -> bool:
    return sum(NUMBER.fullmatch(cell) is not None for cell in row) >= VALUES


def _marks(rows: list[list[str]]) -> tuple[str, str | None]:
    """The marks of decimals and, if there is one, of thousands. Of a comma and a point in a number, the last one is
    that of decimals; a comma alone is that of thousands where three digits follow it in all numbers."""
    numbers = [cell for row in rows for cell in row if "," in cell and NUMBER.fullmatch(cell)]
    if any(cell.rfind(",") > cell.rfind(".") > 0 for cell in numbers):
        return ",", "."
    if all(re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", cell) for cell in numbers):
        return ".", "," if numbers else None
    return ",", None


def _labels(heads: list[list[str]], width: int) -> list[str]:
    """The labels in the line that has most of a candle's names; one that occurs twice with what stands elsewhere."""
    heads = [(["", *head] if len(head) == width - 1 else head + [""] * width)[:width] for head in heads]
    best = max(heads, key=lambda head: len(HEADS & {cell.lower() for cell in head}))
    others = [head for head in heads if head is not best]
    return [
        " ".join([label, *(head[place] for head in others)]) if label and best.count(label) > 1 else label
        for place, label in enumerate(best)
    ]


def _without_repeated_heads(table: pd.DataFrame, head: list[str]) -> pd.DataFrame:
    """Files that were appended to one another repeat their head."""
    if not any(pd.api.types.is_string_dtype(table[column]) for column in table.columns):
        return table
    repeated = table.iloc[:, -1].astype(str).str.strip() == head[-1]
    return table[~repeated].reset_index(drop=True) if repeated.any() and head[-1] else table


# --- JSON ---


def _read_json(text: str) -> pd.DataFrame:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        lines = text.strip().splitlines()
        if len(lines) < 2 or not all(line.strip()[-1:] in ("}", "]") for line in lines):
            raise
        content = [json.loads(line) for line in lines]
    table = _as_table(content)
    if table is None:
        raise UserError("expected a JSON list of bars")
    return table


def _as_table(content: Any) -> pd.DataFrame | None:
    """The table in a list of bars, pandas' orientations, columns by name, or the longest one within a reply."""
    if isinstance(content, list):
        return pd.DataFrame(content) if all(isinstance(bar, list | dict) for bar in content) else None
    if not isinstance(content, dict) or not content:
        return None
    if {"columns", "data"} <= content.keys():
        return _flat(pd.DataFrame(content["data"], content.get("index"), content["columns"]))
    if {"schema", "data"} <= content.keys():
        return pd.DataFrame(content["data"])
    values = list(content.values())
    if all(isinstance(value, dict) for value in values):
        if _named(content):
            return pd.DataFrame(content).reset_index()
        if _named(values[0]):
            return pd.DataFrame.from_dict(content, orient="index").reset_index()
    if _named(content) and sum(isinstance(value, list) for value in values) > VALUES:
        return pd.DataFrame({key: value for key, value in content.items() if isinstance(value, list)})
    found = [table for table in map(_as_table, values) if table is not None and len(table)]
    if len(found) > 1:
        raise UserError("holds several lists of bars; keep one")
    return found[0] if found else None


def _named(keys: Iterable[str]) -> bool:
    return len(HEADS & {str(key).lower() for key in keys}) >= VALUES
