"""Candles of a live exchange by way of the store: what it lacks is asked for, checked, stored page by page."""

import time

import numpy as np

from common.errors import UserError
from common.job import say
from market.candles import valid_rows
from market.exchange import LiveExchange
from market.intervals import iso
from market.retries import BadReplyError
from market.store import RECHECKED, Store

# what an answer left out, and no stored bar precedes, is asked for from so many bars earlier: one that comes shows that
# the answer is whole at its head
EARLIER = 7
SMALLEST_PAGE = 10  # bars; a response that leaves out the beginning of a page of so few does so for another reason
PROGRESS_EVERY = 5.0  # seconds between two lines of progress


def collect(exchange: LiveExchange, store: Store, symbol: str, start: int, end: int, wait_until: int = 0) -> None:
    """Bring the bars that open in [start, end) ms, which the caller knows to be closed and final, into the store.

    What neither an earlier fetch stored nor two answers of the exchange deny is asked for. While the last bar is not
    there yet, it is asked for again until `wait_until`, ms of the exchange's clock. To be called while the store is
    `locked`. Raises UserError when the exchange does not answer, or does not reach back so far.
    """
    missing = store.missing(start, end)
    if not len(missing):
        return
    collector = Collector(exchange, store, symbol, end)
    collector.check_history(missing, start)
    for first, after in _grouped(missing, collector.limit * store.bar_ms).tolist():
        collector.sweep(first, after)
    collector.confirm(start, end)
    collector.wait_for_last(start, wait_until)


class Collector:
    """Asks one exchange for bars of one symbol that open before `end`, and stores them."""

    def __init__(self, exchange: LiveExchange, store: Store, symbol: str, end: int) -> None:
        self.exchange, self.store, self.symbol, self.end = exchange, store, symbol, end
        self.bar_ms, self.limit = store.bar_ms, exchange.habits.page
        self.oldest = 0  # ms; the exchange has no bars before it any more
        self.began = _now()
        self._reported = time.monotonic()

    def check_history(self, missing: np.ndarray, start: int) -> None:
        """Raise UserError when the exchange no longer has the oldest of the missing bars, spans [k, 2]."""
        history = self.exchange.habits.history
        if history is None:
            return
        # a bar may close before it is asked for
        self.oldest = self.exchange.milliseconds() // self.bar_ms * self.bar_ms - (history - 2) * self.bar_ms
        lacking = int((np.minimum(missing[:, 1], self.oldest) - missing[:, 0]).clip(0).sum() // self.bar_ms)
        if lacking:
            raise UserError(
                f"exchange: {self.exchange.id} has the newest {history} bars of {self.store.interval} alone, since "
                f"{iso(self.oldest)}, and {lacking} older ones of {(self.end - start) // self.bar_ms} are missing; "
                "choose a longer interval, fewer days or another exchange, or import older candles (make import); "
                "stored candles stay, so a later run may ask for more days"
            )

    def sweep(self, first: int, after: int) -> None:
        """Ask for the bars that open in [first, after), page after page, each from the last stored bar on.

        What the pages leave out is not yet absent.
        """
        begin, overlap = first, RECHECKED
        while first < after:
            page = self._page(first, overlap, (after - first) // self.bar_ms + overlap + 1)
            overlap = 1
            later = page[page[:, 0] >= first]
            first = int(later[-1, 0]) + self.bar_ms if len(later) else first + (self.limit - 1) * self.bar_ms
            if time.monotonic() - self._reported > PROGRESS_EVERY:
                self._reported = time.monotonic()
                done = min(1, (first - begin) / (after - begin))
                say(f"{self.symbol} {self.store.interval}: {done:.0%}, up to {iso(min(first, after))}")

    def confirm(self, first: int, after: int) -> None:
        """Ask again for bars of [first, after) that a sweep left out, for all at once that fit in a response.

        They are marked absent as far as this answer, too, leaves them out and has all stored bars around them; where it
        has none before them, a third one must agree. What nothing later closes stays missing.
        """
        fit = (self.limit - 2 - EARLIER) * self.bar_ms
        while first < after and len(missing := self.store.missing(first, after)):
            first = int(missing[0, 0])
            spans = missing[: max(1, np.searchsorted(missing[:, 1], first + fit, side="right"))]
            last = int(spans[-1, 1])
            page = self._page(first, 1, (last - first) // self.bar_ms + 2, EARLIER)
            if not np.any(page[:, 0] < first) and self._lacks(spans):
                self._ask_again(first, int(spans[0, 1]), bool(np.any(page[:, 0] >= first)))
            if not self._lacks(spans):
                continue  # an answer had some of them: so the one before was bad
            if np.any(page[:, 0] >= first):
                reached = int(page[-1, 0])
            elif len(self.store.rows(first, self.end)):
                reached = min(last, first + fit)
            else:
                return
            self.store.mark_absent(self.store.missing(first, min(reached, last)), self.began, _now())
            first = min(reached, last)

    def _lacks(self, spans: np.ndarray) -> bool:
        """Is all of these spans [k, 2] still missing?"""
        return np.array_equal(self.store.missing(int(spans[0, 0]), int(spans[-1, 1])), spans)

    def _ask_again(self, first: int, after: int, later: bool) -> None:
        """Ask once more for absent bars that no bar precedes.

        Where there are later ones: for the last absent bars and the one after them, since a short page that was cut at
        its head does not show that one.
        """
        if later:
            self._page(max(first, after - EARLIER * self.bar_ms), 1, EARLIER + 1, last=after)
        else:
            self._page(first, 1, (after - first) // self.bar_ms + 2, EARLIER)

    def wait_for_last(self, start: int, wait_until: int) -> None:
        """While the last bar is missing, and may still come, ask for it again."""
        while (
            len(missing := self.store.missing(start, self.end))
            and missing[-1, 1] == self.end
            and self.exchange.milliseconds() < wait_until
        ):
            say(
                f"{self.symbol} {self.store.interval}: the last bar, of {iso(self.end - self.bar_ms)}, is not there yet"
            )
            time.sleep(1)
            self.sweep(int(missing[-1, 0]), self.end)
            self.confirm(start, self.end)

    def _page(self, first: int, overlap: int, wanted: int, earlier: int = 0, last: int = 0) -> np.ndarray:
        """Bars from `first` on, and the stored ones, up to `overlap`, right before it.

        In all `wanted`, or as many as fit in a response; stored as far as they open before the end. Where
        none is stored right before `first`, from so many bars `earlier` on. last: a bar that must be there, if stored.
        """
        expected = self.store.rows(max(self.oldest, first - overlap * self.bar_ms), first)
        expected = expected[_contiguous_to(expected[:, 0], first, self.bar_ms)]
        if not len(expected):
            earlier = min(earlier, max(0, first - self.oldest) // self.bar_ms)
            wanted += earlier
        since = int(expected[0, 0]) if len(expected) else first - earlier * self.bar_ms
        answers: list[np.ndarray] = []

        def request() -> np.ndarray:
            # from the third time on a smaller page: some exchanges cut the beginning off a page that is too long
            size = max(min(wanted, self.limit) >> max(0, len(answers) - 1), min(wanted, SMALLEST_PAGE))
            rows = self.exchange.rows(self.symbol, self.store.interval, since, size)
            answers.append(rows)
            self._check(since, last, answers)
            if len(answers) > 2:
                self.limit = min(self.limit, max(size, SMALLEST_PAGE))
            return rows

        page = self.exchange.ask(request)
        # an invalid bar is dropped, and counted, where candles are cut from the store; it holds numbers alone
        page = page[np.isfinite(page).all(axis=1)]
        self.store.add(page[page[:, 0] < self.end], _now())
        return page

    def _check(self, since: int, last: int, answers: list[np.ndarray]) -> None:
        """Raise BadReplyError unless the last answer may be the one to what was asked, given what is stored."""
        rows = answers[-1]
        if np.any(rows[:, 0] % self.bar_ms):  # the store could not hold them
            raise BadReplyError("its candles are off the interval's grid")
        if len(rows) and rows[0, 0] < since:
            raise BadReplyError(f"its candles begin at {iso(int(rows[0, 0]))}, not at {iso(since)} as asked")
        _, dropped = valid_rows(rows, self.bar_ms)
        if dropped and not _said_twice(answers):
            raise BadReplyError(f"its candle of {dropped[0]['time']} is invalid ({dropped[0]['reason']})")
        expected = self.store.rows(since, max(last, int(rows[-1, 0]) if len(rows) else since) + 1)
        # a minute without trades may be a flat bar in a file that was imported, and none on the exchange
        absent = expected[~np.isin(expected[:, 0], rows[:, 0]) & (expected[:, 5] > 0)]
        if len(absent):
            gone = iso(int(absent[0, 0]))
            raise BadReplyError(
                f"its candle of {gone}, which is stored, is not there; if that is for good, delete {self.store.folder}"
            )
        both = expected[np.isin(expected[:, 0], rows[:, 0])]
        other = (rows[np.isin(rows[:, 0], both[:, 0])] != both).any(axis=1)
        # an exchange revises a bar, or answers another question: it must say so twice
        if other.any() and not _said_twice(answers):
            raise BadReplyError(f"its candle of {iso(int(both[other][0, 0]))} is another than before")


def _said_twice(answers: list[np.ndarray]) -> bool:
    """Were the last two answers the same?"""
    return len(answers) > 1 and np.array_equal(answers[-1], answers[-2], equal_nan=True)


def _grouped(spans: np.ndarray, distance: int) -> np.ndarray:
    """Spans [k, 2] in order, those as one that are less than `distance` apart."""
    apart = np.flatnonzero(spans[1:, 0] - spans[:-1, 1] >= distance)
    return np.stack([spans[np.append(0, apart + 1), 0], spans[np.append(apart, -1), 1]], axis=1)


def _contiguous_to(times: np.ndarray, end: int, bar_ms: int) -> np.ndarray:
    """Mask [n]: bars that follow one another up to the one right before `end`."""
    expected = end - bar_ms * np.arange(len(times), 0, -1)
    return np.asarray(np.logical_and.accumulate((times == expected)[::-1])[::-1])


def _now() -> int:
    return int(1000 * time.time())
