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
    now = exchange.milliseconds()
    return int(now if exchange.historical else now - 1000 * grace) // bar_ms * bar_ms


def next_close(exchange: Exchange, bar_ms: int, grace: float) -> int:
    """`last_close`; where that was long ago for its interval and the next is near, the next one, once it has come: what
    is decided on it is then as young as can be."""
    close = last_close(exchange, bar_ms, grace)
    if exchange.historical:
        return close
    since = exchange.milliseconds() - close
    wait = (bar_ms - since) / 1000 + grace
    if since <= FRESH * bar_ms + 1000 * grace or wait > LONGEST_WAIT:
        return close
    say(f"waiting {wait:.0f} s for the bar that closes at {iso(close + bar_ms)}")
    time.sleep(wait)
    return last_close(exchange, bar_ms, grace)
