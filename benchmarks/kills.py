"""A fetch that is killed again and again: kills.py [--kills 200] [--seed 0].

The loopback exchange has twelve thousand minutes; a process fetches them at ten requests a second, is killed by SIGKILL
at a random moment, and the next one goes on with the same store. Prints kills, files that could not be read after one,
whether the candles at the end are the tape's, and requests beside the least number possible.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from market.intervals import MINUTE  # noqa: E402
from market.store import Store  # noqa: E402
from support.exchanges import START, fetching_process, live_settings, walk  # noqa: E402
from support.loopback.server import LoopbackExchange  # noqa: E402
from support.loopback.tape import Tape  # noqa: E402

BARS, PAGE = 12_000, 1000


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random, rows, end = np.random.default_rng(asked.seed), walk(1, BARS), START + (BARS - 1) * MINUTE
    kills = damaged = different = requests = runs = 0
    while kills < asked.kills:
        tape = Tape({"BTC/USDT": rows}, "1m", end + 40_000)
        with tempfile.TemporaryDirectory() as folder, LoopbackExchange("binance", tape) as server:
            settings = live_settings(server)
            settings["options"]["rateLimit"] = 250  # by ccxt, a request of candles counts 0.4
            runs += 1
            while True:
                process = fetching_process(settings, Path(folder), BARS - 1)
                moment = time.monotonic() + random.uniform(0.5, 2.5)
                while process.poll() is None and time.monotonic() < moment:
                    time.sleep(0.005)
                if process.poll() is not None:
                    break
                process.kill()
                process.wait()
                kills += 1
                for path in Path(folder).rglob("[0-9]*.parquet"):
                    try:
                        pd.read_parquet(path)
                    except (OSError, ValueError):
                        damaged += 1
            requests += len(server.asked("candles"))
            store = Store(folder, "source", "BTCUSDT", "1m")
            different += not np.array_equal(store.rows(START, end), rows[:-1])
    least = runs * -(-(BARS - 1) // PAGE)
    print(f"{kills} kills in {runs} fetches: {damaged} damaged files, {different} with other candles than the tape's")
    print(f"{requests} requests, least possible {least}, one more a kill {least + runs + kills}")


if __name__ == "__main__":
    main()
