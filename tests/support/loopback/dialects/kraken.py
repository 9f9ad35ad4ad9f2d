"""Kraken's public API, version 0."""

from typing import Any, ClassVar

import numpy as np

from support.loopback.dialects.base import Dialect, Habits, Query, text, whole

ASSETS = {"BTC": "XBT"}


def _error(message: str, status: int = 200) -> tuple[int, Any]:
    return status, {"error": [message]}


class Kraken(Dialect):
    """The newest 720 bars and the open one, whatever `since` is; minutes without trades as flat bars."""

    id = "kraken"
    habits = Habits(page=721, default=721, history=720)
    routes: ClassVar = {
        "/0/public/Time": "time",
        "/0/public/AssetPairs": "markets",
        "/0/public/Assets": "assets",
        "/0/public/OHLC": "candles",
    }
    intervals: ClassVar = {"1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "4h": "240", "1d": "1440"}
    errors: ClassVar = {
        "not found": _error("EGeneral:Unknown method", 404),
        "symbol": _error("EQuery:Unknown asset pair"),
        "interval": _error("EGeneral:Invalid arguments"),
        "request": _error("EGeneral:Invalid arguments"),
        "too old": _error("EGeneral:Invalid arguments"),
        "rate limit": _error("EGeneral:Too many requests", 429),
    }

    def options(self, url: str) -> dict[str, Any]:
        return {"urls": {"api": {"public": url}}}

    def market_id(self, symbol: str) -> str:
        base, quote = symbol.split("/")
        return ASSETS.get(base, base) + quote

    def time(self, query: Query) -> Any:
        return {"error": [], "result": {"unixtime": self.tape.time() // 1000}}

    def assets(self, query: Query) -> Any:
        return {"error": [], "result": {}}

    def markets(self, query: Query) -> Any:
        return {"error": [], "result": {self.market_id(symbol): self._pair(symbol) for symbol in self.tape.candles}}

    def _pair(self, symbol: str) -> dict[str, Any]:
        base, quote = symbol.split("/")
        asset = ASSETS.get(base, base)
        return {
            "altname": asset + quote,
            "wsname": f"{asset}/{quote}",
            "base": asset,
            "quote": quote,
            "pair_decimals": 2,
            "lot_decimals": 8,
            "leverage_buy": [],
            "fees": [[0, 0.4]],
            "fees_maker": [[0, 0.25]],
            "ordermin": "0.00005",
            "costmin": "0.5",
            "tick_size": "0.01",
            "status": "online",
        }

    def select(self, symbol: str, query: Query) -> np.ndarray:
        self.check_interval(query.get("interval", "1"))
        since = whole(query, "since", 1000)
        return self.page(symbol, 0 if since is None else since + 1, newest=True)

    def symbol(self, query: Query, key: str = "pair") -> str:
        return super().symbol(query, key)

    def history(self, symbol: str) -> np.ndarray:
        return with_flat_bars(super().history(symbol)[-self.habits.page - 1 :], self.tape.bar_ms)

    def write(self, symbol: str, rows: np.ndarray) -> Any:
        opened = self.tape.time() // self.tape.bar_ms * self.tape.bar_ms
        last = rows[rows[:, 0] < opened, 0].max(initial=0) // 1000
        return {"error": [], "result": {self.market_id(symbol): [entry(row) for row in rows], "last": int(last)}}


def with_flat_bars(rows: np.ndarray, bar_ms: int) -> np.ndarray:
    """The rows, and where one is absent between two, a bar at the close before, without volume."""
    if not len(rows):
        return rows
    opens = np.arange(rows[0, 0], rows[-1, 0] + 1, bar_ms)
    made = rows[np.searchsorted(rows[:, 0], opens, side="right") - 1]
    quiet = made[:, 0] != opens
    made[:, 0] = opens
    made[quiet, 1:5] = made[quiet, 4:5]
    made[quiet, 5] = 0
    return made


def entry(row: np.ndarray) -> list[Any]:
    """One bar as Kraken writes it: seconds, then vwap (0.0 without trades), volume and the count of trades."""
    opened, *prices, volume = row.tolist()
    vwap = text(sum(prices) / 4) if volume else "0.0"
    return [int(opened) // 1000, *map(text, prices), vwap, f"{volume:.8f}", int(volume > 0)]
