"""A small HTTP server on loopback that answers as Binance's public spot API does, with candles that it is given."""

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import numpy as np

from market.intervals import step_ms

INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
SYMBOLS = {"BTCUSDT": ("BTC", "USDT"), "ETHUSDT": ("ETH", "USDT"), "SOLUSDT": ("SOL", "USDT"), "ETHBTC": ("ETH", "BTC")}


class BinanceError(Exception):
    """Binance's error reply: HTTP status, code, message."""


class BinanceServer:
    """Serves bars of one interval, of the symbols given, until `now`; use it as a context manager.

    candles: by symbol, rows [n, 6] in order. now: the server's clock, ms; bars that open later are not served, so the
    newest may be open. `failures` are HTTP statuses that the next requests get instead of a response; `requests` are
    the paths requested, with their query. `window`, when set, is how many bars of time from `startTime` a response
    spans, as on many other exchanges: it is empty where there were no trades for that long.
    """

    def __init__(self, candles: Mapping[str, np.ndarray], interval: str, now: int) -> None:
        self.candles, self.interval, self.now = candles, interval, now
        self.failures: list[int] = []
        self.window: int | None = None
        self.requests: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/api/v3"

    @property
    def options(self) -> dict[str, Any]:
        """ccxt's constructor options that make its `binance` ask this server, for spot markets alone."""
        return {"urls": {"api": {"public": self.url}}, "options": {"fetchMarkets": {"types": ["spot"]}}}

    def paths(self, name: str) -> list[str]:
        """Requests so far of one endpoint."""
        return [path for path in self.requests if path.startswith(f"/api/v3/{name}")]

    def respond(self, path: str, query: Mapping[str, str]) -> Any:
        """The reply to one request. Raises BinanceError."""
        endpoints: dict[str, Callable[[Mapping[str, str]], Any]] = {
            "/api/v3/ping": lambda _: {},
            "/api/v3/time": lambda _: {"serverTime": self.now},
            "/api/v3/exchangeInfo": self._exchange_info,
            "/api/v3/klines": self._klines,
        }
        if path not in endpoints:
            raise BinanceError(404, -1000, "Not found.")
        return endpoints[path](query)

    def _exchange_info(self, query: Mapping[str, str]) -> dict[str, Any]:
        wanted = [query["symbol"]] if "symbol" in query else json.loads(query.get("symbols", "[]"))
        if not set(wanted) <= self.candles.keys():
            raise BinanceError(400, -1121, "Invalid symbol.")
        return {
            "timezone": "UTC",
            "serverTime": self.now,
            "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}],
            "exchangeFilters": [],
            "symbols": [symbol_info(symbol) for symbol in wanted or self.candles],
        }

    def _klines(self, query: Mapping[str, str]) -> list[list[Any]]:
        """Rows from `startTime` on, else the newest, at most `limit` (500, never over 1000)."""
        for name in ("symbol", "interval"):
            if not query.get(name):
                raise BinanceError(
                    400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
                )
        if query["symbol"] not in self.candles:
            raise BinanceError(400, -1121, "Invalid symbol.")
        if query["interval"] not in INTERVALS or query["interval"] != self.interval:
            raise BinanceError(400, -1120, "Invalid interval.")
        rows = self.candles[query["symbol"]]
        limit = min(int(query.get("limit", 500)), 1000)
        last = min(int(query.get("endTime", self.now)), self.now)
        if self.window and "startTime" in query:
            last = min(last, int(query["startTime"]) + self.window * step_ms(self.interval) - 1)
        rows = rows[(rows[:, 0] >= int(query.get("startTime", 0))) & (rows[:, 0] <= last)]
        rows = rows[:limit] if "startTime" in query else rows[-limit:]
        return [kline(row, step_ms(self.interval)) for row in rows]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                address = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(address.query).items()}
                if server.failures:
                    self.reply(server.failures.pop(0), {"code": -1001, "msg": "Internal error."})
                    return
                try:
                    self.reply(200, server.respond(address.path, query))
                except BinanceError as refusal:
                    status, code, message = refusal.args
                    self.reply(status, {"code": code, "msg": message})

            def reply(self, status: int, content: Any) -> None:
                body = json.dumps(content, separators=(",", ":")).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json;charset=UTF-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests need no log of requests: `requests` has them."""

        return Handler


def kline(row: np.ndarray, bar_ms: int) -> list[Any]:
    """One bar as Binance writes it: prices and volumes are texts."""
    opened, *values = row.tolist()
    texts = [f"{value:.8f}" for value in values]
    quote = f"{values[3] * values[4]:.8f}"
    return [int(opened), *texts, int(opened) + bar_ms - 1, quote, 100, texts[4], quote, "0"]


def symbol_info(symbol: str) -> dict[str, Any]:
    """One symbol of exchangeInfo: the fields of Binance's reply, the filters that ccxt reads."""
    base, quote = SYMBOLS[symbol]
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
        "symbol": symbol,
        "status": "TRADING",
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
