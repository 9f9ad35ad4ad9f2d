"""Requests to an exchange, repeated with patience while their failure may pass."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from common.errors import UserError, one_line
from common.job import say

FIRST_WAIT, LONGEST_WAIT = 0.25, 30.0  # seconds before the second attempt; doubled before each further one, up to
PROGRESS_EVERY = 30.0  # seconds between two lines of a long wait
# what ccxt raises on a reply of another shape, and before any request on options that it cannot use
MALFORMED = (TypeError, ValueError, AttributeError, LookupError)
# answers that no repetition changes, by HTTP status
FINAL = {
    401: "does not accept the API key; check EXCHANGE_API_KEY and EXCHANGE_SECRET, or unset them: candles need no key",
    403: "forbids requests from this address or key; use another network or proxy, or choose another exchange",
    404: "has no such endpoint; check exchange.options, or update ccxt",
    451: "is not available from this location for legal reasons; choose another exchange, or another network",
}

T = TypeVar("T")


class BadReplyError(Exception):
    """A reply that cannot be true: it may be another when it is asked for again."""


def with_patience(
    exchange: Any, request: Callable[[], T], patience: float, pause_all: Callable[[float], None]
) -> T:  # fmt: skip
    """The response of `request` to ccxt's `exchange`, whose session is a Transport.

    What may pass (ccxt's OperationFailed: network, rate limit, maintenance; a reply of another shape; BadReplyError) is
    repeated until `patience` seconds have passed, after jittered exponential waits or as long as the reply asks to
    wait; `pause_all` is given these seconds, for other processes. Raises UserError, one line, when patience ends, or at
    once when the exchange's answer is final.
    """

    def before_sleep(state: RetryCallState) -> None:
        assert state.outcome is not None and state.next_action is not None
        left = patience - state.seconds_since_start  # type: ignore[operator]
        wait = state.next_action.sleep
        say(
            f"{exchange.id}: {_reason(exchange, state.outcome.exception())}; retrying in {wait:.1f} s, "
            f"for {left:.0f} s at most"
        )
        if _asked_to_wait(exchange) is not None:
            pause_all(wait)

    def wait(state: RetryCallState) -> float:
        asked = _asked_to_wait(exchange)
        if asked is not None:
            return asked + FIRST_WAIT
        left = patience - (state.seconds_since_start or 0)
        return min(wait_exponential_jitter(multiplier=FIRST_WAIT, max=LONGEST_WAIT, jitter=FIRST_WAIT)(state), left)

    def attempt() -> T:
        exchange.session.last = None
        return request()

    attempts = Retrying(
        stop=lambda state: _outlasts(exchange, state, patience),
        wait=wait,
        retry=retry_if_exception(lambda error: _may_pass(exchange, error)),
        before_sleep=before_sleep,
        sleep=_sleep,
        reraise=True,
    )
    try:
        return attempts(attempt)
    except _errors() as error:
        raise _final(exchange, error, patience) from error


def _may_pass(exchange: Any, error: BaseException) -> bool:
    from ccxt.base.errors import OperationFailed  # ccxt takes most of a second: this module does not import it

    reply = exchange.session.last
    if isinstance(error, MALFORMED):
        return reply is not None
    if reply is not None and reply.status in {400, *FINAL}:
        return False
    return isinstance(error, (OperationFailed, BadReplyError))


def _errors() -> tuple[type[Exception], ...]:
    """What a request to ccxt may raise that is none of this workflow's doing."""
    from ccxt.base.errors import BaseError

    return BaseError, BadReplyError, *MALFORMED


def _asked_to_wait(exchange: Any) -> float | None:
    """Seconds that the last reply asks to wait."""
    asked: float | None = exchange.session.last.retry_after if exchange.session.last else None
    return asked


def _outlasts(exchange: Any, state: RetryCallState, patience: float) -> bool:
    """Is patience at its end, or will it be before the exchange may be asked again?"""
    return (state.seconds_since_start or 0) + (_asked_to_wait(exchange) or 0) > patience


def _final(exchange: Any, error: Exception, patience: float) -> UserError:
    """The one line for the user."""
    reply, reason = exchange.session.last, _reason(exchange, error)
    if reply is not None and reply.status in FINAL:
        return UserError(f"exchange: {exchange.id} {FINAL[reply.status]} (HTTP {reply.status})")
    if _may_pass(exchange, error):
        asked = _asked_to_wait(exchange)
        if asked is not None:
            return UserError(
                f"exchange: {exchange.id} asks to wait {asked:.0f} s ({reason}), longer than exchange.patience "
                f"({patience:g} s) allows; run again after that, or raise exchange.patience"
            )
        return UserError(
            f"exchange: request to {exchange.id} failed for {patience:g} s ({reason}); check the network connection, "
            "proxy and exchange.options, or try again later"
        )
    if isinstance(error, MALFORMED):
        return UserError(f"exchange: ccxt's {exchange.id} cannot make the request ({reason}); check exchange.options")
    return UserError(f"exchange: {exchange.id} rejected the request ({reason}); check the exchange section")


def _reason(exchange: Any, error: Any) -> str:
    """Type and message; ccxt's messages begin with the exchange's id, and hide what the session says."""
    cause = error.__cause__
    message = one_line(cause) if isinstance(cause, OSError) else one_line(error).removeprefix(exchange.id).strip()
    return f"{type(error).__name__}: {message}"


def _sleep(seconds: float) -> None:
    """Sleep, with a line of progress now and then."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, PROGRESS_EVERY))
        if left > PROGRESS_EVERY:
            say(f"waiting {left - PROGRESS_EVERY:.0f} s more")
