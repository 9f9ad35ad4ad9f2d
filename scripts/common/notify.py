"""Notifications by apprise, to the addresses of one environment variable: they are secrets, and nothing else holds
them."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from common.job import say

NOTIFY = "FORECAST_NOTIFY"


def notify(title: str, text: str) -> None:
    """Send a notification to each address of FORECAST_NOTIFY, which blanks separate; without any, do nothing.

    An address that does not take it is counted in one line, by its place alone: a run never fails for it.
    """
    addresses = os.environ.get(NOTIFY, "").split()
    failed = [str(place) for place, address in enumerate(addresses, start=1) if not _sent(address, title, text)]
    if failed:
        say(f"{NOTIFY}: no notification of {title!r} by address {', '.join(failed)} of {len(addresses)}")


def _sent(address: str, title: str, text: str) -> bool:
    """Whether the address took it."""
    import apprise  # takes 0.2 s, which runs without notifications need not spend

    with _silent():
        try:
            service = apprise.Apprise.instantiate(address)
            return bool(service and service.notify(title=title, body=text))
        except Exception:
            # whatever a service raises may hold its address
            return False


@contextmanager
def _silent() -> Iterator[None]:
    """Let no library log: their messages hold addresses."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
