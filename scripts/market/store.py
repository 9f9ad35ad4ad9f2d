"""The store: all candles that were ever received of one symbol and interval, so that nothing is asked for twice.

    <store>/<source>/<symbol>/<interval>/2024-05.parquet    bars by month (UTC), columns as in candle files
    <store>/<source>/<symbol>/<interval>/index.json         what is confirmed absent, and bars that were revised

It is a cache that the candle files are cut from, and no artifact. Each file is written whole or not at
all, and the index before the bars that it is about: a process that is killed loses the page that it was receiving.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from typing_extensions import TypedDict

from common.errors import UserError
from common.files import read_document, write_json, write_parquet
from common.job import say
from common.locks import locked
from market.candles import COLUMNS, Part, Revision, read_candles, valid_rows
from market.intervals import iso, step_ms

VERSION = 1
RECHECKED = 3  # last stored bars that a fetch asks for again with the ones after them


class Absence(TypedDict):
    """Bars that the exchange has none of: open times (ms) of the first and of the bar after the last. `answers` are the
    two times (ISO) at which it was asked."""

    first: int
    end: int
    answers: list[str]


class Index(TypedDict):
    """What index.json holds."""

    version: int
    absent: list[Absence]
    revisions: list[Revision]


class Store:
    """Bars of one symbol and interval under `folder`. To change it, hold `locked`."""

    def __init__(self, folder: str | Path, source: str, symbol: str, interval: str) -> None:
        self.folder = Path(folder, source, symbol, interval)
        self.interval, self.bar_ms = interval, step_ms(interval)
        self._month = lru_cache(maxsize=2)(self._read_month)
        self._index: Index | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store alone: another process waits, and a killed one holds nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        waiting = f"{self.folder}: waiting for another job that fetches the same candles"
        with locked(self.folder / ".lock", waiting):
            self._month.cache_clear()
            self._index = None
            _ = self.index  # one of another version sets the months aside before they are read
            yield

    @property
    def index(self) -> Index:
        """Raises nothing: an index of another version, or a damaged one, is set aside with all that it belongs to."""
        if self._index is None:
            path = self.folder / "index.json"
            self._index = {"version": VERSION, "absent": [], "revisions": []}
            if path.exists():
                try:
                    found = read_document(path, Index)
                    if found["version"] != VERSION:
                        raise UserError(f"{path}: is of version {found['version']}")
                    self._index = found
                except UserError as error:
                    self._set_aside(error)
        return self._index

    def rows(self, start: int, end: int) -> np.ndarray:
        """Stored bars that open in [start, end) ms, float64 [n, 6], by time."""
        parts = [_between(self._month(month), start, end) for month in _months(start, end)]
        return np.concatenate([np.empty((0, 6)), *parts])

    def parts(self, start: int, end: int) -> Iterator[Part]:
        """Stored bars that open in [start, end) ms, a month or so at a time: years of minutes need much memory.

        Parts meet where a bar with trades follows the one before, so no gap and no frozen span is in two of them.
        """
        first, rows = start, np.empty((0, 6))
        for month in _months(start, end):
            rows = np.concatenate([rows, _between(self._month(month), start, end)])
            if cut := _last_seam(rows, self.bar_ms):
                after = int(rows[cut, 0])
                yield Part(rows[:cut], first, after)
                first, rows = after, rows[cut:]
        yield Part(rows, first, end)

    def missing(self, start: int, end: int) -> np.ndarray:
        """Spans [k, 2] (open time of the first bar, and of the one after the last) of [start, end) neither stored nor
        confirmed absent. start, end: on the grid."""
        # one more at either end, so that every span of what is missing has two edges
        settled = np.zeros((end - start) // self.bar_ms + 2, dtype=bool)
        settled[[0, -1]] = True
        for month in _months(start, end):
            times = _between(self._month(month), start, end)[:, 0].astype(np.int64)
            settled[(times - start) // self.bar_ms + 1] = True
        absent = np.array([[absence["first"], absence["end"]] for absence in self.index["absent"]], dtype=np.int64)
        for first, after in ((np.clip(absent.reshape(-1, 2), start, end) - start) // self.bar_ms + 1).tolist():
            settled[first:after] = True
        edges = np.flatnonzero(np.diff(settled)).reshape(-1, 2)
        return start + edges * self.bar_ms

    def add(self, rows: np.ndarray, seen: int) -> None:
        """Store bars [n, 6], sorted by time and no time twice.

        Where one was stored with other values it is replaced, and both are in the index. seen: when, ms.
        """
        if not len(rows):
            return
        for month in _months(int(rows[0, 0]), int(rows[-1, 0]) + 1):
            new = _between(rows, *_bounds(month))
            old = self._month(month)
            self._record_revisions(old, new, seen)
            kept = old[~np.isin(old[:, 0], new[:, 0])]
            if len(kept) + len(new) == len(old) and not self._differing(old, new).any():
                continue
            merged = np.concatenate([kept, new])
            merged = merged[np.argsort(merged[:, 0], kind="stable")]
            frame = pd.DataFrame(merged, columns=COLUMNS).astype({"timestamp": "int64"})
            write_parquet(self.folder / f"{month}.parquet", frame)
            self._month.cache_clear()

    def mark_absent(self, spans: np.ndarray, asked: int, asked_again: int) -> None:
        """Record spans [k, 2] as confirmed absent by two answers, at these times (ms)."""
        if not len(spans):
            return
        answers = [iso(asked), iso(asked_again)]
        self.index["absent"] += [{"first": first, "end": end, "answers": answers} for first, end in spans.tolist()]
        self.index["absent"].sort(key=lambda absence: absence["first"])
        write_json(self.folder / "index.json", self.index)

    def revisions(self, start: int, end: int) -> list[Revision]:
        """Those of bars that open in [start, end) ms."""
        return [revision for revision in self.index["revisions"] if iso(start) <= revision["time"] < iso(end)]

    def _record_revisions(self, old: np.ndarray, new: np.ndarray, seen: int) -> None:
        both = self._differing(old, new)
        if not both.any():
            return
        changed = new[both]
        before = old[np.searchsorted(old[:, 0], changed[:, 0])]
        self.index["revisions"] += [
            {"time": iso(int(one[0])), "before": one[1:].tolist(), "after": other[1:].tolist(), "seen": iso(seen)}
            for one, other in zip(before, changed, strict=True)
        ]
        write_json(self.folder / "index.json", self.index)

    def _differing(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Mask [n] of `new`: stored with other values."""
        if not len(old) or not len(new):
            return np.zeros(len(new), dtype=bool)
        place = np.minimum(np.searchsorted(old[:, 0], new[:, 0]), len(old) - 1)
        return np.asarray((old[place, 0] == new[:, 0]) & (old[place] != new).any(axis=1))

    def _read_month(self, month: str) -> np.ndarray:
        path = self.folder / f"{month}.parquet"
        if not path.exists():
            return np.empty((0, 6))
        try:
            return read_candles(path, self.interval).to_numpy(dtype=np.float64)
        except UserError as error:
            aside = path.with_suffix(".damaged")
            path.replace(aside)
            say(f"{error}; it is set aside as {aside.name}, and fetched anew")
            return np.empty((0, 6))

    def _set_aside(self, error: UserError) -> None:
        aside = self.folder / "set-aside"
        aside.mkdir(exist_ok=True)
        for path in [*self.folder.glob("*.parquet"), self.folder / "index.json"]:
            path.replace(aside / path.name)
        say(f"{error}; the store's files are set aside in {aside}, and candles are fetched anew")
        self._month.cache_clear()


def _months(start: int, end: int) -> list[str]:
    """Months (YYYY-MM, UTC) that [start, end) touches."""
    first = np.datetime64(start, "ms").astype("datetime64[M]")
    last = np.datetime64(end - 1, "ms").astype("datetime64[M]")
    return [str(month) for month in np.arange(first, last + 1)]


def _bounds(month: str) -> tuple[int, int]:
    """Its first millisecond, and the first after it."""
    first = np.datetime64(month, "M")
    return tuple(int(edge.astype("datetime64[ms]").astype(np.int64)) for edge in (first, first + 1))  # type: ignore[return-value]


def _last_seam(rows: np.ndarray, bar_ms: int) -> int:
    """Index of the last valid bar that has trades and follows a valid one; 0: there is none."""
    valid, _ = valid_rows(rows, bar_ms)
    seams = valid[1:, 0][(np.diff(valid[:, 0]) == bar_ms) & (valid[1:, 5] > 0)]
    return int(np.searchsorted(rows[:, 0], seams[-1])) if len(seams) else 0


def _between(rows: np.ndarray, start: int, end: int) -> np.ndarray:
    low, high = np.searchsorted(rows[:, 0], [start, end])
    return rows[low:high]
