"""Rows a second and memory of the features of one symbol: python benchmarks/features.py, on one core.

Prints the time for a year of one-minute candles of the simulated market, features of the default config.
"""

import os
import resource
import sys
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from dag.config import Config  # noqa: E402
from market.candles import COLUMNS  # noqa: E402
from market.features import KEYS, compute_features  # noqa: E402
from market.indicators import relative_returns  # noqa: E402
from market.intervals import DAY, MINUTE, parse_time  # noqa: E402
from market.simulated import Simulated  # noqa: E402


def main() -> None:
    """Measure five times and print the best and the median."""
    if hasattr(os, "sched_setaffinity"):  # macOS has none
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    config = Config()
    spans, end = config.spans, parse_time(config.exchange.data_end)
    rows = Simulated(config.exchange.seed, end).fetch_ohlcv("BTC/USDT", "1m", end - 365 * DAY, 365 * 1440)
    candles = pd.DataFrame(rows, columns=COLUMNS).astype({"timestamp": int})
    timestamp, close = candles["timestamp"].to_numpy(), candles["close"].to_numpy()
    relative = relative_returns(timestamp, close, max(spans), MINUTE)
    others = pd.DataFrame({"timestamp": timestamp, "relative_return": relative})
    del rows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        made = compute_features(candles, others, spans, MINUTE)
        taken.append(time.perf_counter() - start)
    size = made.memory_usage(index=False).sum() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best, median = (f"{len(candles) / seconds:,.0f} rows/s" for seconds in (min(taken), sorted(taken)[2]))
    print(f"{len(candles):,} bars, {made.shape[1] - len(KEYS)} features: best {best}, median {median} on one core")
    print(f"the frame holds {size:.0f} MiB; the process peaked at {peak / 1024:.0f} MiB, {before / 1024:.0f} before")


if __name__ == "__main__":
    main()
