"""What a first fetch and a later one cost: pace.py [--days 90] [symbols …] (default 1 10).

The loopback exchange allows ten calls a second, in bars of a minute. For each number of symbols, eight processes at a
time fetch one symbol each, as `snakemake -j8` does; then again an hour later. Prints requests beside the least number
possible, seconds beside the floor that the rate limit sets, calls that were refused, and the memory of one process
(Linux).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from common.files import write_json  # noqa: E402
from market.coins import COINS  # noqa: E402
from market.intervals import DAY, MINUTE  # noqa: E402
from market.symbols import slug  # noqa: E402
from support.exchanges import START, live_settings, walk  # noqa: E402
from support.loopback.server import LoopbackExchange, RateLimit  # noqa: E402
from support.loopback.tape import Tape  # noqa: E402

CALLS, PAGE, JOBS = 10, 1000, 8
FETCH = """
import json, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from fetch_candles import fetch_candles
settings, folder, name, bars = json.loads(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
outputs = [f"{folder}/{name}.{ending}" for ending in ("parquet", "quality.json")]
limits = {"fill": 0, "max_missing": 0, "max_conflicting": 0}
fetch_candles(*outputs, f"{folder}/cutoff.json", settings, folder, name, "1m", bars, limits)
# not getrusage's figure, which a process inherits from the one that starts it
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


def fetched(server: LoopbackExchange, folder: str, symbols: list[str], end: int) -> str:
    """Fetch all symbols up to `end`, and say what it took."""
    settings = live_settings(server)
    settings["options"]["rateLimit"] = 250  # by ccxt, a request of candles counts 0.4
    names = {slug(symbol): symbol for symbol in symbols}
    cutoff = {"as_of": end, "symbols": names, "markets": {symbol: market(symbol) for symbol in symbols}}
    write_json(Path(folder, "cutoff.json"), cutoff)

    def memory(name: str) -> int:
        asked = [str(ROOT / "scripts"), json.dumps(settings), folder, name, str((end - START) // MINUTE)]
        done = subprocess.run([sys.executable, "-c", FETCH, *asked], stdout=subprocess.PIPE, text=True, check=True)
        return int(done.stdout)

    calls, began = len(server.asked("candles")), time.monotonic()
    with ThreadPoolExecutor(JOBS) as pool:
        largest = max(pool.map(memory, names))
    took, calls = time.monotonic() - began, len(server.asked("candles")) - calls
    return f"{calls:>6} requests {took:>7.1f} s, floor {calls / CALLS:>6.1f} s, {largest} MiB"


def market(symbol: str) -> dict[str, object]:
    """As ccxt has it, as far as candles need it."""
    base, quote = symbol.split("/")
    kinds = {"spot": True, "swap": False, "future": False, "option": False, "contract": False, "active": True}
    return {"id": base + quote, "symbol": symbol, "base": base, "quote": quote, "type": "spot", **kinds}


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=90)
    parser.add_argument("symbols", type=int, nargs="*", default=[1, 10])
    asked = parser.parse_args()
    bars = int(asked.days * DAY // MINUTE)
    rows = walk(1, bars + 62)
    for count in asked.symbols:
        symbols = [f"{coin.base}/USDT" for coin in COINS[:count]]
        tape = Tape(dict.fromkeys(symbols, rows), "1m", START + bars * MINUTE + 30_000)
        with (
            tempfile.TemporaryDirectory() as folder,
            LoopbackExchange("binance", tape, limit=RateLimit(CALLS)) as server,
        ):
            least = count * -(-bars // PAGE)
            print(
                f"{count:>3} symbols, first: {fetched(server, folder, symbols, START + bars * MINUTE)}, least {least}"
            )
            tape.now = START + (bars + 60) * MINUTE + 30_000
            print(f"{'an hour later:':>19} {fetched(server, folder, symbols, START + (bars + 60) * MINUTE)}")
            print(f"{'refused:':>19} {server.rejected:>6} of {server.calls}", flush=True)


if __name__ == "__main__":
    main()
