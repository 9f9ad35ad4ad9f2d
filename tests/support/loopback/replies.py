"""A request to the loopback exchange, the reply to it, and what stands between them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Reply:
    """An HTTP reply: sent after `wait_s`, its body byte by byte with `drip_s` between them, or the connection reset."""

    status: int
    body: bytes
    content_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # the Content-Length where it is not the body's
    wait_s: float = 0
    drip_s: float = 0
    reset: bool = False


def json_reply(status: int, content: Any, **headers: str) -> Reply:
    """The content as JSON; underscores in the headers' names stand for hyphens."""
    body = json.dumps(content, separators=(",", ":")).encode()
    return Reply(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})


# a page's rows, oldest first, and those of the symbol's page before → the rows that are sent
EditRows = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class Call:
    """One request, as a fault sees it."""

    path: str
    query: dict[str, str]
    endpoint: str  # markets, time, candles; other
    number: int  # among the requests of its endpoint, from 0
    refuse: Callable[[str], Reply]  # an error as this exchange writes it, by kind: see Dialect.errors
    close: Callable[[float, Callable[[float], Reply]], None]  # for so many seconds: all get this, of the seconds left
    edits: list[EditRows] = field(default_factory=list)


Answer = Callable[[Call], Reply]
Fault = Callable[[Call, Answer], Reply]
