"""A folder of candle files as an exchange with ccxt's unified API: its time is that of its last bars.

A file is found by its name (BTCUSDT.parquet, NEARUSDT-1m-2023-08.csv, BTC_USDT-1m.feather, binance_BTCUSDT_1m.json, or
any name in a folder that is named for the symbol), its interval by its times.
"""

import gzip
import io
import json
import re
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa

from common.errors import UserError
from common.job import say
from market.candles import one_per_time, usable
from market.intervals import MINUTE, interval_of, iso, step_ms
from market.symbols import slug

SUFFIXES = (".parquet", ".feather", ".csv", ".csv.gz", ".json", ".json.gz", ".zip")
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
QUOTES = [
    "USDT",
    "USDC",
    "BUSD",
    "FDUSD",
    "TUSD",
    "DAI",
    "USD",
    "EUR",
    "GBP",
    "TRY",
    "BRL",
    "JPY",
    "AUD",
    "BTC",
    "ETH",
    "BNB",
]
NOT_CANDLES = {"QUALITY", "TRADES", "AGGTRADES", "MARK", "INDEX", "PREMIUMINDEX", "FUNDING", "FUNDINGRATE"}
TIME_NAMES = ("timestamp", "open_time", "opentime", "open time", "unix", "date", "datetime", "time")
VALUE_NAMES = ("open", "high", "low", "close")
PAGE = 1000  # bars in an answer when no limit is asked for


class Replay:
    """The candle files of `symbols` under `folder`, served as bars of `interval` or of a multiple of it.

    Finer files are resampled; a bar of which a finer one is missing is left out, so it shows as a gap. Duplicates and
    odd rows are served as they are. All bars count as closed. Raises UserError when the folder or a symbol's file is
    missing or damaged, or its bars are coarser than `interval`.
    """

    id = "replay"

    def __init__(self, folder: str | Path | None, symbols: list[str], interval: str) -> None:
        self.folder = _folder(folder)
        self._files = _find(self.folder, symbols)
        # symbols are asked for one after the other: one at a time is kept
        self._rows = lru_cache(maxsize=1)(self._load)
        step = step_ms(interval)
        ends = [int(self._rows(slug(symbol), interval)[-1, 0]) + step for symbol in symbols]
        self._now = min(ends)
        self.timeframes = {name: name for name in INTERVALS if step_ms(name) % step == 0}

    def milliseconds(self) -> int:
        """The exchange's clock stands at the earliest end of the symbols' last bars."""
        return self._now

    def load_markets(self) -> dict[str, dict[str, Any]]:
        """The symbols that the folder has files of, with `id symbol`."""
        return {symbol: {"id": slug(symbol), "symbol": symbol} for symbol in self._files}

    def fetch_ohlcv(
        self, symbol: str, timeframe: str = "1m", since: int | None = None, limit: int | None = None
    ) -> list[list[float]]:
        """Bars `[open time (ms), open, high, low, close, volume]`, oldest first.

        From the first bar that opens at `since` (ms) or later; without `since`, the newest. `limit` bars (default 1000)
        or, where the last one's time comes again, all of that time. Raises UserError, as the constructor does.
        """
        rows = self._rows(slug(symbol), timeframe)
        limit = PAGE if limit is None else limit
        times = rows[:, 0]
        first = max(0, len(rows) - limit) if since is None else int(np.searchsorted(times, since))
        last = min(first + limit, len(rows))
        if last <= first:
            return []
        return rows[first : np.searchsorted(times, times[last - 1], side="right")].tolist()

    def _load(self, name: str, interval: str) -> np.ndarray:
        """All rows [n, 6] of the symbol called `name`, sorted by time: exact, or made of finer ones."""
        step = step_ms(interval)
        by_step: dict[int, list[tuple[Path, np.ndarray]]] = {}
        for path in self._files_of(name):
            rows = read_rows(path, name)
            by_step.setdefault(_own_step(path, rows), []).append((path, rows))
        fitting = [own for own in by_step if step % own == 0]
        if not fitting:
            has = ", ".join(interval_of(own) for own in sorted(by_step))
            raise UserError(
                f"interval: {interval} cannot be made of the {has} files of {name} in {self.folder}; "
                f"choose {interval_of(min(by_step))} or a multiple of it"
            )
        own = max(fitting)
        rows = _join(by_step[own], f"{name} {interval_of(own)}")
        return rows if own == step else _resample(rows, own, step, f"{name} {interval}")

    def _files_of(self, name: str) -> list[Path]:
        files = next((files for symbol, files in self._files.items() if slug(symbol) == name), None)
        if files is None:
            has = ", ".join(self._files) or "no symbol's"
            raise UserError(f"symbols: {self.folder} has no candle file of {name}; it has {has}")
        return files


def read_rows(path: Path, name: str = "") -> np.ndarray:
    """Rows [n, 6] of one candle file, sorted by time (stably): open time (ms), open, high, low, close, volume.

    Reads Parquet, feather, CSV (also in .gz and .zip) and JSON lists; with named columns or, without names, in the
    order of Binance, freqtrade or CryptoDataDownload; times in s, ms, µs or ns since 1970, or as ISO text (UTC).
    name: the symbol as in file names; of several volumes (`Volume BTC`) that of its base currency is taken.
    Raises UserError when the file is empty, damaged or holds something else.
    """
    table = _read_table(path)
    if table.empty:
        raise UserError(f"{path}: is empty; delete it or get it again")
    columns = _columns(table, path, name)
    rows = np.empty((len(table), 6))
    try:
        rows[:, 0] = _times(table[columns[0]])
        for place, column in enumerate(columns[1:], start=1):
            rows[:, place] = pd.to_numeric(table[column])
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: is no candle file ({_first_line(error)}); delete it or get it again") from error
    order = np.argsort(rows[:, 0], kind="stable")
    backwards = int(np.count_nonzero(np.diff(rows[:, 0]) < 0))
    if backwards:
        say(f"{path.name}: {backwards} of {len(rows)} rows are out of order, now sorted")
    return rows[order]


def symbol_in(name: str, symbols: Iterable[str] = ()) -> str | None:
    """The unified symbol in a file's name: BTC/USDT in `BTCUSDT-1m-2023` or `BTC_USDT-1m`.

    symbols: further ones, of other quote currencies than the known.
    """
    tokens = re.split("[^A-Z0-9]+", name.upper())
    # one that ends another comes after it
    quotes = sorted(QUOTES, key=len, reverse=True)
    found = []
    for place, token in enumerate(tokens):
        whole = next((quote for quote in quotes if token.endswith(quote) and token not in quotes), None)
        after = [*tokens[place + 1 : place + 3], "", ""]
        if whole:
            base, quote, settle = token.removesuffix(whole), whole, after[0]
        elif token and after[0] in quotes and after[0] != token:
            base, quote, settle = token, after[0], after[1]
        else:
            continue
        settled = settle in (base, quote)
        found.append((settled, place, f"{base}/{quote}" + (f":{settle}" if settled else "")))
    asked = _one_of(symbols, tokens)
    if asked and slug(asked) not in {slug(symbol) for *_, symbol in found}:
        return asked
    # the last one: an exchange's name may stand before it
    return max(found)[2] if found else None


def _one_of(symbols: Iterable[str], tokens: list[str]) -> str | None:
    """The symbol that up to three tokens in a row make: ETH/MXN of ETHMXN or of ETH, MXN, but not of ETH, MXN, MXN."""
    joined = set()
    for start, end in combinations(range(len(tokens) + 1), 2):
        name, after = "".join(tokens[start:end]), "".join(tokens[end : end + 1])
        if end - start <= 3 and not (after and (name.startswith(after) or name.endswith(after))):
            joined.add(name)
    return next((symbol for symbol in symbols if slug(symbol).replace("-", "") in joined), None)


def _folder(folder: str | Path | None) -> Path:
    if not folder:
        raise UserError("exchange.folder: is not set; replay needs the folder of the candle files")
    if not Path(folder).is_dir():
        raise UserError(f"exchange.folder: {folder} is no folder; give the folder that holds the candle files")
    return Path(folder)


def _find(folder: Path, symbols: list[str]) -> dict[str, list[Path]]:
    """Candle files under the folder by unified symbol, or by one of `symbols`, both sorted."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        names = [path.name, *(parent.name for parent in path.relative_to(folder).parents)]
        if not path.name.endswith(SUFFIXES) or path.name.startswith(".") or not path.is_file():
            continue
        if NOT_CANDLES & set(re.split("[^A-Z0-9]+", path.name.upper())):
            continue
        symbol = next(filter(None, (symbol_in(name, symbols) for name in names)), None)
        if symbol:
            found.setdefault(symbol, []).append(path)
    return dict(sorted(found.items()))


def _own_step(path: Path, rows: np.ndarray) -> int:
    """A file's bar length in ms: the most common time between bars, which must be what its name says, if it does."""
    match = re.search(r"(?:^|[^A-Za-z0-9])([1-9]\d*[mhd])(?=[^A-Za-z0-9]|$)", path.name)
    named = step_ms(match[1]) if match else None
    between, counts = np.unique(np.diff(np.unique(rows[:, 0])), return_counts=True)
    if not len(between):
        if named is None:
            raise UserError(
                f"{path}: holds one bar, so its interval is unknown; write it into the name, as in BTCUSDT-1m"
            )
        return named
    own = int(between[np.argmax(counts)])
    if own % MINUTE:
        raise UserError(f"{path}: its bars are {own / 1000:g} s apart; candles of whole minutes are needed")
    if named not in (None, own):
        raise UserError(
            f"{path}: its bars are {interval_of(own)} apart, its name says {match and match[1]}; rename or replace it"
        )
    return own


def _join(files: list[tuple[Path, np.ndarray]], what: str) -> np.ndarray:
    """Rows of several files as one, sorted by time. Raises UserError when one holds no time that another does not."""
    files = sorted(files, key=lambda file: (file[1][0, 0], -file[1][-1, 0]))
    for (one, rows), (other, more) in pairwise(files):
        if more[-1, 0] <= rows[-1, 0]:
            raise UserError(
                f"exchange.folder: {one} and {other} both hold {what} of the same time; keep one of them there"
            )
    rows = np.concatenate([rows for _, rows in files])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    say(f"{what}: {len(rows)} bars from {iso(rows[0, 0])} to {iso(rows[-1, 0])} in {len(files)} file(s)")
    return rows


def _resample(rows: np.ndarray, step: int, coarse: int, what: str) -> np.ndarray:
    """Bars of `coarse` ms made of sorted bars of `step` ms; only those of which no finer bar is missing."""
    rows, dropped = usable(rows, step)
    rows, identical, conflicting = one_per_time(rows)
    if dropped or identical or len(conflicting):
        say(f"{what}: made without {len(dropped)} unusable, {identical} double and {len(conflicting)} conflicting rows")
    bucket = rows[:, 0] // coarse
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    size = np.diff(starts, append=len(rows))
    whole = size == coarse // step
    if not whole.any():
        raise UserError(
            f"exchange.folder: no bar of {what} is complete there; choose a shorter interval or get more candles"
        )
    bars = np.empty((len(starts), 6))
    bars[:, 0] = bucket[starts] * coarse
    bars[:, 1] = rows[starts, 1]
    bars[:, 2] = np.maximum.reduceat(rows[:, 2], starts)
    bars[:, 3] = np.minimum.reduceat(rows[:, 3], starts)
    bars[:, 4] = rows[starts + size - 1, 4]
    bars[:, 5] = np.add.reduceat(rows[:, 5], starts)
    return bars[whole]


def _read_table(path: Path) -> pd.DataFrame:
    """The file's table as it is. Raises UserError when it cannot be read."""
    try:
        if path.suffix == ".parquet":
            return _flat(pd.read_parquet(path))
        if path.suffix == ".feather":
            return _flat(pd.read_feather(path))
        content = _content(path)
        if ".json" in path.suffixes:
            return _of_json(json.loads(content))
        return _read_csv(content)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (OSError, ValueError, EOFError, KeyError, pa.ArrowException, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read, it may be cut off ({_first_line(error)}); get it again") from error


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
    """CSV with names in its first line, or without; CryptoDataDownload puts its address above. Raises ValueError."""
    if content.startswith(b"http"):
        content = content.partition(b"\n")[2]
    named = not content.lstrip(b'"\xef\xbb\xbf')[:1].isdigit()
    header = 0 if named else None
    table = pd.read_csv(io.BytesIO(content), header=header, index_col=False, float_precision="round_trip")
    if len(table) > 1 and (table.iloc[-1].isna() & table.iloc[-2].notna()).any():
        raise ValueError("its last line is incomplete")
    return table


def _of_json(content: Any) -> pd.DataFrame:
    if not isinstance(content, list):
        raise ValueError("a list of bars is needed")
    return pd.DataFrame(content)


def _columns(table: pd.DataFrame, path: Path, name: str) -> list[Any]:
    """The table's columns of time, open, high, low, close, volume."""
    if pd.api.types.is_integer_dtype(table.columns):
        # without names: the time, then perhaps a date and the symbol, then the values
        values = [column for column in table.columns[1:] if _is_number(table[column])]
        return [0, *values[:5]] if len(values) >= 5 else _unknown_columns(table, path)
    names = {str(column).strip().lower(): column for column in reversed(table.columns)}
    volumes = [text for text in names if text.startswith("volume") and _base_volume(text, name)]
    moment = next((text for text in TIME_NAMES if text in names), None)
    if moment is None or not volumes or not names.keys() >= set(VALUE_NAMES):
        _unknown_columns(table, path)
    return [names[moment], *(names[text] for text in VALUE_NAMES), names[min(volumes, key=len)]]


def _base_volume(column: str, name: str) -> bool:
    """Is it the volume in the symbol's base currency: `volume` itself, or `volume btc` of BTCUSDT?"""
    _, *currency = re.split("[ _]", column)
    return not currency or name.upper().startswith(currency[0].upper())


def _unknown_columns(table: pd.DataFrame, path: Path) -> NoReturn:
    has = ", ".join(str(column) for column in table.columns[:12])
    raise UserError(
        f"{path}: is no candle file: it needs a time, open, high, low, close and volume, and has columns {has}"
    )


def _is_number(column: pd.Series) -> bool:
    first = column.iloc[0]
    try:
        float(first)
    except (TypeError, ValueError):
        return False
    return True


def _times(column: pd.Series) -> np.ndarray:
    """Moments [n] int64, ms since 1970, of datetimes, numbers of any unit, or ISO texts. Raises ValueError."""
    if not pd.api.types.is_datetime64_any_dtype(column):
        if _is_number(column):
            return _of_numbers(pd.to_numeric(column).to_numpy(np.float64))
        column = pd.to_datetime(column, utc=True, format="ISO8601")
    moments = pd.to_datetime(column, utc=True)
    if moments.isna().any():
        raise ValueError("a time is missing")
    return moments.dt.as_unit("ms").astype("int64").to_numpy()


def _of_numbers(numbers: np.ndarray) -> np.ndarray:
    """The unit of each number is told by its size, right from 1973 to 5138; one file may hold two."""
    if not np.isfinite(numbers).all():
        raise ValueError("a time is missing")
    scale = np.select([numbers < 1e11, numbers < 1e14, numbers < 1e17], [1e3, 1.0, 1e-3], 1e-6)
    return np.round(numbers * scale).astype(np.int64)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
