"""Coinbase's API, versions 2 and 3 (Advanced Trade)."""

from typing import Any, ClassVar

import numpy as np

from market.intervals import iso
from support.loopback.dialects.base import Dialect, Habits, Query, text, whole


def _error(code: str, message: str, status: int = 400) -> tuple[int, Any]:
    return status, {"error": code, "error_details": message, "message": message}


class Coinbase(Dialect):
    """What opens from `start` to `end` (s), newest first; a window of more than 350 bars is refused."""

    id = "coinbase"
    habits = Habits(page=350, default=350)
    routes: ClassVar = {
        "/v2/time": "time",
        "/v2/currencies(/crypto)?": "currencies",
        "/v2/exchange-rates": "rates",
        "/api/v3/brokerage/market/products": "markets",
        "/api/v3/brokerage/market/products/(?P<product_id>[^/]+)/candles": "candles",
    }
    intervals: ClassVar = {
        "1m": "ONE_MINUTE",
        "5m": "FIVE_MINUTE",
        "15m": "FIFTEEN_MINUTE",
        "30m": "THIRTY_MINUTE",
        "1h": "ONE_HOUR",
        "1d": "ONE_DAY",
    }
    errors: ClassVar = {
        "not found": _error("NOT_FOUND", "not found", 404),
        "symbol": _error("INVALID_ARGUMENT", "ProductID is invalid"),
        "interval": _error("INVALID_ARGUMENT", "invalid granularity"),
        "request": _error("INVALID_ARGUMENT", "start and end are required"),
        "too long": _error("INVALID_ARGUMENT", "number of candles requested should be less than 350"),
        "too old": _error("INVALID_ARGUMENT", "start is invalid"),
        "rate limit": _error("rate_limit_exceeded", "Rate limit exceeded", 429),
    }

    def options(self, url: str) -> dict[str, Any]:
        return {"urls": {"api": {"rest": url}}}

    def market_id(self, symbol: str) -> str:
        return symbol.replace("/", "-")

    def time(self, query: Query) -> Any:
        return {"data": {"iso": iso(self.tape.time()), "epoch": self.tape.time() // 1000}}

    def currencies(self, query: Query) -> Any:
        return {"data": []}

    def rates(self, query: Query) -> Any:
        return {"data": {"currency": "USD", "rates": {}}}

    def markets(self, query: Query) -> Any:
        symbols = self.tape.candles if query.get("product_type", "SPOT") == "SPOT" else ()
        products = [self._product(symbol) for symbol in symbols]
        return {"products": products, "num_products": len(products)}

    def _product(self, symbol: str) -> dict[str, Any]:
        base, quote = symbol.split("/")
        return {
            "product_id": f"{base}-{quote}",
            "base_currency_id": base,
            "quote_currency_id": quote,
            "product_type": "SPOT",
            "status": "online",
            "trading_disabled": False,
            "base_increment": "0.00000001",
            "quote_increment": "0.01",
            "price_increment": "0.01",
            "base_min_size": "0.00000001",
            "base_max_size": "3400",
            "quote_min_size": "1",
            "quote_max_size": "150000000",
            "alias": "",
            "alias_to": [],
        }

    def symbol(self, query: Query, key: str = "product_id") -> str:
        return super().symbol(query, key)

    def select(self, symbol: str, query: Query) -> np.ndarray:
        self.check_interval(query.get("granularity"))
        start, end = whole(query, "start", 1000), whole(query, "end", 1000)
        if start is None or end is None:
            raise self.refusal("request")
        if end - start > self.habits.page * self.tape.bar_ms:
            raise self.refusal("too long")
        return self.page(symbol, start, end, whole(query, "limit"), newest=True)

    def write(self, symbol: str, rows: np.ndarray) -> Any:
        return {"candles": [entry(row) for row in rows[::-1]]}


def entry(row: np.ndarray) -> dict[str, str]:
    """One bar as Coinbase writes it."""
    opened, *values = row.tolist()
    names = ("open", "high", "low", "close", "volume")
    return {"start": str(int(opened) // 1000), **dict(zip(names, map(text, values), strict=True))}
