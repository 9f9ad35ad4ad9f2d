"""The HTTP session that ccxt asks an exchange by: every reply is whole, in time and JSON, or has failed."""

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import requests

READS = 3  # a whole reply may take as many times ccxt's `timeout`, which holds for each read from the socket


class Reply(NamedTuple):
    """What a reply said beside its body: HTTP status, and seconds that it asks to wait (None: does not say)."""

    status: int
    retry_after: float | None


class Transport(requests.Session):
    """A session whose replies are read to their end before a deadline. The environment's proxies are used.

    last: of the last request; None where it had no reply, or there was none since this was set to None. clock_ahead:
    how far this machine's clock is ahead of the last `Date`, ms; None while no reply had one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: Reply | None = None
        self.clock_ahead: float | None = None

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """requests' own. Raises requests' Timeout, and its ConnectionError where a reply of success is not JSON."""
        self.last = None
        deadline = READS * options.get("timeout", 10)
        response = _within(deadline, lambda: super(Transport, self).request(*args, **options))
        self.last = Reply(response.status_code, _retry_after(response))
        ahead = _clock_ahead(response)
        self.clock_ahead = self.clock_ahead if ahead is None else ahead
        if response.ok:
            try:
                response.json()
            except ValueError as error:
                kind = response.headers.get("Content-Type", "unknown")
                raise requests.ConnectionError(
                    f"its reply is not JSON ({len(response.content)} bytes of type {kind})"
                ) from error
        return response


def _within(seconds: float, request: Callable[[], requests.Response]) -> requests.Response:
    """The response, or requests' Timeout: a body that arrives byte by byte passes any limit on a single read."""
    results: list[requests.Response] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(request())
        except BaseException as error:  # raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise requests.Timeout(f"its reply was not complete after {seconds:g} s")
    return results[0]


def _retry_after(response: requests.Response) -> float | None:
    """Seconds of the header Retry-After (RFC 9110, 10.2.3), or of a time until which the body bans this address."""
    header = response.headers.get("Retry-After")
    if header is not None:
        try:
            return max(0.0, float(header))
        except ValueError:
            pass
        try:
            return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            return None
    # Binance: "IP banned until 1700000000000"
    banned = re.search(r"until (\d{13})\b", response.text) if response.status_code in (403, 418, 429) else None
    return max(0.0, int(banned[1]) / 1000 - time.time()) if banned else None


def _clock_ahead(response: requests.Response) -> float | None:
    try:
        date = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return None
    # the header is cut to whole seconds: half of one on average
    return 1000 * (time.time() - date.timestamp()) - 500
