"""Binance's spot API, version 3."""

import json
from typing import Any, ClassVar

import numpy as np

from support.loopback.dialects.base import Dialect, Habits, Query, whole


def _error(status: int, code: int, message: str) -> tuple[int, Any]:
    return status, {"code": code, "msg": message}


class Binance(Dialect):
    """1,000 bars a page, oldest first from `startTime` on; without it the newest."""

    id = "binance"
    habits = Habits(page=1000, default=500)
    routes: ClassVar = {
        "/api/v3/ping": "ping",
        "/api/v3/time": "time",
        "/api/v3/exchangeInfo": "markets",
        "/api/v3/klines": "candles",
    }
    intervals: ClassVar = {
        name: name for name in ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
    }
    errors: ClassVar = {
        "not found": _error(404, -1000, "Not found."),
        "symbol": _error(400, -1121, "Invalid symbol."),
        "interval": _error(400, -1120, "Invalid interval."),
        "request": _error(400, -1102, "Mandatory parameter was not sent, was empty/null, or malformed."),
        "too old": _error(400, -1100, "Candlestick too long ago. Maximum 10000 points ago are allowed."),
        "rate limit": _error(429, -1003, "Too much request weight used; current limit is 6000 per 1 MINUTE."),
    }

    def options(self, url: str) -> dict[str, Any]:
        return {"urls": {"api": {"public": f"{url}/api/v3"}}, "options": {"fetchMarkets": {"types": ["spot"]}}}

    def market_id(self, symbol: str) -> str:
        return symbol.replace("/", "")

    def ping(self, query: Query) -> Any:
        return {}

    def time(self, query: Query) -> Any:
        return {"serverTime": self.tape.time()}

    def markets(self, query: Query) -> Any:
        wanted = [query["symbol"]] if "symbol" in query else json.loads(query.get("symbols", "[]"))
        symbols = [self.symbol({"symbol": name}) for name in wanted] or list(self.tape.candles)
        return {
            "timezone": "UTC",
            "serverTime": self.tape.time(),
            "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}],
            "exchangeFilters": [],
            "symbols": [symbol_info(symbol, symbol not in self.tape.halted) for symbol in symbols],
        }

    def select(self, symbol: str, query: Query) -> np.ndarray:
        self.check_interval(query.get("interval"))
        return self.page(symbol, whole(query, "startTime"), whole(query, "endTime"), whole(query, "limit"))

    def write(self, symbol: str, rows: np.ndarray) -> Any:
        return [kline(row, self.tape.bar_ms) for row in rows]


def kline(row: np.ndarray, bar_ms: int) -> list[Any]:
    """One bar as Binance writes it: prices and volumes are texts."""
    opened, *values = row.tolist()
    texts = [f"{value:.8f}" for value in values]
    quote = f"{values[3] * values[4]:.8f}"
    return [int(opened), *texts, int(opened) + bar_ms - 1, quote, 100, texts[4], quote, "0"]


def symbol_info(symbol: str, traded: bool) -> dict[str, Any]:
    """One symbol of exchangeInfo: the fields of Binance's reply, the filters that ccxt reads."""
    base, quote = symbol.split("/")
    flags = dict.fromkeys(
        [
            *("icebergAllowed", "ocoAllowed", "otoAllowed", "quoteOrderQtyMarketAllowed", "allowTrailingStop"),
            *("cancelReplaceAllowed", "isSpotTradingAllowed", "isMarginTradingAllowed"),
        ],
        True,
    )
    precisions = ("baseAssetPrecision", "quotePrecision", "quoteAssetPrecision")
    commissions = ("baseCommissionPrecision", "quoteCommissionPrecision")
    return {
        "symbol": base + quote,
        "status": "TRADING" if traded else "BREAK",
        "baseAsset": base,
        "quoteAsset": quote,
        **dict.fromkeys([*precisions, *commissions], 8),
        "orderTypes": ["LIMIT", "MARKET"],
        **flags,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01000000",
                "maxPrice": "1000000.00000000",
                "tickSize": "0.01000000",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }
