"""The simulated market as a live exchange on this machine, which speaks as Binance: `make demo-exchange`.

Its clock is this machine's. A bar is that of the simulated market so many whole weeks earlier, the same ones at every
start, so a candle is a function of (seed, symbol, time) here too.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from threading import Lock

import numpy as np

from market.data_generating_process import DATA_START
from market.intervals import DAY, MINUTE, iso
from market.simulated import Simulated
from support.loopback.server import LoopbackExchange, Request
from support.loopback.tape import Tape

PORT = 8765  # that of config/demo.yaml
LATER = 261 * 7 * DAY  # the simulated data begins on 2021-01-01, the demo's on 2026-01-02


class LiveCandles(Mapping[str, np.ndarray]):
    """One-minute bars of every symbol of the simulated market, of the last `days` and at least an hour to come; made
    when they are asked for."""

    def __init__(self, seed: int, days: int) -> None:
        self._seed, self._start = seed, max(now() // DAY * DAY - days * DAY, DATA_START + LATER)
        self._symbols = Simulated(seed, DATA_START).load_markets().keys()
        self._rows: dict[str, np.ndarray] = {}
        self._lock = Lock()

    def __getitem__(self, symbol: str) -> np.ndarray:
        if symbol not in self._symbols:
            raise KeyError(symbol)
        with self._lock:
            rows = self._rows.get(symbol)
            if rows is None or rows[-1, 0] < now() + DAY // 24:
                rows = self._rows[symbol] = self._made(symbol)
        return rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)

    def _made(self, symbol: str) -> np.ndarray:
        end = now() // MINUTE * MINUTE + DAY
        market = Simulated(self._seed, end - LATER)
        rows = np.array(market.fetch_ohlcv(symbol, "1m", self._start - LATER, (end - self._start) // MINUTE))
        rows[:, 0] += LATER
        return rows


def now() -> int:
    """This machine's clock, ms."""
    return time.time_ns() // 1_000_000


def command(url: str) -> str:
    """What runs the workflow on the exchange at that address."""
    line = "snakemake -j2 --configfile config/demo.yaml"
    if url == f"http://127.0.0.1:{PORT}":
        return line
    return f"{line} --config exchange='{{options: {{urls: {{api: {{public: \"{url}/api/v3\"}}}}}}}}'"


def report(request: Request) -> None:
    print(f"{iso(now())} {request.status} {request.path}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="The simulated market as a live exchange on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=PORT, help="0 is a free one (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another seed is another market (default: %(default)s)")
    parser.add_argument("--days", type=int, default=60, help="of candles before today (default: %(default)s)")
    given = parser.parse_args()
    tape = Tape(LiveCandles(given.seed, given.days), "1m", now)
    try:
        exchange = LoopbackExchange("binance", tape, port=given.port, log=report)
    except OSError as error:
        parser.exit(1, f"port {given.port}: {error.strerror}; choose another: make demo-exchange ARGS='--port 0'\n")
    with exchange:
        told = f"serves the simulated market until Ctrl-C; in another terminal: {command(exchange.url)}"
        print(exchange.url, told, flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print(f"{exchange.calls} requests")


if __name__ == "__main__":
    main()
