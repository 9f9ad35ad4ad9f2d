"""Exchanges of ccxt by their id. Credentials come from EXCHANGE_API_KEY and EXCHANGE_SECRET alone."""

import difflib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from common.errors import UserError, one_line
from common.secrets import secret_in
from market.exchange import as_rows
from market.governor import Governor
from market.habits import habits_of
from market.retries import MALFORMED, BadReplyError, with_patience
from market.sources import source_of
from market.transport import Transport

T = TypeVar("T")


def open_ccxt(settings: Mapping[str, Any], interval: str) -> "CcxtExchange":
    """ccxt's exchange of the id that the config's section `exchange` names, with `options` for its constructor.

    interval: one that candles will be asked for.

    Raises UserError when the options hold credentials or are invalid, or the exchange has no candles.
    """
    import ccxt

    name, options = settings["id"], settings["options"]
    secret = secret_in(options)
    if secret:
        raise UserError(
            f"exchange.options.{secret}: credentials are not allowed in a config; "
            "set the environment variables EXCHANGE_API_KEY and EXCHANGE_SECRET instead"
        )
    kind = getattr(ccxt, name)
    _check_options(kind(), options)
    credentials = {"apiKey": os.environ.get("EXCHANGE_API_KEY"), "secret": os.environ.get("EXCHANGE_SECRET")}
    given = {key: value for key, value in credentials.items() if value}
    try:
        exchange = kind({"enableRateLimit": True, **options, **given})
    except MALFORMED as error:
        raise UserError(f"exchange.options: invalid options for ccxt's {name} ({one_line(error)})") from error
    if not exchange.has.get("fetchOHLCV"):
        raise UserError(f"exchange.id: ccxt's {name} does not support fetchOHLCV (candles); choose another exchange")
    return CcxtExchange(exchange, Governor(source_of(settings)), settings["patience"], interval)


class CcxtExchange:
    """One of ccxt's exchanges behind the workflow's seam. Each request is repeated with patience, as far as its failure
    may pass, and shares the machine's rate limit; its methods raise UserError, one line, when that does not help."""

    historical = False

    def __init__(self, exchange: Any, governor: Governor, patience: float, interval: str) -> None:
        self.id: str = exchange.id
        self.timeframes: Mapping[str, Any] = exchange.timeframes or {}
        stated = (((exchange.features or {}).get("spot") or {}).get("fetchOHLCV") or {}).get("limit")
        self.habits = habits_of(exchange.id, stated)
        self._exchange, self._governor, self._patience, self._interval = exchange, governor, patience, interval
        exchange.session = Transport()
        exchange.enableLastJsonResponse = True
        exchange.throttle = lambda cost=None: governor.wait(exchange.rateLimit * (1 if cost is None else cost) / 1000)

    def milliseconds(self) -> int:
        """The exchange's clock, ms; of one without, this machine's, less what it is ahead of the `Date` of replies."""
        if self._exchange.has.get("fetchTime"):
            return self.ask(self._fetch_time)
        session = self._exchange.session
        if session.clock_ahead is None:
            symbol = next(iter(self.load_markets()))
        if session.clock_ahead is None:  # the markets were given
            self.fetch_ohlcv(symbol, self._interval, limit=1)
        return int(1000 * time.time() - (session.clock_ahead or 0))

    def load_markets(self) -> Mapping[str, Any]:
        """ccxt's markets by unified symbol."""
        return self.ask(self._load_markets)

    def set_markets(self, markets: Mapping[str, Any]) -> None:
        """Markets of an earlier `load_markets`, so that these need not be asked for again."""
        self._exchange.set_markets(list(markets.values()))

    def fetch_ohlcv(
        self, symbol: str, timeframe: str = "1m", since: int | None = None, limit: int | None = None
    ) -> list[list[float]]:
        """Bars as the exchange gives them in one response, none only where its reply says so."""
        return self.ask(lambda: self._fetch_ohlcv(symbol, timeframe, since, limit))

    def ask(self, request: Callable[[], T]) -> T:
        """The response of a request to this exchange, which may raise BadReplyError to be repeated."""
        return with_patience(self._exchange, request, self._patience, self._governor.pause)

    def rows(self, symbol: str, timeframe: str, since: int, limit: int) -> np.ndarray:
        """One response of `fetch_ohlcv`, asked for once, as an array [n, 6] sorted by time, no time twice. To be called
        within `ask`."""
        rows = as_rows(self._fetch_ohlcv(symbol, timeframe, since, limit))
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        return rows[np.append(rows[1:, 0] != rows[:-1, 0], True)] if len(rows) else rows

    def _fetch_time(self) -> int:
        now = self._exchange.fetch_time()
        if not isinstance(now, (int, float)):
            raise BadReplyError("its reply holds no time")
        return int(now)

    def _load_markets(self) -> Mapping[str, Any]:
        markets = self._exchange.load_markets()
        if not markets:
            raise BadReplyError("its list of markets is empty")
        return dict(markets)

    def _fetch_ohlcv(self, symbol: str, timeframe: str, since: int | None, limit: int | None) -> list[list[float]]:
        self._exchange.load_markets()
        rows = self._exchange.fetch_ohlcv(symbol, timeframe, since, limit)
        if not isinstance(rows, list) or (not rows and not _holds_empty_list(self._exchange.last_json_response)):
            raise BadReplyError("its reply holds no list of candles")
        return rows


def _holds_empty_list(reply: Any, depth: int = 3) -> bool:
    """An exchange without candles says so by an empty list, at whatever place its replies have them."""
    if isinstance(reply, Mapping):
        reply = list(reply.values())
    elif isinstance(reply, list) and not reply:
        return True
    return isinstance(reply, list) and depth > 0 and any(_holds_empty_list(part, depth - 1) for part in reply)


def _check_options(exchange: Any, options: Mapping[str, Any]) -> None:
    """Raise UserError on an option that ccxt does not know, or whose value is of another kind than its default."""
    known = {name for name in dir(exchange) if not name.startswith("_") and not callable(getattr(exchange, name))}
    for key, value in options.items():
        where = f"exchange.options.{key}"
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see ccxt's manual, section Overriding exchange properties"
            raise UserError(f"{where}: is no option of ccxt's {exchange.id}; {hint}")
        kind, words = _kind(getattr(exchange, key))
        if not isinstance(value, kind) or (bool not in kind and isinstance(value, bool)):
            raise UserError(f"{where}: must be {words}, not {value!r}")
    for key in options.get("options", {}):
        near = difflib.get_close_matches(str(key), exchange.options, n=1, cutoff=0.85)
        if near and key not in exchange.options:
            raise UserError(
                f"exchange.options.options.{key}: is no option of ccxt's {exchange.id}; did you mean {near[0]}?"
            )


def _kind(default: Any) -> tuple[tuple[type, ...], str]:
    """Types of the values that may stand for a default, and what the user is told that they are."""
    if isinstance(default, bool):
        return (bool,), "true or false"
    if isinstance(default, (int, float)):
        return (int, float), "a number"
    return ((dict,), "a mapping") if isinstance(default, dict) else ((object,), "any value")
