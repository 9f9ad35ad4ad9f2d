"""Bybit's API, version 5."""

from typing import Any, ClassVar

import numpy as np

from support.loopback.dialects.base import Dialect, Habits, Query, text, whole


def _error(code: int, message: str, status: int = 200) -> tuple[int, Any]:
    return status, {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}}


class Bybit(Dialect):
    """1,000 bars a page, written newest first: from `start` on, or the newest up to `end`."""

    id = "bybit"
    habits = Habits(page=1000, default=200)
    routes: ClassVar = {
        "/v5/market/time": "time",
        "/v5/market/instruments-info": "markets",
        "/v5/market/kline": "candles",
    }
    intervals: ClassVar = {
        "1m": "1",
        "3m": "3",
        "5m": "5",
        "15m": "15",
        "30m": "30",
        "1h": "60",
        "4h": "240",
        "1d": "D",
    }
    errors: ClassVar = {
        "not found": _error(10001, "Not found", 404),
        "symbol": _error(10001, "Not supported symbols"),
        "interval": _error(10001, "Invalid period!"),
        "request": _error(10001, "params error"),
        "too old": _error(10001, "params error"),
        "rate limit": _error(10006, "Too many visits. Exceeded the API Rate Limit."),
    }

    def options(self, url: str) -> dict[str, Any]:
        return {"urls": {"api": {"public": url}}, "options": {"fetchMarkets": {"types": ["spot"]}}}

    def market_id(self, symbol: str) -> str:
        return symbol.replace("/", "")

    def time(self, query: Query) -> Any:
        seconds, rest = divmod(self.tape.time(), 1000)
        return self._reply({"timeSecond": str(seconds), "timeNano": f"{seconds}{rest:03}000000"})

    def markets(self, query: Query) -> Any:
        category = query.get("category", "")
        symbols = self.tape.candles if category == "spot" else ()
        return self._reply({"category": category, "list": [self._instrument(symbol) for symbol in symbols]})

    def _instrument(self, symbol: str) -> dict[str, Any]:
        base, quote = symbol.split("/")
        return {
            "symbol": base + quote,
            "baseCoin": base,
            "quoteCoin": quote,
            "innovation": "0",
            "status": "Trading",
            "marginTrading": "none",
            "lotSizeFilter": {
                "basePrecision": "0.000001",
                "quotePrecision": "0.00000001",
                "minOrderQty": "0.000011",
                "maxOrderQty": "83",
                "minOrderAmt": "5",
                "maxOrderAmt": "8000000",
            },
            "priceFilter": {"tickSize": "0.01"},
        }

    def select(self, symbol: str, query: Query) -> np.ndarray:
        self.check_interval(query.get("interval"))
        end = whole(query, "end")
        return self.page(symbol, whole(query, "start"), end, whole(query, "limit"), newest=end is not None)

    def write(self, symbol: str, rows: np.ndarray) -> Any:
        return self._reply(
            {"category": "spot", "symbol": self.market_id(symbol), "list": [entry(row) for row in rows[::-1]]}
        )

    def _reply(self, result: dict[str, Any]) -> dict[str, Any]:
        return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": self.tape.time()}


def entry(row: np.ndarray) -> list[str]:
    """One bar as Bybit writes it: texts, the last the turnover."""
    opened, *values = row.tolist()
    return [str(int(opened)), *map(text, values), text(values[3] * values[4])]
