"""The exchange seam: one object with ccxt's unified API, whether embedded (`simulated`, `replay`) or asked by ccxt."""

import difflib
import os
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Protocol, TypeVar

import numpy as np

from common.errors import UserError
from common.job import say
from common.secrets import secret_in
from market.intervals import DAY, iso, parse_time, step_ms
from market.replay import Replay
from market.simulated import Simulated
from market.symbols import slug

EMBEDDED = ("simulated", "replay")  # they have a tape's end for a clock, and give closed bars alone
EMBEDDED_PAGE = 100_000  # bars asked for at once
LARGEST_PAGE, UNSTATED_PAGE = 1000, 300  # the same of a ccxt exchange: at most, and when it states none
WAITS = (0.25, 0.5, 1.0, 2.0)  # seconds before each further try
PROGRESS_EVERY = 5.0  # seconds between two lines of progress

T = TypeVar("T")


class Exchange(Protocol):
    """What the workflow uses of ccxt's unified API."""

    @property
    def id(self) -> str: ...

    @property
    def timeframes(self) -> Mapping[str, Any]: ...

    def load_markets(self) -> Mapping[str, Any]: ...

    def milliseconds(self) -> int: ...

    def fetch_ohlcv(
        self, symbol: str, timeframe: str = ..., since: int | None = ..., limit: int | None = ...
    ) -> list[list[float]]: ...


def open_exchange(options: Mapping[str, Any], symbols: list[str], interval: str) -> Exchange:
    """The exchange that the config's section `exchange` names.

    options: keys `id`, `folder` (replay), `options` (ccxt's constructor options), `seed` and `data_end` (simulated).
    symbols, interval: what will be asked for; `replay` looks for their files.
    Raises UserError when there is no such exchange, its options hold a key, or `replay` lacks a file.
    """
    name = options["id"]
    if name == "simulated":
        return Simulated(options["seed"], parse_time(options["data_end"]))
    if name == "replay":
        return Replay(options["folder"], symbols, interval)
    return _open_ccxt(name, options["options"])


def clock(exchange: Exchange) -> int:
    """The exchange's own time, ms; this machine's where the exchange tells none. Raises UserError."""
    if getattr(exchange, "has", {}).get("fetchTime"):
        return ask(exchange, lambda: int(exchange.fetch_time()))  # type: ignore[attr-defined]
    return exchange.milliseconds()


def resolve_symbols(exchange: Exchange, symbols: list[str]) -> dict[str, str]:
    """The exchange's unified symbol of each of `symbols`, by the name that files carry: {"BTCUSDT": "BTC/USDT"}.

    `symbols` may be written BTC/USDT, BTCUSDT or as the exchange's own id. Raises UserError on one that it lacks.
    """
    markets = ask(exchange, exchange.load_markets)
    by_slug = {slug(symbol): symbol for symbol in markets}
    by_id = {str(market["id"]).upper(): symbol for symbol, market in markets.items()}
    found = {slug(symbol): by_slug.get(slug(symbol)) or by_id.get(symbol.upper()) for symbol in symbols}
    for symbol in symbols:
        if found[slug(symbol)] is None:
            near = [by_slug[name] for name in difflib.get_close_matches(slug(symbol), by_slug, n=3)]
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {_some(list(by_slug.values()))}"
            raise UserError(f"symbols: {symbol} is not on {exchange.id}; {hint}")
    return {name: symbol for name, symbol in found.items() if symbol}


def check_interval(exchange: Exchange, interval: str) -> None:
    """Raise UserError when the exchange has no bars of `interval`, or they are longer than a day.

    Longer bars do not start on multiples of their length since 1970, which is the grid here.
    """
    usable = [name for name in exchange.timeframes or {} if name[-1] in "mhd" and step_ms(name) <= DAY]
    step_ms(interval)
    if interval not in usable:
        has = ", ".join(sorted(usable, key=step_ms))
        raise UserError(f"interval: {interval} is not possible on {exchange.id}; it may be one of {has}")


def fetch_rows(exchange: Exchange, symbol: str, interval: str, start: int, end: int) -> np.ndarray:
    """Bars that open in [start, end), float64 [n, 6]: open time (ms), open, high, low, close, volume.

    As the exchange gives them: with gaps, and on `replay` with duplicates. Raises UserError when it does not answer.
    The next page starts at the bar after the last one received, so a page may be shorter than asked for. Where a page
    is empty but the exchange has later bars, the search goes on one page further.
    """
    step, limit = step_ms(interval), _page_bars(exchange)
    pages = [np.empty((0, 6))]
    since, newest, told = start, None, time.monotonic()
    while since < end:
        page = _page(exchange, symbol, interval, since, limit)
        page = page[page[:, 0] >= since]  # some exchanges ignore a `since` of long ago
        if len(page):
            pages.append(page[page[:, 0] < end])
            since = (int(page[:, 0].max()) // step + 1) * step
        else:
            newest = _newest(exchange, symbol, interval) if newest is None else newest
            if newest < since:
                break
            since += (limit - 1) * step  # some exchanges stop one bar short of the limit
        if time.monotonic() - told > PROGRESS_EVERY:
            told = time.monotonic()
            say(f"{symbol} {interval}: {min(1, (since - start) / (end - start)):.0%}, up to {iso(min(since, end))}")
    return np.concatenate(pages)


def fetch_closed_rows(exchange: Exchange, symbol: str, interval: str, start: int, end: int) -> np.ndarray:
    """`fetch_rows`, for a window that may reach beyond the present: bars that are still open are left out.

    No clock is needed: on a ccxt exchange a bar is closed once a later one exists, however much later.
    """
    if exchange.id in EMBEDDED:
        return fetch_rows(exchange, symbol, interval, start, end)
    # asked for first: a bar older than it was closed before it was fetched
    newest = _newest(exchange, symbol, interval)
    rows = fetch_rows(exchange, symbol, interval, start, end)
    return rows[rows[:, 0] < newest]


def ask(exchange: Exchange, question: Callable[[], T]) -> T:
    """The exchange's answer to a call. Tries again, after longer and longer waits, while the failure may pass.

    Raises UserError, one line, when it does not pass or the exchange refuses.
    """
    for attempt, wait in enumerate((*WAITS, None), start=1):
        try:
            return question()
        # looked up only when something was raised: an embedded exchange need not pay for the import
        except _ccxt().BaseError as error:
            reason = f"{type(error).__name__}: {_one_line(error).removeprefix(exchange.id).strip()}"
            if not isinstance(error, _ccxt().OperationFailed):
                raise UserError(f"exchange: {exchange.id} refuses ({reason}); check the exchange section") from error
            if wait is None:
                raise UserError(
                    f"exchange: {exchange.id} does not answer after {attempt} tries ({reason}); "
                    "check the network and exchange.options, or try again later"
                ) from error
            say(f"{exchange.id}: {reason}; trying again in {wait:g} s")
            time.sleep(wait)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            if exchange.id in EMBEDDED:
                raise
            # options of a wrong type, or a reply of an unforeseen shape, come out of ccxt like this
            raise UserError(
                f"exchange: ccxt fails on {exchange.id} ({_one_line(error)}); check exchange.options"
            ) from error
    raise AssertionError("the last try returns or raises")


def _ccxt() -> ModuleType:
    import ccxt  # takes most of a second

    return ccxt


def _open_ccxt(name: str, options: Mapping[str, Any]) -> Exchange:
    """ccxt's exchange of that id; a key for it comes from EXCHANGE_API_KEY and EXCHANGE_SECRET alone."""
    ccxt = _ccxt()
    secret = secret_in(options)
    if secret:
        raise UserError(
            f"exchange.options.{secret}: keys do not go into a config; set EXCHANGE_API_KEY and EXCHANGE_SECRET instead"
        )
    known = [*EMBEDDED, *ccxt.exchanges]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "it may be simulated, replay or an exchange id of ccxt"
        raise UserError(f"exchange.id: there is no exchange {name!r}; {hint}")
    keys = {"apiKey": os.environ.get("EXCHANGE_API_KEY"), "secret": os.environ.get("EXCHANGE_SECRET")}
    given = {key: value for key, value in keys.items() if value}
    try:
        exchange = getattr(ccxt, name)({"enableRateLimit": True, **options, **given})
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise UserError(f"exchange.options: ccxt's {name} cannot be made with them ({_one_line(error)})") from error
    if not exchange.has.get("fetchOHLCV"):
        raise UserError(f"exchange.id: {name} gives no candles; choose another exchange")
    return exchange


def _page_bars(exchange: Exchange) -> int:
    """How many bars to ask for at once."""
    if exchange.id in EMBEDDED:
        return EMBEDDED_PAGE
    features = getattr(exchange, "features", None) or {}
    stated = ((features.get("spot") or {}).get("fetchOHLCV") or {}).get("limit")
    return min(stated or UNSTATED_PAGE, LARGEST_PAGE)


def _page(exchange: Exchange, symbol: str, interval: str, since: int | None, limit: int) -> np.ndarray:
    """One answer of `fetch_ohlcv`, [n, 6]; what the exchange leaves out (None) is NaN, but for a time."""
    return ask(exchange, lambda: _table(exchange.fetch_ohlcv(symbol, interval, since, limit)))


def _table(rows: list[list[float]]) -> np.ndarray:
    """Rows as an array [n, 6]. Raises TypeError or ValueError when they are no candles."""
    table = np.array(rows, dtype=np.float64)
    if table.shape == (0,):
        return np.empty((0, 6))
    if table.ndim != 2 or table.shape[1] != 6 or np.isnan(table[:, 0]).any():
        raise ValueError("its candles are no rows of a time and five numbers")
    return table


def _newest(exchange: Exchange, symbol: str, interval: str) -> float:
    """Open time of the newest bar, -inf if there is none."""
    return _page(exchange, symbol, interval, None, 2)[:, 0].max(initial=-np.inf)


def _some(symbols: list[str]) -> str:
    """A few of many names."""
    return ", ".join(sorted(symbols)[:10]) + (f" and {len(symbols) - 10} more" if len(symbols) > 10 else "")


def _one_line(error: Exception) -> str:
    """What an exchange's error says, on one line: some carry a whole page of HTML."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"
