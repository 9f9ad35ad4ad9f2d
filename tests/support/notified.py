"""A server on loopback that keeps the notifications that apprise's json:// posts to it."""

import json
from http.server import BaseHTTPRequestHandler

from support.local_server import LocalServer


class Notified(LocalServer):
    """Keeps each notification's title and text, and answers 200; 500 where `refuses`. Use it as a context manager."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.refuses = False
        super().__init__()

    def address(self, secret: str = "") -> str:
        """The address of this server for FORECAST_NOTIFY; the secret is a part of its path."""
        return f"{self.url.replace('http', 'json')}/{secret}"

    def titles(self) -> list[str]:
        """The titles that came."""
        return [title for title, _ in self.messages]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.messages.append((content["title"], content["message"]))
                self.send_response(500 if server.refuses else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Be silent."""

        return Handler
