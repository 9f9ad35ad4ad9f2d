"""The time after which nothing is known: by which every bar is closed and final."""

import time

from common.job import say
from market.exchange import Exchange
from market.intervals import iso

LATE = 6  # times the grace: so long after its close a bar that is not there yet is waited for
FRESH = 0.25  # bars; where the last close is longer ago, a decision waits for the next one,
LONGEST_WAIT = 60.0  # but not for more seconds


def last_close(exchange: Exchange, bar_ms: int, grace: float) -> int:
    """Time (ms, on the grid) by which every bar that opened a bar earlier is closed and final. grace: seconds after its
    close when a bar is final; of no matter on historical data."""
    return _settled(exchange, grace) // bar_ms * bar_ms


def next_close(exchange: Exchange, bar_ms: int, grace: float) -> int:
    """`last_close`; where that was long ago for its interval and the next is near, the next one, once it has come: what
    is decided on it is then as young as can be."""
    settled = _settled(exchange, grace)
    wait = (bar_ms - settled % bar_ms) / 1000
    if exchange.historical or settled % bar_ms <= FRESH * bar_ms or wait > LONGEST_WAIT:
        return settled // bar_ms * bar_ms
    say(f"waiting {wait:.0f} s for the bar that closes at {iso(settled // bar_ms * bar_ms + bar_ms)}")
    time.sleep(wait)
    return last_close(exchange, bar_ms, grace)


def _settled(exchange: Exchange, grace: float) -> int:
    """The exchange's time, ms, up to which bars that have closed are final."""
    return exchange.milliseconds() - (0 if exchange.historical else int(1000 * grace))
