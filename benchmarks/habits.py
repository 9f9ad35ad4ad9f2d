"""What a fetch gives on exchanges of other habits: habits.py. Prints a line an exchange.

The loopback exchange imitates each one's page size, order, history and clock, six in their own words and six in
Binance's; ccxt's own class asks for the newest 600 minutes, 100 of which are without trades, and for all 12,000.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from common.errors import UserError  # noqa: E402
from common.job import LOGGER  # noqa: E402
from market.exchange import open_exchange  # noqa: E402
from market.fetching import fetch  # noqa: E402
from market.habits import habits_of  # noqa: E402
from market.intervals import MINUTE  # noqa: E402
from market.store import Store  # noqa: E402
from support.exchanges import START, live_settings, walk  # noqa: E402
from support.loopback.dialects import DIALECTS, IMITATED  # noqa: E402
from support.loopback.server import LoopbackExchange  # noqa: E402
from support.loopback.tape import Tape  # noqa: E402

BARS, ABSENT, NEWEST = 12_000, range(11_700, 11_800), 600


def asked(name: str, rows: np.ndarray, first: int) -> str:
    """What a fetch of all closed bars from `first` on gave, with how many requests."""
    start, end = START + first * MINUTE, START + (BARS - 1) * MINUTE
    tape = Tape({"BTC/USDT": rows}, "1m", end + 40_000)
    with tempfile.TemporaryDirectory() as folder, LoopbackExchange(name, tape) as server:
        exchange = open_exchange(live_settings(server), ["BTC/USDT"], "1m")
        exchange.habits = habits_of(name, None)  # type: ignore[attr-defined]
        try:
            fetched = fetch(exchange, Store(folder, name, "BTCUSDT", "1m"), "BTC/USDT", start, end)
        except UserError as error:
            return f"refused: {str(error).partition(', and')[0]}"
        expected = rows[(rows[:, 0] >= start) & (rows[:, 0] < end)]
        lost = len(np.setdiff1d(expected[:, 0], fetched.rows[:, 0]))
        return f"{len(fetched.rows)} bars, {lost} lost, {len(server.asked('candles'))} requests"


def main() -> None:
    """Run and report."""
    LOGGER.disabled = True
    rows = np.delete(walk(1, BARS), ABSENT, axis=0)
    print(f"{'exchange':<13}{f'newest {NEWEST} minutes':<36}all {BARS}")
    for name in (*DIALECTS, *IMITATED):
        print(f"{name:<13}{asked(name, rows, BARS - 1 - NEWEST):<36}{asked(name, rows, 0)}", flush=True)


if __name__ == "__main__":
    main()
