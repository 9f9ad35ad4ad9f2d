"""Settings of exchanges for tests, and a random walk for the loopback server to serve."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from market.exchange import open_exchange
from market.fetching import Fetched, fetch
from market.intervals import MINUTE
from market.store import Store
from support.loopback.server import LoopbackExchange
from support.loopback.tape import Tape
from support.workflow import ROOT

START = 1_704_067_200_000  # 2024-01-01
BARS = 2600  # more than two of Binance's pages
NOW = START + BARS * MINUTE - 20_000  # the last bar is open
DATA_END = "2021-03-01T00:00:00Z"  # of the simulated market


def walk(seed: int, bars: int = BARS) -> np.ndarray:
    """One-minute bars [n, 6] from START, of prices and volumes that text holds exactly."""
    random = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(random.normal(0, 0.05, bars)), 2)
    opened = np.append(100, close[:-1])
    opens = START + np.arange(bars) * MINUTE
    volume = np.round(random.uniform(1, 2, bars), 3)
    return np.stack([opens, opened, np.maximum(opened, close), np.minimum(opened, close), close, volume], axis=1)


def serve_walks(dialect: str = "binance", **given: Any) -> LoopbackExchange:
    """An exchange with two symbols, on loopback; use it as a context manager."""
    return LoopbackExchange(dialect, Tape({"BTC/USDT": walk(1), "ETH/USDT": walk(2)}, "1m", NOW), **given)


def exchange_settings(**given: Any) -> dict[str, Any]:
    """The config's section `exchange`."""
    default: dict[str, Any] = {
        "id": "simulated",
        "folder": None,
        "options": {},
        "patience": 10,
        "grace": 5,
        "seed": 7,
        "trend": 0.02,
    }
    return {**default, "data_end": DATA_END, **given}


def live_settings(server: LoopbackExchange, **given: Any) -> dict[str, Any]:
    """The section for ccxt's class of the loopback server's exchange, at no rate limit."""
    options = {**server.options, "rateLimit": 1, "timeout": 2000}
    return exchange_settings(**{"id": server.dialect.id, "options": options, **given})


def fetching_process(settings: dict[str, Any], folder: Path, after: int) -> subprocess.Popen[bytes]:
    """A process that fetches the bars 0 to `after` - 1 as `fetch_live` does, with the section `settings`."""
    program = f"""
import json, sys
sys.path[:0] = [{str(ROOT / "scripts")!r}]
from market.exchange import open_exchange
from market.fetching import fetch
from market.store import Store
exchange = open_exchange(json.loads({json.dumps(settings)!r}), ["BTC/USDT"], "1m")
fetch(exchange, Store({str(folder)!r}, "source", "BTCUSDT", "1m"), "BTC/USDT", {START}, {START + after * MINUTE})
"""
    return subprocess.Popen([sys.executable, "-c", program])


def fetch_live(
    server: LoopbackExchange, folder: Path, first: int, after: int, wait_until: int = 0, **given: Any
) -> Fetched:  # fmt: skip
    """The bars `first` to `after` - 1 from START, by a new process's exchange and the store in `folder`."""
    exchange = open_exchange(live_settings(server, **given), ["BTC/USDT"], "1m")
    store = Store(folder, "source", "BTCUSDT", "1m")
    return fetch(exchange, store, "BTC/USDT", START + first * MINUTE, START + after * MINUTE, wait_until)
