"""Readers of candle files as exchanges and other tools write them: Parquet, feather, CSV, JSON.

With named columns or, without names, in the order of Binance, freqtrade or CryptoDataDownload.
"""

import gzip
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from common.errors import UserError, one_line
from common.job import say

SUFFIXES = (".parquet", ".feather", ".csv", ".csv.gz", ".json", ".json.gz", ".zip")
TIME_NAMES = ("timestamp", "open_time", "opentime", "open time", "unix", "date", "datetime", "time")
PRICE_NAMES = ("open", "high", "low", "close")


def read_rows(path: Path, name: str = "") -> np.ndarray:
    """Rows [n, 6] of one candle file, sorted by time (stably): open time (ms), open, high, low, close, volume.

    The CSV and JSON may be in a .gz, the CSV in a .zip; times may be in s, ms, µs or ns since 1970, or ISO text (UTC).
    name: the symbol as in file names; of several volumes (`Volume BTC`) that of its base currency is taken.
    Raises UserError when the file is empty, damaged or not a candle file.
    """
    table = _read_table(path)
    if table.empty:
        raise UserError(f"{path}: is empty; delete or replace it")
    columns = _columns(table, path, name)
    rows = np.empty((len(table), 6))
    try:
        rows[:, 0] = _times(table[columns[0]])
        for place, column in enumerate(columns[1:], start=1):
            rows[:, place] = pd.to_numeric(table[column])
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: invalid candle file ({one_line(error)}); delete or replace it") from error
    order = np.argsort(rows[:, 0], kind="stable")
    out_of_order = int(np.count_nonzero(np.diff(rows[:, 0]) < 0))
    if out_of_order:
        say(f"{path.name}: {out_of_order} of {len(rows)} rows are out of order and were sorted")
    return rows[order]


def _read_table(path: Path) -> pd.DataFrame:
    """The file's table as it is. Raises UserError when it cannot be read."""
    try:
        if path.suffix == ".parquet":
            return _flat(pd.read_parquet(path))
        if path.suffix == ".feather":
            return _flat(pd.read_feather(path))
        content = _content(path)
        if ".json" in path.suffixes:
            return _read_json(content)
        return _read_csv(content)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (OSError, ValueError, EOFError, KeyError, pa.ArrowException, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: cannot be read, it may be truncated or corrupt ({one_line(error)}); delete or replace it"
        ) from error


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Times may be the index."""
    return table if isinstance(table.index, pd.RangeIndex) else table.reset_index()


def _content(path: Path) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.namelist()[0])
    return path.read_bytes()


def _read_csv(content: bytes) -> pd.DataFrame:
    """CSV with a header line, or without; CryptoDataDownload puts its address above. Raises ValueError."""
    if content.startswith(b"http"):
        content = content.partition(b"\n")[2]
    named = not content.lstrip(b'"\xef\xbb\xbf')[:1].isdigit()
    header = 0 if named else None
    table = pd.read_csv(io.BytesIO(content), header=header, index_col=False, float_precision="round_trip")
    if len(table) > 1 and (table.iloc[-1].isna() & table.iloc[-2].notna()).any():
        raise ValueError("its last line is incomplete")
    return table


def _read_json(content: bytes) -> pd.DataFrame:
    """A JSON list of bars. Raises ValueError."""
    bars = json.loads(content)
    if not isinstance(bars, list):
        raise ValueError("expected a JSON list of bars")
    return pd.DataFrame(bars)


def _columns(table: pd.DataFrame, path: Path, name: str) -> list[Any]:
    """The table's columns of time, open, high, low, close, volume. Raises UserError when it lacks one."""
    names = {str(column).strip().lower(): column for column in reversed(table.columns)}
    volumes = [text for text in names if text.startswith("volume") and _is_base_volume(text, name)]
    moment = next((text for text in TIME_NAMES if text in names), None)
    if pd.api.types.is_integer_dtype(table.columns):
        # without names: the time, then perhaps a date and the symbol, then the values
        values = [column for column in table.columns[1:] if _is_number(table[column])]
        if len(values) >= 5:
            return [0, *values[:5]]
    elif moment is not None and volumes and names.keys() >= set(PRICE_NAMES):
        return [names[moment], *(names[text] for text in PRICE_NAMES), names[min(volumes, key=len)]]
    found = ", ".join(str(column) for column in table.columns[:12])
    raise UserError(
        f"{path}: not a candle file: the columns time, open, high, low, close and volume are required, it has {found}"
    )


def _is_base_volume(column: str, name: str) -> bool:
    """Is it the volume in the symbol's base currency: `volume` itself, or `volume btc` of BTCUSDT?"""
    _, *currency = re.split("[ _]", column)
    return not currency or name.upper().startswith(currency[0].upper())


def _is_number(column: pd.Series) -> bool:
    first = column.iloc[0]
    try:
        float(first)
    except (TypeError, ValueError):
        return False
    return True


def _times(column: pd.Series) -> np.ndarray:
    """Times [n] int64, ms since 1970, of datetimes, numbers of any unit, or ISO texts. Raises ValueError."""
    if not pd.api.types.is_datetime64_any_dtype(column):
        if _is_number(column):
            return _times_of_numbers(pd.to_numeric(column).to_numpy(np.float64))
        column = pd.to_datetime(column, utc=True, format="ISO8601")
    times = pd.to_datetime(column, utc=True)
    if times.isna().any():
        raise ValueError("a timestamp is missing")
    return times.dt.as_unit("ms").astype("int64").to_numpy()


def _times_of_numbers(numbers: np.ndarray) -> np.ndarray:
    """The unit of each number follows from its size, right from 1973 to 5138; one file may mix two."""
    if not np.isfinite(numbers).all():
        raise ValueError("a timestamp is missing")
    scale = np.select([numbers < 1e11, numbers < 1e14, numbers < 1e17], [1e3, 1.0, 1e-3], 1e-6)
    return np.round(numbers * scale).astype(np.int64)
