"""Faults of exchanges and networks, and the scripts that say which requests meet them.

A fault gets the request and what answers it, and gives the reply: so faults nest, the first outermost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from support.loopback.replies import Answer, Call, EditRows, Fault, Reply, json_reply

PAGE_OF_HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class Script(Protocol):
    """Which faults a request meets."""

    def faults(self, call: Call) -> Sequence[Fault]: ...


@dataclass(frozen=True)
class At:
    """Faults by request number, from 0, of an endpoint."""

    by_number: Mapping[int, Fault]
    endpoint: str = "candles"

    def faults(self, call: Call) -> Sequence[Fault]:
        fault = self.by_number.get(call.number) if call.endpoint == self.endpoint else None
        return [] if fault is None else [fault]


@dataclass(frozen=True)
class Always:
    """One fault on every request of an endpoint."""

    fault: Fault
    endpoint: str = "candles"

    def faults(self, call: Call) -> Sequence[Fault]:
        return [self.fault] if call.endpoint == self.endpoint else []


@dataclass(frozen=True)
class AtRandom:
    """Any of the faults on a share `rate` of an endpoint's requests; the same ones for the same seed."""

    choices: Sequence[Fault]
    seed: int
    rate: float
    endpoint: str = "candles"

    def faults(self, call: Call) -> Sequence[Fault]:
        random = np.random.default_rng([self.seed, call.number])
        hit = call.endpoint == self.endpoint and random.random() < self.rate
        return [self.choices[int(random.integers(len(self.choices)))]] if hit else []


def applied(faults: Sequence[Fault], answer: Answer) -> Answer:
    """The answer with the faults around it."""
    for fault in reversed(faults):
        answer = _around(answer, fault)
    return answer


def _around(answer: Answer, fault: Fault) -> Answer:
    return lambda call: fault(call, answer)


# replies of another content


def page_of_html(status: int = 200, title: str = "Just a moment...") -> Fault:
    """A page of HTML: with 200 as a proxy or a maintenance page sends it; with 403 or 503, of a firewall."""
    return lambda call, answer: Reply(status, PAGE_OF_HTML.format(title).encode(), "text/html; charset=utf-8")


def content(value: Any, status: int = 200) -> Fault:
    """Any JSON instead of the reply, such as a malformed time."""
    return lambda call, answer: json_reply(status, value)


def notice(message: str = "maintenance") -> Fault:
    """A notice with status 200."""
    return content({"msg": message})


def truncated(share: float = 0.5) -> Fault:
    """The body's first part, whose length the headers state."""

    def fault(call: Call, answer: Answer) -> Reply:
        reply = answer(call)
        return replace(reply, body=reply.body[: int(share * len(reply.body))])

    return fault


def cut_off(share: float = 0.5) -> Fault:
    """The body's first part, then the connection's end; the headers state the whole length."""

    def fault(call: Call, answer: Answer) -> Reply:
        reply = answer(call)
        return replace(reply, body=reply.body[: int(share * len(reply.body))], length=len(reply.body))

    return fault


def empty_body() -> Fault:
    return truncated(0)


def refused(status: int, message: str = "") -> Fault:
    """An HTTP error: 5xx, 451 (blocked by law in that place), 403."""
    return content({"msg": message or f"HTTP {status}"}, status)


# pages of other rows


def rows_edited(edit: EditRows) -> Fault:
    """Other rows, written as the exchange writes them."""

    def fault(call: Call, answer: Answer) -> Reply:
        call.edits.append(edit)
        return answer(call)

    return fault


def empty_list() -> Fault:
    return rows_edited(lambda rows, before: rows[:0])


def previous_page() -> Fault:
    """The symbol's page before once more; the first page is as it is."""
    return rows_edited(lambda rows, before: before if len(before) else rows)


def short_head(bars: int) -> Fault:
    """A page without its first bars."""
    return rows_edited(lambda rows, before: rows[bars:])


def newest_only(bars: int) -> Fault:
    """A page cut newest-first: of what was asked for, the newest bars alone."""
    return rows_edited(lambda rows, before: rows[max(0, len(rows) - bars) :])


# times of trouble


def too_many_requests(seconds: float) -> Fault:
    """429 with Retry-After, to all requests for so long."""
    return _closed(seconds, lambda call, left: _limited(call, 429, left))


def banned(seconds: float) -> Fault:
    """418 with Retry-After, to all requests for so long."""
    return _closed(seconds, lambda call, left: _limited(call, 418, left))


def outage(seconds: float) -> Fault:
    """Every connection is reset for so long."""
    return _closed(seconds, lambda call, left: Reply(503, b"", reset=True))


def slow(seconds: float) -> Fault:
    """The reply comes so late."""
    return lambda call, answer: replace(answer(call), wait_s=seconds)


def dripping(seconds: float) -> Fault:
    """The body comes byte by byte, so long apart."""
    return lambda call, answer: replace(answer(call), drip_s=seconds)


def _limited(call: Call, status: int, left: float) -> Reply:
    reply = call.refuse("rate limit")
    return replace(reply, status=status, headers={"Retry-After": str(int(np.ceil(left)))})


def _closed(seconds: float, reply: Any) -> Fault:
    def fault(call: Call, answer: Answer) -> Reply:
        call.close(seconds, partial(reply, call))
        return reply(call, seconds)

    return fault
