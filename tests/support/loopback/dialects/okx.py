"""OKX's API, version 5."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from support.loopback.dialects.base import Dialect, Habits, Query, text, whole


def _error(code: str, message: str, status: int = 400) -> tuple[int, Any]:
    return status, {"code": code, "msg": message, "data": []}


class Okx(Dialect):
    """The newest 1,440 bars by 300 a page, all others by 100, newest first: what opens between `before` and `after`."""

    id = "okx"
    habits = Habits(page=300, default=100, history=1439)
    history_page = 100
    routes: ClassVar = {
        "/api/v5/public/time": "time",
        "/api/v5/public/instruments": "markets",
        "/api/v5/market/(?P<kind>history-candles|candles)": "candles",
    }
    intervals: ClassVar = {"1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1H", "4h": "4H"}
    errors: ClassVar = {
        "not found": _error("50000", "Not found", 404),
        "symbol": _error("51001", "Instrument ID does not exist"),
        "interval": _error("51000", "Parameter bar error"),
        "request": _error("50014", "Parameter instId can not be empty"),
        "too old": _error("51000", "Parameter before error"),
        "rate limit": _error("50011", "Too Many Requests", 429),
    }

    def options(self, url: str) -> dict[str, Any]:
        return {"urls": {"api": {"rest": url}}, "options": {"fetchMarkets": {"types": ["spot"]}}}

    def market_id(self, symbol: str) -> str:
        return symbol.replace("/", "-")

    def time(self, query: Query) -> Any:
        return _reply([{"ts": str(self.tape.time())}])

    def markets(self, query: Query) -> Any:
        symbols = self.tape.candles if query.get("instType") == "SPOT" else ()
        return _reply([self._instrument(symbol) for symbol in symbols])

    def _instrument(self, symbol: str) -> dict[str, Any]:
        base, quote = symbol.split("/")
        return {
            "instType": "SPOT",
            "instId": f"{base}-{quote}",
            "baseCcy": base,
            "quoteCcy": quote,
            "settleCcy": "",
            "uly": "",
            "lever": "10",
            "state": "live",
            "tickSz": "0.01",
            "lotSz": "0.00000001",
            "minSz": "0.00001",
        }

    def symbol(self, query: Query, key: str = "instId") -> str:
        return super().symbol(query, key)

    def select(self, symbol: str, query: Query) -> np.ndarray:
        self.check_interval(query.get("bar", "1m"))
        habits = self.habits
        if query["kind"] == "history-candles":
            habits = replace(habits, page=min(self.history_page, habits.page), history=None)
        before, after = whole(query, "before"), whole(query, "after")
        start, end = before if before is None else before + 1, after if after is None else after - 1
        return self.page(symbol, start, end, whole(query, "limit"), newest=True, habits=habits)

    def write(self, symbol: str, rows: np.ndarray) -> Any:
        return _reply([self._entry(row) for row in rows[::-1]])

    def _entry(self, row: np.ndarray) -> list[str]:
        opened, *values = row.tolist()
        quote = text(values[3] * values[4])
        closed = opened + self.tape.bar_ms <= self.tape.time()
        return [str(int(opened)), *map(text, values), quote, quote, str(int(closed))]


def _reply(data: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": data}
