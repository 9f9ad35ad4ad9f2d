"""Candles lost, invented and wrong when an exchange misbehaves: faults.py [--runs 1000] [--seed 0] [--show].

Each run fetches two days of minutes, some of them without trades, from the loopback exchange by ccxt's own class, into
a new store, while a share of the replies meets one kind of fault, or any of three kinds. In every other run the market
begins within the window. A run that fails in one line, or says that its last candle may still come, counts as failed;
the next one, without faults, must then finish it from the same store. Prints a line a kind.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from common.errors import UserError  # noqa: E402
from common.job import LOGGER  # noqa: E402
from market import retries  # noqa: E402
from market.exchange import open_exchange  # noqa: E402
from market.fetching import fetch  # noqa: E402
from market.intervals import MINUTE  # noqa: E402
from market.store import Store  # noqa: E402
from support.exchanges import START, live_settings, walk  # noqa: E402
from support.loopback import faults  # noqa: E402
from support.loopback.dialects import DIALECTS  # noqa: E402
from support.loopback.server import LoopbackExchange  # noqa: E402
from support.loopback.tape import Tape  # noqa: E402

BARS, PATIENCE, RATE = 2880, 12, 0.25
KINDS: dict[str, Callable[[np.random.Generator], faults.Fault]] = {
    "page of HTML": lambda random: faults.page_of_html(),
    "notice": lambda random: faults.notice(),
    "truncated body": lambda random: faults.truncated(random.random()),
    "connection cut": lambda random: faults.cut_off(random.random()),
    "empty body": lambda random: faults.empty_body(),
    "empty page": lambda random: faults.empty_list(),
    "page repeated": lambda random: faults.previous_page(),
    "page short at its head": lambda random: faults.short_head(int(random.integers(1, 400))),
    "newest bars alone": lambda random: faults.newest_only(int(random.integers(1, 900))),
    "429": lambda random: faults.too_many_requests(1),
    "418": lambda random: faults.banned(1),
    "503": lambda random: faults.refused(503),
    "outage": lambda random: faults.outage(random.random()),
    "dripping": lambda random: faults.dripping(0.05),
    "slow": lambda random: faults.slow(2),
}


class Outcome(NamedTuple):
    """Bars lost, invented and wrong of runs that ended well, and whether this one, and the next, failed."""

    kind: str
    lost: int
    invented: int
    wrong: int
    failed: bool
    unfinished: bool
    message: str


def tape(seed: int) -> np.ndarray:
    """`BARS` minutes of a random walk [n, 6], some single ones and one long span absent."""
    random, rows = np.random.default_rng(seed), walk(seed, BARS)
    rows[:, 0] += (int(random.integers(0, 300)) if seed % 2 else -30) * MINUTE
    absent = set(random.choice(np.arange(1, BARS - 1), 12, replace=False).tolist())
    first, length = int(random.integers(200, 800)), int(random.integers(2, 1500))
    return np.delete(rows, sorted(absent | set(range(first, first + length))), axis=0)


def run(seed: int, dialect: str = "binance") -> Outcome:
    """One run, and after a failure the next."""
    LOGGER.disabled = True
    retries.FIRST_WAIT = 0.02
    random = np.random.default_rng(seed)
    names = [list(KINDS)[seed // 3 % len(KINDS)]] if seed % 3 else list(random.choice(list(KINDS), 3, replace=False))
    script = faults.AtRandom([KINDS[name](random) for name in names], seed, RATE)
    truth = tape(seed)
    end = int(truth[-1, 0])
    with (
        tempfile.TemporaryDirectory() as folder,
        LoopbackExchange(dialect, Tape({"BTC/USDT": truth}, "1m", end + 30_000), [script]) as server,
    ):
        settings = live_settings(server, patience=PATIENCE)
        settings["options"]["timeout"] = 700

        def once() -> Any:
            exchange = open_exchange(settings, ["BTC/USDT"], "1m")
            return fetch(exchange, Store(folder, "x", "BTCUSDT", "1m"), "BTC/USDT", START, end)

        failed, message = False, ""
        try:
            got = once()
            if len(got.unconfirmed):
                raise UserError("the last candle may still come")
        except UserError as error:
            failed, message = True, str(error)
            server.scripts = []
            time.sleep(1)
            try:
                got = once()
            except UserError as again:
                return Outcome("+".join(names), 0, 0, 0, True, True, str(again))
    expected = truth[(truth[:, 0] >= START) & (truth[:, 0] < end)]
    common = np.intersect1d(got.rows[:, 0], expected[:, 0])
    ours, theirs = (rows[np.isin(rows[:, 0], common)] for rows in (got.rows, expected))
    wrong = int((ours != theirs).any(axis=1).sum())
    counts = len(expected) - len(common), len(got.rows) - len(common), wrong
    return Outcome("+".join(names), *counts, failed, bool(len(got.unconfirmed)), message)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dialect", default="binance", choices=sorted(DIALECTS))
    parser.add_argument("--show", action="store_true", help="each run that failed or was not exact")
    asked = parser.parse_args()
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    with ProcessPoolExecutor(max_workers=6) as pool:
        seeds = range(asked.seed, asked.seed + asked.runs)
        for seed, outcome in zip(seeds, pool.map(run, seeds, [asked.dialect] * asked.runs), strict=True):
            by_kind[outcome.kind if "+" not in outcome.kind else "any of three"].append(outcome)
            if asked.show and (outcome.failed or any(outcome[1:4]) or outcome.unfinished):
                print(seed, outcome, flush=True)
    print(f"{'fault':<24}{'runs':>6}{'failed':>8}{'lost':>6}{'invented':>10}{'wrong':>7}{'unfinished':>12}")
    rows = [*by_kind.items(), ("all", [one for outcomes in by_kind.values() for one in outcomes])]
    for kind, outcomes in rows:
        sums = [sum(int(one[place]) for one in outcomes) for place in (4, 1, 2, 3, 5)]
        print(f"{kind:<24}{len(outcomes):>6}{sums[0]:>8}{sums[1]:>6}{sums[2]:>10}{sums[3]:>7}{sums[4]:>12}")


if __name__ == "__main__":
    main()
