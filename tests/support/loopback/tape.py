"""What a market did, and the law by which an exchange publishes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from market.intervals import step_ms


@dataclass
class Tape:
    """Bars of one interval by symbol (`BTC/USDT`): rows [n, 6] of open time (ms) open high low close volume, in order.

    A minute without trades has no row. The exchange's clock stands at `now` (ms, or a function that gives them), off by
    `skew_ms`. By that clock a bar is published from its open on, with the values so far, and has its final ones
    `final_after_ms` after its close; a symbol in `late_ms` publishes a bar only so long after its close. One in
    `halted` is listed as not traded (by the dialect of Binance).
    """

    candles: Mapping[str, np.ndarray]
    interval: str
    now: float | Callable[[], float]
    skew_ms: int = 0
    final_after_ms: int = 0
    late_ms: dict[str, int] = field(default_factory=dict)
    halted: set[str] = field(default_factory=set)

    @property
    def bar_ms(self) -> int:
        return step_ms(self.interval)

    def time(self) -> int:
        """The exchange's clock, ms."""
        return int(self.now() if callable(self.now) else self.now) + self.skew_ms

    def published(self, symbol: str) -> np.ndarray:
        """The symbol's rows as the exchange shows them now. Raises KeyError."""
        rows, time = self.candles[symbol], self.time()
        shown = time - (self.bar_ms + self.late_ms[symbol] if symbol in self.late_ms else 0)
        rows = rows[: np.searchsorted(rows[:, 0], shown, side="right")]
        lasting = self.bar_ms + self.final_after_ms
        final = int(np.searchsorted(rows[:, 0], time - lasting, side="right"))
        if final == len(rows):
            return rows
        return np.concatenate([rows[:final], [so_far(row, (time - row[0]) / lasting) for row in rows[final:]]])


def so_far(row: np.ndarray, share: float) -> np.ndarray:
    """A bar when that share (0 to 1) of its time has passed, its price going evenly from open to close by way of both
    extremes."""
    opened, high, low, close = row[1:5]
    turns = [opened, low, high, close] if close >= opened else [opened, high, low, close]
    price = float(np.interp(3 * share, range(4), turns))
    seen = [*turns[: 1 + int(3 * share)], price]
    return np.array([row[0], opened, *np.round([max(seen), min(seen), price, share * row[5]], 8)])
