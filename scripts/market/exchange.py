"""The exchange seam: one object with ccxt's unified API, whatever the candles come from, and the registry of its kinds.

To add a kind, write a file with a function that opens it, and add a line to `EXCHANGES`; any other id is ccxt's.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from common.errors import UserError
from market.habits import Habits
from market.replay import open_replay
from market.simulated import open_simulated


class Exchange(Protocol):
    """What the workflow uses of ccxt's unified API."""

    @property
    def id(self) -> str: ...

    @property
    def timeframes(self) -> Mapping[str, Any]: ...

    @property
    def historical(self) -> bool:
        """Does its data have an end, at which its clock stands and by which every bar is closed?"""
        ...

    def load_markets(self) -> Mapping[str, Any]: ...

    def milliseconds(self) -> int: ...

    def fetch_ohlcv(
        self, symbol: str, timeframe: str = ..., since: int | None = ..., limit: int | None = ...
    ) -> list[list[float]]: ...


T = TypeVar("T")


@runtime_checkable
class LiveExchange(Exchange, Protocol):
    """What the store's fetch uses beside: market.ccxt_exchange.CcxtExchange has it."""

    habits: Habits

    def set_markets(self, markets: Mapping[str, Any]) -> None: ...

    def ask(self, request: Callable[[], T]) -> T: ...

    def rows(self, symbol: str, timeframe: str, since: int, limit: int) -> np.ndarray: ...


# by exchange.id: the function that opens it, of the config's section `exchange`, the symbols and the interval
EXCHANGES: dict[str, Callable[[Mapping[str, Any], list[str], str], Exchange]] = {
    "simulated": open_simulated,
    "replay": open_replay,
}


def open_exchange(settings: Mapping[str, Any], symbols: list[str], interval: str) -> Exchange:
    """The exchange that the config's section `exchange` names.

    settings: keys `id`, `folder`, `columns` and `min_share` (replay), `options` (ccxt's constructor options) and
    `patience`, `seed`, `data_end` and `trend` (simulated).
    symbols, interval: those that will be fetched; `replay` looks for their files.
    Raises UserError when there is no such exchange, its options hold credentials, or `replay` lacks a file.
    """
    name = settings["id"]
    if name in EXCHANGES:
        return EXCHANGES[name](settings, symbols, interval)
    import ccxt  # takes most of a second

    supported = list(ccxt.exchanges)
    if name not in supported:
        near = difflib.get_close_matches(name, [*EXCHANGES, *supported], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(EXCHANGES)} or an exchange id of ccxt"
        raise UserError(f"exchange.id: unknown exchange {name!r}; {hint}")
    from market.ccxt_exchange import open_ccxt

    return open_ccxt(settings, interval)


def as_rows(response: list[list[float]]) -> np.ndarray:
    """A response of `fetch_ohlcv` as an array [n, 6]; what the exchange leaves out (None) is NaN, but for a time.

    Raises ValueError or TypeError when it is malformed.
    """
    rows = np.array(response, dtype=np.float64)
    if rows.shape == (0,):
        return np.empty((0, 6))
    if rows.ndim != 2 or rows.shape[1] != 6 or np.isnan(rows[:, 0]).any():
        raise ValueError("OHLCV rows must be a timestamp and five numbers")
    return rows
