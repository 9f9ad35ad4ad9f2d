"""The exchange seam: one object with ccxt's unified API, whatever the candles come from, and the registry of its kinds.

To add a kind, write a file with a function that opens it, and add a line to `EXCHANGES`; any other id is ccxt's.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from common.errors import UserError
from market.ccxt_exchange import exchange_ids, open_ccxt
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


# by exchange.id: the function that opens it, of the config's section `exchange`, the symbols and the interval
EXCHANGES: dict[str, Callable[[Mapping[str, Any], list[str], str], Exchange]] = {
    "simulated": open_simulated,
    "replay": open_replay,
}


def open_exchange(settings: Mapping[str, Any], symbols: list[str], interval: str) -> Exchange:
    """The exchange that the config's section `exchange` names.

    settings: keys `id`, `folder`, `columns` and `min_share` (replay), `options` (ccxt's constructor options) and
    `patience`, `seed` and `data_end` (simulated).
    symbols, interval: those that will be fetched; `replay` looks for their files.
    Raises UserError when there is no such exchange, its options hold credentials, or `replay` lacks a file.
    """
    name = settings["id"]
    if name in EXCHANGES:
        return EXCHANGES[name](settings, symbols, interval)
    supported = exchange_ids()
    if name not in supported:
        near = difflib.get_close_matches(name, [*EXCHANGES, *supported], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(EXCHANGES)} or an exchange id of ccxt"
        raise UserError(f"exchange.id: unknown exchange {name!r}; {hint}")
    return open_ccxt(settings)
