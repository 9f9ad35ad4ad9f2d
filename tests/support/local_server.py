"""What the tests' servers on loopback share: an HTTP server in a thread, for as long as a `with` lasts."""

from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self


class LocalServer(ABC):
    """Serves on 127.0.0.1 by the handlers of `_handler`; use it as a context manager. port: 0 is a free one."""

    def __init__(self, port: int = 0) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    @abstractmethod
    def _handler(self) -> type[BaseHTTPRequestHandler]:
        """The class that answers one connection's requests."""

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
        return f"http://127.0.0.1:{self._http.server_port}"
