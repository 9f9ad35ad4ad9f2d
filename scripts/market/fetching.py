"""What is asked of an exchange: its clock, its symbols and intervals, and bars, page after page."""

import difflib
import time
from collections.abc import Mapping

import numpy as np

from common.errors import UserError
from common.job import say
from market.exchange import Exchange, is_historical
from market.intervals import DAY, iso, step_ms
from market.retries import with_retries
from market.symbols import slug

HISTORICAL_PAGE = 100_000  # bars in a request to an exchange of historical data
LARGEST_PAGE, UNSTATED_PAGE = 1000, 300  # the same of a live exchange: at most, and when it states no limit
PROGRESS_EVERY = 5.0  # seconds between two lines of progress


def clock(exchange: Exchange) -> int:
    """The exchange's time, ms; this machine's where the exchange has none. Raises UserError."""
    if getattr(exchange, "has", {}).get("fetchTime"):
        return with_retries(exchange, lambda: int(exchange.fetch_time()))  # type: ignore[attr-defined]
    return exchange.milliseconds()


def resolve_symbols(exchange: Exchange, symbols: list[str]) -> dict[str, str]:
    """The exchange's unified symbol of each of `symbols`, by the name in file names: {"BTCUSDT": "BTC/USDT"}.

    `symbols` may be written BTC/USDT, BTCUSDT or as the exchange's market id. Raises UserError on one that it lacks.
    """
    markets = with_retries(exchange, exchange.load_markets)
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


def fetch_rows(exchange: Exchange, symbol: str, interval: str, start: int, end: int) -> np.ndarray:
    """Bars that open in [start, end), float64 [n, 6]: open time (ms), open, high, low, close, volume.

    As the exchange gives them: with gaps, and on `replay` with duplicates. Raises UserError when a request fails.
    The next page starts at the bar after the last one received, so a page may be shorter than asked for. Where a page
    is empty but the exchange has later bars, the search goes on one page further.
    """
    bar_ms, limit = step_ms(interval), _page_limit(exchange)
    pages = [np.empty((0, 6))]
    since, newest, reported = start, None, time.monotonic()
    while since < end:
        page = _fetch_page(exchange, symbol, interval, since, limit)
        page = page[page[:, 0] >= since]  # some exchanges ignore a `since` of long ago
        if len(page):
            pages.append(page[page[:, 0] < end])
            since = (int(page[:, 0].max()) // bar_ms + 1) * bar_ms
        else:
            newest = _newest(exchange, symbol, interval) if newest is None else newest
            if newest < since:
                break
            since += (limit - 1) * bar_ms  # some exchanges stop one bar short of the limit
        if time.monotonic() - reported > PROGRESS_EVERY:
            reported = time.monotonic()
            say(f"{symbol} {interval}: {min(1, (since - start) / (end - start)):.0%}, up to {iso(min(since, end))}")
    return np.concatenate(pages)


def fetch_closed_rows(exchange: Exchange, symbol: str, interval: str, start: int, end: int) -> np.ndarray:
    """`fetch_rows`, for a window that may reach beyond the present: bars that are still open are left out.

    No clock is needed: on a live exchange a bar is closed once a later one exists, however much later.
    """
    if is_historical(exchange):
        return fetch_rows(exchange, symbol, interval, start, end)
    # before the bars themselves: one that is older than this was closed before it was fetched
    newest = _newest(exchange, symbol, interval)
    rows = fetch_rows(exchange, symbol, interval, start, end)
    return rows[rows[:, 0] < newest]


def _page_limit(exchange: Exchange) -> int:
    """Bars in a request."""
    if is_historical(exchange):
        return HISTORICAL_PAGE
    features = getattr(exchange, "features", None) or {}
    stated = ((features.get("spot") or {}).get("fetchOHLCV") or {}).get("limit")
    return min(stated or UNSTATED_PAGE, LARGEST_PAGE)


def _fetch_page(exchange: Exchange, symbol: str, interval: str, since: int | None, limit: int) -> np.ndarray:
    """One response of `fetch_ohlcv`, [n, 6]; what the exchange leaves out (None) is NaN, but for a time."""
    return with_retries(exchange, lambda: _as_rows(exchange.fetch_ohlcv(symbol, interval, since, limit)))


def _as_rows(response: list[list[float]]) -> np.ndarray:
    """A response as an array [n, 6]. Raises TypeError or ValueError when it is malformed."""
    rows = np.array(response, dtype=np.float64)
    if rows.shape == (0,):
        return np.empty((0, 6))
    if rows.ndim != 2 or rows.shape[1] != 6 or np.isnan(rows[:, 0]).any():
        raise ValueError("OHLCV rows must be a timestamp and five numbers")
    return rows


def _newest(exchange: Exchange, symbol: str, interval: str) -> float:
    """Open time of the newest bar, -inf if there is none."""
    return _fetch_page(exchange, symbol, interval, None, 2)[:, 0].max(initial=-np.inf)


def _similar(name: str, by_slug: Mapping[str, str]) -> str:
    """Symbols that are written much like `name`, or a few of all."""
    near = [by_slug[match] for match in difflib.get_close_matches(name, by_slug, n=3)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    symbols = sorted(by_slug.values())
    more = f" and {len(symbols) - 10} more" if len(symbols) > 10 else ""
    return f"available symbols: {', '.join(symbols[:10])}{more}"
