"""Bar lengths and moments, UTC, in milliseconds since 1970. Standard library only: the workflow reads it too."""

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


def interval_of(step: int) -> str:
    """The interval, as ccxt writes it, of bars of `step` milliseconds (whole minutes): `step_ms` of it is `step`."""
    unit = max((unit for unit, size in _UNITS.items() if step % size == 0), key=_UNITS.__getitem__)
    return f"{step // _UNITS[unit]}{unit}"


def season_bars(step: int) -> int:
    """Bars of a season: a day, or a week where a bar lasts a day or more. `step` is a bar's length in ms."""
    return max(1, round((DAY if step < DAY else 7 * DAY) / step))


def iso(ms: int) -> str:
    """`2024-05-31T12:00:00Z`, of milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """Milliseconds since 1970 of an ISO time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
