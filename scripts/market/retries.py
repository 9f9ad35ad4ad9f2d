"""Requests to an exchange, retried while their failure may be temporary."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from common.errors import UserError, one_line
from common.job import say
from market.ccxt_exchange import MALFORMED
from market.exchange import Exchange, is_historical

ATTEMPTS = 5
FIRST_WAIT = 0.25  # seconds before the second attempt; doubled before each further one

T = TypeVar("T")


def with_retries(exchange: Exchange, request: Callable[[], T]) -> T:
    """The exchange's response. ccxt's OperationFailed (network, rate limit, maintenance) is retried, nothing else.

    Raises UserError, one line, when the last attempt fails too, the exchange rejects the request or its response is
    malformed.
    """

    def log_retry(state: RetryCallState) -> None:
        assert state.outcome is not None and state.next_action is not None
        error: Any = state.outcome.exception()
        say(f"{exchange.id}: {_reason(exchange, error)}; retrying in {state.next_action.sleep:g} s")

    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_WAIT),
        retry=retry_if_exception(_is_temporary),
        before_sleep=log_retry,
        reraise=True,
    )
    try:
        return attempts(request)
    # evaluated only when something was raised: an embedded exchange need not pay for the import
    except _ccxt_errors().OperationFailed as error:
        raise UserError(
            f"exchange: request to {exchange.id} failed after {ATTEMPTS} attempts ({_reason(exchange, error)}); "
            "check the network connection and exchange.options, or try again later"
        ) from error
    except _ccxt_errors().BaseError as error:
        raise UserError(
            f"exchange: {exchange.id} rejected the request ({_reason(exchange, error)}); check the exchange section"
        ) from error
    except MALFORMED as error:
        if is_historical(exchange):
            raise
        raise UserError(
            f"exchange: malformed response from {exchange.id}, or invalid options ({_reason(exchange, error)}); "
            "check exchange.options"
        ) from error


def _ccxt_errors() -> ModuleType:
    from ccxt.base import errors  # takes most of a second

    return errors


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, _ccxt_errors().OperationFailed)


def _reason(exchange: Exchange, error: Exception) -> str:
    """Type and message; ccxt's messages begin with the exchange's id."""
    return f"{type(error).__name__}: {one_line(error).removeprefix(exchange.id).strip()}"
