"""What is asked of an exchange: its symbols, its intervals, and bars."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError
from market.candles import Part, Revision
from market.exchange import Exchange, LiveExchange, as_rows, open_exchange
from market.intervals import DAY, step_ms
from market.store import Store
from market.symbols import slug

HISTORICAL_PAGE = 100_000  # bars in a request to an exchange of historical data


def resolve_symbols(exchange: Exchange, symbols: list[str]) -> dict[str, str]:
    """The exchange's unified symbol of each of `symbols`, by the name in file names: {"BTCUSDT": "BTC/USDT"}.

    `symbols` may be written BTC/USDT, BTCUSDT or as the exchange's market id. Raises UserError on one that it lacks.
    """
    markets = exchange.load_markets()
    by_slug = {slug(symbol): symbol for symbol in markets}
    by_id = {str(market["id"]).upper(): symbol for symbol, market in markets.items()}
    resolved = {}
    for symbol in symbols:
        name = slug(symbol)
        unified = by_slug.get(name) or by_id.get(symbol.upper())
        if unified is None:
            raise UserError(f"symbols: {symbol} not found on {exchange.id}; {_similar(name, by_slug)}")
        resolved[name] = unified
    return resolved


def check_interval(exchange: Exchange, interval: str) -> None:
    """Raise UserError when the exchange has no bars of `interval`, or they are longer than a day.

    Longer bars do not start on multiples of their length since 1970, which is the grid here.
    """
    step_ms(interval)
    usable = [name for name in exchange.timeframes or {} if name[-1] in "mhd" and step_ms(name) <= DAY]
    if interval not in usable:
        supported = ", ".join(sorted(usable, key=step_ms))
        raise UserError(f"interval: {interval} is not supported on {exchange.id}; supported intervals: {supported}")


class Fetched(NamedTuple):
    """parts: reads the bars of the window, in parts that `clean` may be given one after the other. unconfirmed: spans
    [k, 2] at its end that no later bar closes. revisions: of the bars in it."""

    parts: Callable[[], Iterable[Part]]
    unconfirmed: np.ndarray
    revisions: list[Revision]

    @property
    def rows(self) -> np.ndarray:
        """Those of all parts, [n, 6]."""
        return np.concatenate([part.rows for part in self.parts()])


def open_at(cutoff: Mapping[str, Any], settings: Mapping[str, Any], symbol: str, interval: str) -> Exchange:
    """`open_exchange`, with the markets that the cutoff's file holds."""
    exchange = open_exchange(settings, [symbol], interval)
    if isinstance(exchange, LiveExchange):
        exchange.set_markets(cutoff["markets"])
    return exchange


def fetch(exchange: Exchange, store: Store, symbol: str, start: int, end: int, wait_until: int = 0) -> Fetched:
    """Bars that open in [start, end) ms: of a live exchange by way of the store (`collect`), else directly.

    As the exchange gives them: with gaps, and on `replay` with duplicates. Raises UserError when a request fails.
    """
    if not isinstance(exchange, LiveExchange):
        rows = fetch_rows(exchange, symbol, store.interval, start, end)
        return Fetched(lambda: [Part(rows, start, end)], np.empty((0, 2), dtype=np.int64), [])
    from market.collect import collect  # what asks a live exchange takes 0.2 s to import

    with store.locked():
        collect(exchange, store, symbol, start, end, wait_until)
        return Fetched(partial(store.parts, start, end), store.missing(start, end), store.revisions(start, end))


def fetch_rows(exchange: Exchange, symbol: str, interval: str, start: int, end: int) -> np.ndarray:
    """Bars [n, 6] of an exchange of historical data that open in [start, end), as it gives them."""
    bar_ms = step_ms(interval)
    pages = [np.empty((0, 6))]
    while start < end:
        page = as_rows(exchange.fetch_ohlcv(symbol, interval, start, HISTORICAL_PAGE))
        if not len(page):
            break
        pages.append(page[page[:, 0] < end])
        start = (int(page[:, 0].max()) // bar_ms + 1) * bar_ms
    return np.concatenate(pages)


def _similar(name: str, by_slug: Mapping[str, str]) -> str:
    """Symbols that are written much like `name`, or a few of all."""
    near = [by_slug[match] for match in difflib.get_close_matches(name, by_slug, n=3)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    symbols = sorted(by_slug.values())
    more = f" and {len(symbols) - 10} more" if len(symbols) > 10 else ""
    return f"available symbols: {', '.join(symbols[:10])}{more}"
