"""Readers of candle files as exchanges and other tools write them: which bars, and what was taken for what."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from common.errors import UserError, one_line
from common.job import say
from market.archives import members
from market.candle_table import candle_rows
from market.tables import read_table


@dataclass(frozen=True)
class CandleFile:
    """A file, or a member of an archive.

    name: its path, with the member's name behind it. rows: [n, 6], sorted by time (stably): open time (ms), open, high,
    low, close, volume. read: the kind of table, and the column that was taken for each field, with the unit of times.
    """

    name: str
    rows: np.ndarray
    read: dict[str, str]


def read_file(path: Path, symbol: str = "", order: list[str] | None = None) -> list[CandleFile]:
    """The candles of a file: Parquet, feather, delimited text or JSON, alone, compressed or in a .zip.

    symbol: whose members of an archive, rows and base currency's volume are taken. order: the columns' fields from left
    to right, where they are not told by name and evidence (config: exchange.columns).
    Raises UserError, naming the file, when it is empty, damaged or not a candle file.
    """
    contents = members(path, symbol)
    archive = path.name.lower().endswith(".zip")
    return [
        _read(f"{path}: {member}" if archive else str(path), member, content, symbol, order)
        for member, content in contents.items()
    ]


def read_rows(path: Path, symbol: str = "", order: list[str] | None = None) -> np.ndarray:
    """The rows of all that `read_file` finds, as one, sorted by time (stably)."""
    rows = np.concatenate([file.rows for file in read_file(path, symbol, order)])
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _read(name: str, member: str, content: bytes, symbol: str, order: list[str] | None) -> CandleFile:
    try:
        table, kind = read_table(content, member)
        if table.empty:
            raise UserError("is empty; delete or replace it")
        rows, fields = candle_rows(table, symbol, order)
    except UserError as error:
        raise UserError(f"{name}: {one_line(error, 400)}") from error
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{name}: is empty; delete or replace it") from error
    except (OSError, ValueError, EOFError, KeyError, TypeError, pa.ArrowException) as error:
        raise UserError(
            f"{name}: cannot be read, it may be truncated or corrupt ({one_line(error)}); delete or replace it"
        ) from error
    sorted_rows = rows[np.argsort(rows[:, 0], kind="stable")]
    out_of_order = int(np.count_nonzero(np.diff(rows[:, 0]) < 0))
    if out_of_order:
        say(f"{Path(member).name}: {out_of_order} of {len(rows)} rows are out of order and were sorted")
    return CandleFile(name, sorted_rows, {"table": kind, **fields})
