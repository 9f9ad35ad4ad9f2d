"""The candles after a decision, as far as they exist."""

from typing import NamedTuple

import pandas as pd

from common.job import say
from market.candles import Quality, clean
from market.exchange import Exchange
from market.fetching import fetch
from market.store import RECHECKED, Store


class Outcome(NamedTuple):
    """Candles from a start on, the record of their quality, and whether no further one can come."""

    candles: pd.DataFrame
    quality: Quality
    final: bool


def outcome(
    exchange: Exchange, store: Store, symbol: tuple[str, str], start: int, horizon: int, closed: int, fill: int
) -> Outcome:
    """The closed candles of the `horizon` bars from `start` (ms): fewer, or none, while these have not passed.

    symbol: its slug and its unified symbol. closed: time (ms) by which bars are final, `last_close`. fill: gaps of up
    to so many bars between two candles are filled. Raises UserError when a request to the exchange fails.
    """
    name, unified = symbol
    bar_ms, interval = store.bar_ms, store.interval
    whole = start + horizon * bar_ms
    last = max(start, min(whole, closed))
    fetched = fetch(exchange, store, unified, start, last)
    rows = fetched.rows
    settled = not exchange.historical and not len(fetched.unconfirmed)
    # bars that do not exist yet are no gap
    end = last if settled else int(rows[:, 0].max(initial=start - bar_ms)) // bar_ms * bar_ms + bar_ms
    revised = store.revisions(start - RECHECKED * bar_ms, end)
    candles, quality = clean(rows, name, interval, start, end, fill, revised=revised, fill_end=settled)
    for revision in revised:
        say(f"{name} {interval}: {exchange.id} changed the candle of {revision['time']} after it was fetched")
    return Outcome(candles, quality, final=last == whole and not len(fetched.unconfirmed))
