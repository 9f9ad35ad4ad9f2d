"""A folder of candle files as an exchange with ccxt's unified API: its clock stands at the end of its last bars.

A file is found by its name (BTCUSDT.parquet, NEARUSDT-1m-2023-08.csv, BTC_USDT-1m.feather, binance_BTCUSDT_1m.json, or
any name in a folder that is named for the symbol), its interval by its times.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from common.job import say
from market.candle_files import CandleFile, read_file
from market.candle_folder import candle_files
from market.candles import PartialBar, Reading
from market.intervals import MINUTE, interval_of, iso, step_ms
from market.joining import join, resample
from market.symbols import slug

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
MIN_SHARE = 0.5  # of its finer bars, that a resampled bar needs
PAGE = 1000  # bars in a response when no limit is given


def open_replay(settings: Mapping[str, Any], symbols: list[str], interval: str) -> "Replay":
    """The replay exchange of the config's section `exchange`: of the candle files in its `folder`."""
    return Replay(settings["folder"], symbols, interval, settings.get("columns"), settings.get("min_share", MIN_SHARE))


class Replay:
    """The candle files of `symbols` under `folder`, served as bars of `interval` or of a multiple of it.

    Finer files are resampled; a bar of which less than `min_share` is there is left out, so it shows as a gap.
    Duplicates and invalid rows are served as they are. All bars count as closed. columns: the fields of the files'
    columns from left to right, where evidence does not tell. Raises UserError when the folder or a symbol's file is
    missing or damaged, its bars are coarser than `interval`, or its files are of two markets.
    """

    id = "replay"
    historical = True

    def __init__(
        self,
        folder: str | Path | None,
        symbols: list[str],
        interval: str,
        columns: list[str] | None = None,
        min_share: float = MIN_SHARE,
    ) -> None:
        self.folder = _folder(folder)
        self._columns, self._min_share = columns, min_share
        self._files = candle_files(self.folder, symbols)
        # symbols are asked for one after the other: one at a time is kept
        self._rows = lru_cache(maxsize=1)(self._load)
        bar_ms = step_ms(interval)
        ends = [int(self._rows(slug(symbol), interval)[0][-1, 0]) + bar_ms for symbol in symbols]
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
        rows, *_ = self._rows(slug(symbol), timeframe)
        limit = PAGE if limit is None else limit
        times = rows[:, 0]
        first = max(0, len(rows) - limit) if since is None else int(np.searchsorted(times, since))
        last = min(first + limit, len(rows))
        if last <= first:
            return []
        return rows[first : np.searchsorted(times, times[last - 1], side="right")].tolist()

    def readings(self, symbol: str, timeframe: str) -> list[Reading]:
        """What was taken for what in the symbol's files."""
        return self._rows(slug(symbol), timeframe)[1]

    def partial(self, symbol: str, timeframe: str, start: int, end: int) -> list[PartialBar]:
        """Bars that open in [start, end), ms, of which finer ones are missing."""
        rows, _, share = self._rows(slug(symbol), timeframe)
        chosen = (share < 1) & (rows[:, 0] >= start) & (rows[:, 0] < end)
        return [
            {"time": iso(int(time)), "share": round(float(part), 4)}
            for time, part in zip(rows[chosen, 0], share[chosen], strict=True)
        ]

    def _load(self, name: str, interval: str) -> tuple[np.ndarray, list[Reading], np.ndarray]:
        """All rows [n, 6] of the symbol that files call `name`, sorted by time: of its interval, or resampled.

        With what was taken for what, and the share [n] of each bar that its finer ones make.
        """
        bar_ms = step_ms(interval)
        by_length: dict[int, list[CandleFile]] = {}
        symbol, paths = self._files_of(name)
        for path in paths:
            for file in read_file(path, symbol, self._columns):
                by_length.setdefault(_bar_length(path, file), []).append(file)
        divisors = [length for length in by_length if bar_ms % length == 0]
        if not divisors:
            available = ", ".join(interval_of(length) for length in sorted(by_length))
            raise UserError(
                f"interval: {interval} cannot be resampled from the {available} files of {name} in {self.folder}; "
                f"choose {interval_of(min(by_length))} or a multiple of it"
            )
        length = max(divisors)
        for file in by_length[length]:
            _check_grid(file, length)
        rows = join(by_length[length], length, f"{name} {interval_of(length)}")
        readings = self._readings(by_length[length], name)
        if length == bar_ms:
            return rows, readings, np.ones(len(rows))
        bars, share = resample(rows, length, bar_ms, self._min_share, f"{name} {interval}")
        return bars, readings, share

    def _readings(self, files: list[CandleFile], name: str) -> list[Reading]:
        """One for all files that were read alike, on record and in a line of the log."""
        alike: dict[tuple[tuple[str, str], ...], list[CandleFile]] = {}
        for file in files:
            alike.setdefault(tuple(file.read.items()), []).append(file)
        readings: list[Reading] = []
        for said, same in alike.items():
            first = same[0].name.removeprefix(f"{self.folder}/")
            readings.append({"first_file": first, "files": len(same), "columns": dict(said)})
            more = f" and {len(same) - 1} more" if len(same) > 1 else ""
            say(f"{name}: {first}{more} read as " + ", ".join(f"{field}: {what}" for field, what in said))
        return readings

    def _files_of(self, name: str) -> tuple[str, list[Path]]:
        """The unified symbol, and its files."""
        for symbol, files in self._files.items():
            if slug(symbol) == name:
                return symbol, files
        available = ", ".join(self._files) or "none"
        raise UserError(f"symbols: no candle file of {name} in {self.folder}; available symbols: {available}")


def _folder(folder: str | Path | None) -> Path:
    if not folder:
        raise UserError("exchange.folder: is not set; exchange.id replay needs the folder of the candle files")
    if not Path(folder).is_dir():
        raise UserError(f"exchange.folder: {folder} is not a folder; give the folder of the candle files")
    return Path(folder)


def _bar_length(path: Path, file: CandleFile) -> int:
    """Length of a file's bars in ms: the most common time between them. Raises UserError when its name contradicts."""
    pattern = r"(?:^|[^A-Za-z0-9])([1-9]\d*[mhd])(?=[^A-Za-z0-9]|$)"
    match = re.search(pattern, Path(file.name).name) or re.search(pattern, path.name)
    named = step_ms(match[1]) if match else None
    between, counts = np.unique(np.diff(np.unique(file.rows[:, 0])), return_counts=True)
    if not len(between):
        if named is None:
            raise UserError(
                f"{file.name}: holds a single bar, so its interval is unknown; "
                "rename it with its interval, as in BTCUSDT-1m"
            )
        return named
    length = int(between[np.argmax(counts)])
    if length % MINUTE:
        raise UserError(f"{file.name}: its bars are {length / 1000:g} s apart; bars of whole minutes are required")
    if named not in (None, length):
        raise UserError(
            f"{file.name}: its bars are {interval_of(length)} apart but its name says {match and match[1]}; "
            "rename or replace it"
        )
    return length


def _check_grid(file: CandleFile, bar_ms: int) -> None:
    """Raise UserError when most bars of `bar_ms` open beside the grid of their length."""
    offsets, counts = np.unique(file.rows[:, 0].astype(np.int64) % bar_ms, return_counts=True)
    offset = int(offsets[np.argmax(counts)])
    if offset and counts.max() > len(file.rows) / 2:
        clock = iso(offset)[11:19].removesuffix(":00")
        raise UserError(
            f"{file.name}: its {interval_of(bar_ms)} bars open at {clock} UTC, not at 00:00 and multiples of their "
            "length; replace it, by one of finer bars, which are resampled"
        )
