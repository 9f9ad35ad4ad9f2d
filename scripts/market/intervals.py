"""Bar lengths in milliseconds, and times in milliseconds since 1970 (UTC). Standard library only: the workflow reads it
too."""

import re
from datetime import UTC, datetime

from common.errors import UserError

MINUTE = 60_000
DAY = 86_400_000
_UNITS = {"m": MINUTE, "h": 60 * MINUTE, "d": DAY, "w": 7 * DAY}


def step_ms(interval: str) -> int:
    """Length of a bar in milliseconds, of an interval as ccxt writes it. Raises UserError on any other text.

    The value travels as `bar_ms`; a `step` is one of the horizon.
    """
    match = re.fullmatch(r"([1-9]\d*)([mhdw])", interval)
    if not match:
        raise UserError(
            f"interval: invalid interval {interval!r}; use a ccxt timeframe such as 1m, 5m, 15m, 1h, 4h, 1d"
        )
    return int(match[1]) * _UNITS[match[2]]


def interval_of(bar_ms: int) -> str:
    """The interval, as ccxt writes it, of bars of so many milliseconds (whole minutes): the inverse of `step_ms`."""
    unit = max((unit for unit, size in _UNITS.items() if bar_ms % size == 0), key=_UNITS.__getitem__)
    return f"{bar_ms // _UNITS[unit]}{unit}"


def season_bars(bar_ms: int) -> int:
    """Bars of a season: a day, or a week where a bar lasts a day or more. bar_ms: bar length in ms."""
    return max(1, round((DAY if bar_ms < DAY else 7 * DAY) / bar_ms))


def iso(ms: int) -> str:
    """`2024-05-31T12:00:00Z`, of milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """Milliseconds since 1970 of an ISO time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
