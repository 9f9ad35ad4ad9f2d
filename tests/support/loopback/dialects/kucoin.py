"""KuCoin's spot API, versions 1 and 2."""

from typing import Any, ClassVar

import numpy as np

from support.loopback.dialects.base import Dialect, Habits, Query, text, whole


def _error(code: str, message: str, status: int = 200) -> tuple[int, Any]:
    return status, {"code": code, "msg": message}


class KuCoin(Dialect):
    """1,500 bars a page, newest first: what opens from `startAt` to before `endAt` (s)."""

    id = "kucoin"
    habits = Habits(page=1500, default=1500)
    routes: ClassVar = {
        "/api/v1/timestamp": "time",
        "/api/v3/currencies": "currencies",
        "/api/v2/symbols": "markets",
        "/api/v1/market/allTickers": "tickers",
        "/api/v1/market/candles": "candles",
    }
    intervals: ClassVar = {"1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "1hour", "1d": "1day"}
    errors: ClassVar = {
        "not found": _error("404", "Not Found", 404),
        "symbol": _error("400100", "symbol not exists", 400),
        "interval": _error("400100", "Incorrect candlestick type.", 400),
        "request": _error("400100", "Bad Request", 400),
        "too old": _error("400100", "Bad Request", 400),
        "rate limit": _error("429000", "Too many requests. System-level rate limit exceeded.", 429),
    }

    def options(self, url: str) -> dict[str, Any]:
        markets = {"types": ["spot"], "fetchTickersFees": False}
        return {"urls": {"api": {"public": url}}, "options": {"fetchMarkets": markets}}

    def market_id(self, symbol: str) -> str:
        return symbol.replace("/", "-")

    def time(self, query: Query) -> Any:
        return _reply(self.tape.time())

    def currencies(self, query: Query) -> Any:
        return _reply([])

    def tickers(self, query: Query) -> Any:
        return _reply({"time": self.tape.time(), "ticker": []})

    def markets(self, query: Query) -> Any:
        return _reply([self._market(symbol) for symbol in self.tape.candles])

    def _market(self, symbol: str) -> dict[str, Any]:
        base, quote = symbol.split("/")
        return {
            "symbol": f"{base}-{quote}",
            "name": f"{base}-{quote}",
            "baseCurrency": base,
            "quoteCurrency": quote,
            "baseMinSize": "0.00001",
            "baseMaxSize": "10000000000",
            "quoteMinSize": "0.1",
            "quoteMaxSize": "99999999",
            "baseIncrement": "0.00000001",
            "priceIncrement": "0.01",
            "enableTrading": True,
            "isMarginEnabled": False,
        }

    def select(self, symbol: str, query: Query) -> np.ndarray:
        self.check_interval(query.get("type"))
        end = whole(query, "endAt", 1000)
        return self.page(symbol, whole(query, "startAt", 1000), end if end is None else end - 1, newest=True)

    def write(self, symbol: str, rows: np.ndarray) -> Any:
        return _reply([entry(row) for row in rows[::-1]])


def entry(row: np.ndarray) -> list[str]:
    """One bar as KuCoin writes it: close before high and low, the last the turnover."""
    opened, start, high, low, close, volume = row.tolist()
    return [str(int(opened) // 1000), *map(text, (start, close, high, low, volume, close * volume))]


def _reply(data: Any) -> dict[str, Any]:
    return {"code": "200000", "data": data}
