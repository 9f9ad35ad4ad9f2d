"""Bar lengths and moments. Everything is UTC, in milliseconds since 1970."""

import re
from datetime import UTC, datetime

from common.errors import UserError

MINUTE = 60_000
DAY = 86_400_000
_UNITS = {"m": MINUTE, "h": 60 * MINUTE, "d": DAY, "w": 7 * DAY}


def step_ms(interval: str) -> int:
    """Length of a bar in milliseconds, of an interval as ccxt writes it. Raises UserError on any other text."""
    match = re.fullmatch(r"([1-9]\d*)([mhdw])", interval)
    if not match:
        raise UserError(f"interval: {interval!r} is not an interval; write it as ccxt does: 1m, 5m, 15m, 1h, 4h, 1d")
    return int(match[1]) * _UNITS[match[2]]


def iso(ms: int) -> str:
    """`2024-05-31T12:00:00Z`, of milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """Milliseconds since 1970 of an ISO time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
