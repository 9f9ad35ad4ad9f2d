"""The loopback exchange: a HTTP server that answers as a real exchange does, faults and rate limit included."""

import math
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from support.local_server import LocalServer
from support.loopback.dialects import speaking
from support.loopback.dialects.base import Habits, RefusalError
from support.loopback.faults import Script, applied
from support.loopback.replies import Call, Reply, json_reply
from support.loopback.tape import Tape


@dataclass(frozen=True)
class Request:
    """A request that came: when (s, monotonic), its path with the query, what it was for, the status it got (0: its
    connection was reset), whether it was refused by the rate limit or within a time of trouble."""

    time: float
    path: str
    endpoint: str
    status: int
    rejected: bool


class RateLimit:
    """At most so many calls in any span of so many seconds."""

    def __init__(self, calls: int, seconds: float = 1) -> None:
        self.calls, self.seconds = calls, seconds
        self._admitted: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until a call is admitted; 0 admits it."""
        while self._admitted and now - self._admitted[0] >= self.seconds:
            self._admitted.popleft()
        if len(self._admitted) >= self.calls:
            return self._admitted[0] + self.seconds - now
        self._admitted.append(now)
        return 0


class LoopbackExchange(LocalServer):
    """Serves a tape as the exchange with ccxt's id `dialect` does, on 127.0.0.1; use it as a context manager.

    The ids are those of DIALECTS, and of IMITATED, which ccxt's binance is to be pointed at.

    scripts: which requests meet which faults; they can be changed at any time, as the tape can. limit: the rate limit.
    habits: other than the dialect's own. port: 0 is a free one.
    """

    def __init__(
        self, dialect: str, tape: Tape, scripts: Sequence[Script] = (), limit: RateLimit | None = None,
        habits: Habits | None = None, port: int = 0, log: Callable[[Request], None] = lambda request: None,
    ) -> None:  # fmt: skip
        self.tape, self.dialect = tape, speaking(dialect, tape, habits)
        self.scripts, self.limit, self.log = list(scripts), limit, log
        self.requests: list[Request] = []
        self._numbers: Counter[str] = Counter()
        self._before: dict[str, np.ndarray] = {}
        self._closed: tuple[float, Callable[[float], Reply]] | None = None
        self._lock = Lock()
        super().__init__(port)

    @property
    def options(self) -> dict[str, Any]:
        """ccxt's constructor options that make its class ask this server."""
        return self.dialect.options(self.url)

    @property
    def calls(self) -> int:
        return len(self.requests)

    @property
    def rejected(self) -> int:
        """Calls beyond the rate limit, or within a time of trouble."""
        return sum(request.rejected for request in self.requests)

    def asked(self, endpoint: str) -> list[Request]:
        """Requests so far of one endpoint: markets, time, candles."""
        return [request for request in self.requests if request.endpoint == endpoint]

    def handle(self, target: str) -> Reply:
        """The reply to a request of that path and query, which is put on record."""
        came, address = time.monotonic(), urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        with self._lock:
            call = self._call(address.path, query)
            barred = self._barred(call, came)
        reply = barred or applied([fault for script in self.scripts for fault in script.faults(call)], self._answer)(
            call
        )
        request = Request(came, target, call.endpoint, 0 if reply.reset else reply.status, barred is not None)
        self.requests.append(request)
        self.log(request)
        return reply

    def _call(self, path: str, query: dict[str, str]) -> Call:
        try:
            endpoint, _ = self.dialect.endpoint(path)
        except RefusalError:
            endpoint = "other"
        number = self._numbers[endpoint]
        self._numbers[endpoint] += 1
        return Call(path, query, endpoint, number, self._refuse, self._close)

    def _barred(self, call: Call, now: float) -> Reply | None:
        """The reply to a call that comes within a time of trouble, or beyond the rate limit."""
        if self._closed and now < self._closed[0]:
            until, reply = self._closed
            return reply(until - now)
        wait = self.limit.wait(now) if self.limit else 0
        if not wait:
            return None
        refusal = self._refuse("rate limit")
        return Reply(refusal.status, refusal.body, headers={"Retry-After": str(math.ceil(wait))})

    def _answer(self, call: Call) -> Reply:
        def edit(symbol: str, rows: np.ndarray) -> np.ndarray:
            before, self._before[symbol] = self._before.get(symbol, rows[:0]), rows
            for change in call.edits:
                rows = change(rows, before)
            return rows

        try:
            return json_reply(200, self.dialect.respond(call.path, call.query, edit))
        except RefusalError as refusal:
            return json_reply(*refusal.args)

    def _refuse(self, kind: str) -> Reply:
        return json_reply(*self.dialect.errors[kind])

    def _close(self, seconds: float, reply: Callable[[float], Reply]) -> None:
        self._closed = (time.monotonic() + seconds, reply)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exchange = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reply = exchange.handle(self.path)
                time.sleep(reply.wait_s)
                with suppress(ConnectionError):  # the client may have gone
                    reset(self.connection) if reply.reset else self.send(reply)

            def send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                length = len(reply.body) if reply.length is None else reply.length
                headers = {"Content-Type": reply.content_type, "Content-Length": str(length), **reply.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if not reply.drip_s:
                    self.wfile.write(reply.body)
                for byte in reply.body if reply.drip_s else b"":
                    self.wfile.write(bytes([byte]))
                    time.sleep(reply.drip_s)

            def date_time_string(self, timestamp: float | None = None) -> str:
                """The Date header, by the exchange's clock."""
                return super().date_time_string(exchange.tape.time() / 1000 if timestamp is None else timestamp)

            def log_message(self, format: str, *args: Any) -> None:
                """`requests` has them."""

        return Handler


def reset(connection: socket.socket) -> None:
    """Ends a connection by RST rather than in order."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
