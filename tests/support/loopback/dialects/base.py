"""What the dialects share: routes, symbols, the choice of a page's rows, errors."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from support.loopback.tape import Tape

Query = Mapping[str, str]


class RefusalError(Exception):
    """An error reply: HTTP status and content."""


@dataclass(frozen=True)
class Habits:
    """How an exchange serves candles. By other habits, one dialect imitates a further exchange.

    page: most bars in a reply. default: bars where no limit is asked for. history: only so many of the newest bars are
    served, and `refuses_older` requests by an error. window: bars of time that a reply spans from its start, so that it
    is empty where there were no trades for that long. clock: whether there is an endpoint for the time.
    """

    page: int
    default: int
    history: int | None = None
    refuses_older: bool = False
    window: int | None = None
    clock: bool = True


class Dialect(ABC):
    """One exchange's endpoints, over a tape."""

    id: ClassVar[str]  # ccxt's
    habits: Habits
    routes: ClassVar[Mapping[str, str]]  # pattern of a path → endpoint: markets, time, candles or another method's name
    intervals: ClassVar[Mapping[str, str]]  # ccxt's timeframe → as it is asked for
    # by kind: not found, symbol, interval, request, too old, rate limit
    errors: ClassVar[Mapping[str, tuple[int, Any]]]

    def __init__(self, tape: Tape, habits: Habits | None = None) -> None:
        self.tape = tape
        self.habits = habits or self.habits

    @abstractmethod
    def options(self, url: str) -> dict[str, Any]:
        """ccxt's constructor options that make its class ask this address, for spot markets alone."""

    @abstractmethod
    def market_id(self, symbol: str) -> str:
        """The exchange's name of a symbol."""

    @abstractmethod
    def markets(self, query: Query) -> Any: ...

    @abstractmethod
    def time(self, query: Query) -> Any: ...

    @abstractmethod
    def select(self, symbol: str, query: Query) -> np.ndarray:
        """The rows of the page asked for, oldest first."""

    @abstractmethod
    def write(self, symbol: str, rows: np.ndarray) -> Any:
        """The content of a reply with those rows."""

    def endpoint(self, path: str) -> tuple[str, dict[str, str]]:
        """The endpoint of a path, and what the path says of the query. Raises RefusalError."""
        for pattern, name in self.routes.items():
            if match := re.fullmatch(pattern, path):
                return name, match.groupdict()
        raise self.refusal("not found")

    def respond(
        self, path: str, query: Query, edit: Callable[[str, np.ndarray], np.ndarray] = lambda _, rows: rows
    ) -> Any:
        """The content of the reply to a request; `edit` changes a page's rows. Raises RefusalError."""
        name, named = self.endpoint(path)
        query = {**query, **named}
        if name == "candles":
            symbol = self.symbol(query)
            return self.write(symbol, edit(symbol, self.select(symbol, query)))
        if name == "time" and not self.habits.clock:
            raise self.refusal("not found")
        return getattr(self, name)(query)

    def symbol(self, query: Query, key: str = "symbol") -> str:
        """The symbol that a query names. Raises RefusalError."""
        for symbol in self.tape.candles:
            if query.get(key) == self.market_id(symbol):
                return symbol
        raise self.refusal("symbol" if query.get(key) else "request")

    def check_interval(self, asked: str | None) -> None:
        """Raises RefusalError unless it is the tape's."""
        if not asked:
            raise self.refusal("request")
        if asked != self.intervals.get(self.tape.interval):
            raise self.refusal("interval")

    def page(
        self, symbol: str, start: int | None = None, end: int | None = None, limit: int | None = None,
        newest: bool = False, habits: Habits | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Published rows that open in start..end (ms), at most `limit`: the first, or the last where there is no start
        or the newest are wanted. habits: of one endpoint of several."""
        habits = habits or self.habits
        rows, bar_ms, time = self.history(symbol), self.tape.bar_ms, self.tape.time()
        oldest = time // bar_ms * bar_ms - habits.history * bar_ms if habits.history else 0
        if habits.refuses_older and start is not None and start < oldest:
            raise self.refusal("too old")
        if habits.window and start is not None:
            end = min(time if end is None else end, start + habits.window * bar_ms - 1)
        first = max(oldest, start or 0)
        rows = rows[(rows[:, 0] >= first) & (rows[:, 0] <= (time if end is None else end))]
        limit = min(limit or habits.default, habits.page)
        return rows[-limit:] if newest or start is None else rows[:limit]

    def history(self, symbol: str) -> np.ndarray:
        """All rows that the exchange has."""
        return self.tape.published(symbol)

    def refusal(self, kind: str) -> RefusalError:
        return RefusalError(*self.errors[kind])


def whole(query: Query, name: str, unit: int = 1) -> int | None:
    """A number of the query, times `unit`; None where there is none."""
    return int(query[name]) * unit if query.get(name) else None


def text(value: float) -> str:
    """A price or volume without needless zeros."""
    return f"{value:.8f}".rstrip("0").rstrip(".")
