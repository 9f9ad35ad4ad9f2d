"""Seconds to fetch one year of one-minute candles of one symbol from the simulated market, page by page."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from market.intervals import DAY, MINUTE, parse_time
from market.simulated import Simulated


def year_of_minutes() -> int:
    """Fetch the last year of the data page by page; returns the number of bars."""
    exchange = Simulated(seed=7, data_end=parse_time("2024-06-01T00:00:00Z"))
    since, bars = exchange.milliseconds() - 365 * DAY, 0
    while page := exchange.fetch_ohlcv("BTC/USDT", "1m", since, 1000):
        bars += len(page)
        since = int(page[-1][0]) + MINUTE
    return bars


if __name__ == "__main__":
    start = time.perf_counter()
    bars = year_of_minutes()
    print(f"{bars} bars in {time.perf_counter() - start:.2f} s")
