"""A folder of candle files as an exchange with ccxt's unified API: its clock stands at the end of its last bars.

A file is found by its name (BTCUSDT.parquet, NEARUSDT-1m-2023-08.csv, BTC_USDT-1m.feather, binance_BTCUSDT_1m.json, or
any name in a folder that is named for the symbol), its interval by its times.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from common.job import say
from market.candle_files import SUFFIXES, read_rows
from market.candles import deduplicate, valid_rows
from market.intervals import MINUTE, interval_of, iso, step_ms
from market.symbols import slug

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
STABLECOINS = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI")
QUOTES = (*STABLECOINS, "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "AUD", "BTC", "ETH", "BNB")
NOT_CANDLES = {"QUALITY", "TRADES", "AGGTRADES", "MARK", "INDEX", "PREMIUMINDEX", "FUNDING", "FUNDINGRATE"}
PAGE = 1000  # bars in a response when no limit is given


def open_replay(settings: Mapping[str, Any], symbols: list[str], interval: str) -> "Replay":
    """The replay exchange of the config's section `exchange`: of the candle files in its `folder`."""
    return Replay(settings["folder"], symbols, interval)


class Replay:
    """The candle files of `symbols` under `folder`, served as bars of `interval` or of a multiple of it.

    Finer files are resampled; a bar of which a finer one is missing is left out, so it shows as a gap. Duplicates and
    invalid rows are served as they are. All bars count as closed. Raises UserError when the folder or a symbol's file
    is missing or damaged, or its bars are coarser than `interval`.
    """

    id = "replay"
    historical = True

    def __init__(self, folder: str | Path | None, symbols: list[str], interval: str) -> None:
        self.folder = _folder(folder)
        self._files = _find(self.folder, symbols)
        # symbols are asked for one after the other: one at a time is kept
        self._rows = lru_cache(maxsize=1)(self._load)
        bar_ms = step_ms(interval)
        ends = [int(self._rows(slug(symbol), interval)[-1, 0]) + bar_ms for symbol in symbols]
        self._now = min(ends)
        self.timeframes = {name: name for name in INTERVALS if step_ms(name) % bar_ms == 0}

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
        or, where the last one's time is repeated, all of that time. Raises UserError, as the constructor does.
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
        """All rows [n, 6] of the symbol that files call `name`, sorted by time: of its interval, or resampled."""
        bar_ms = step_ms(interval)
        by_length: dict[int, list[tuple[Path, np.ndarray]]] = {}
        for path in self._files_of(name):
            rows = read_rows(path, name)
            by_length.setdefault(_bar_length(path, rows), []).append((path, rows))
        divisors = [length for length in by_length if bar_ms % length == 0]
        if not divisors:
            available = ", ".join(interval_of(length) for length in sorted(by_length))
            raise UserError(
                f"interval: {interval} cannot be resampled from the {available} files of {name} in {self.folder}; "
                f"choose {interval_of(min(by_length))} or a multiple of it"
            )
        length = max(divisors)
        rows = _join(by_length[length], f"{name} {interval_of(length)}")
        return rows if length == bar_ms else _resample(rows, length, bar_ms, f"{name} {interval}")

    def _files_of(self, name: str) -> list[Path]:
        files = next((files for symbol, files in self._files.items() if slug(symbol) == name), None)
        if files is None:
            available = ", ".join(self._files) or "none"
            raise UserError(f"symbols: no candle file of {name} in {self.folder}; available symbols: {available}")
        return files


def symbol_in(name: str, symbols: Iterable[str] = ()) -> str | None:
    """The unified symbol in a file's name: BTC/USDT in `BTCUSDT-1m-2023` or `BTC_USDT-1m`.

    symbols: further ones, whose quote currency need not be among `QUOTES`.
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
    requested = _requested_in(tokens, symbols)
    if requested and slug(requested) not in {slug(symbol) for *_, symbol in found}:
        return requested
    # the last one: an exchange's name may stand before it
    return max(found)[2] if found else None


def _requested_in(tokens: list[str], symbols: Iterable[str]) -> str | None:
    """The symbol that up to three tokens in a row make: ETH/MXN of ETHMXN or of ETH, MXN, but not of ETH, MXN, MXN."""
    joined = set()
    for start, end in combinations(range(len(tokens) + 1), 2):
        name, after = "".join(tokens[start:end]), "".join(tokens[end : end + 1])
        if end - start <= 3 and not (after and (name.startswith(after) or name.endswith(after))):
            joined.add(name)
    return next((symbol for symbol in symbols if slug(symbol).replace("-", "") in joined), None)


def _folder(folder: str | Path | None) -> Path:
    if not folder:
        raise UserError("exchange.folder: is not set; exchange.id replay needs the folder of the candle files")
    if not Path(folder).is_dir():
        raise UserError(f"exchange.folder: {folder} is not a folder; give the folder of the candle files")
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


def _bar_length(path: Path, rows: np.ndarray) -> int:
    """Length of a file's bars in ms: the most common time between them. Raises UserError when its name contradicts."""
    match = re.search(r"(?:^|[^A-Za-z0-9])([1-9]\d*[mhd])(?=[^A-Za-z0-9]|$)", path.name)
    named = step_ms(match[1]) if match else None
    between, counts = np.unique(np.diff(np.unique(rows[:, 0])), return_counts=True)
    if not len(between):
        if named is None:
            raise UserError(
                f"{path}: holds a single bar, so its interval is unknown; rename it with its interval, as in BTCUSDT-1m"
            )
        return named
    length = int(between[np.argmax(counts)])
    if length % MINUTE:
        raise UserError(f"{path}: its bars are {length / 1000:g} s apart; bars of whole minutes are required")
    if named not in (None, length):
        raise UserError(
            f"{path}: its bars are {interval_of(length)} apart but its name says {match and match[1]}; "
            "rename or replace it"
        )
    return length


def _join(files: list[tuple[Path, np.ndarray]], what: str) -> np.ndarray:
    """Rows of several files as one, sorted by time. Raises UserError when one holds no time that another does not."""
    files = sorted(files, key=lambda file: (file[1][0, 0], -file[1][-1, 0]))
    for (one, rows), (other, more) in pairwise(files):
        if more[-1, 0] <= rows[-1, 0]:
            raise UserError(
                f"exchange.folder: {one} and {other} overlap, both hold {what} candles of the same time; remove one"
            )
    rows = np.concatenate([rows for _, rows in files])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    say(f"{what}: {len(rows)} bars from {iso(rows[0, 0])} to {iso(rows[-1, 0])} in {len(files)} file(s)")
    return rows


def _resample(rows: np.ndarray, fine_ms: int, bar_ms: int, what: str) -> np.ndarray:
    """Bars of `bar_ms` made of sorted bars of `fine_ms`; only those of which no finer bar is missing."""
    rows, dropped = valid_rows(rows, fine_ms)
    rows, identical, conflicting = deduplicate(rows)
    if dropped or identical or len(conflicting):
        say(
            f"{what}: resampled without {len(dropped)} invalid, {identical} duplicate and {len(conflicting)} "
            "conflicting rows"
        )
    bucket = rows[:, 0] // bar_ms
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    size = np.diff(starts, append=len(rows))
    complete = size == bar_ms // fine_ms
    if not complete.any():
        raise UserError(
            f"exchange.folder: no bar of {what} is complete in it; choose a shorter interval or add candle files"
        )
    bars = np.empty((len(starts), 6))
    bars[:, 0] = bucket[starts] * bar_ms
    bars[:, 1] = rows[starts, 1]
    bars[:, 2] = np.maximum.reduceat(rows[:, 2], starts)
    bars[:, 3] = np.minimum.reduceat(rows[:, 3], starts)
    bars[:, 4] = rows[starts + size - 1, 4]
    bars[:, 5] = np.add.reduceat(rows[:, 5], starts)
    return bars[complete]
