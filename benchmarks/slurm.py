"""How busy ten symbols keep the cores, on Slurm and without: python benchmarks/slurm.py [--seeds N] [snakemake …].

Runs everything on ten simulated symbols twice, each in an empty folder: with profiles/slurm, then with plain
`snakemake -jN`. --seeds: trainings of each fold, 3 unless told; the shorter a run, the more of it waits for Slurm.
Busy is the share of all this machine's core seconds that were not idle, so Slurm's node must be this machine, and
whatever else runs on it counts too. Further arguments go to the run on Slurm alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "DOT", "LINK", "AVAX")
SYMBOLS = f"symbols=[{', '.join(f'{name}/USDT' for name in NAMES)}]"


def idle_and_all() -> tuple[float, float]:
    """Core seconds since boot: idle ones (waiting for the disk is idle), and all."""
    times = psutil.cpu_times()
    # guests' seconds are among the users' already
    every = sum(value for name, value in times._asdict().items() if not name.startswith("guest"))
    return times.idle + getattr(times, "iowait", 0.0), every


def measured(seeds: int, *arguments: str) -> tuple[float, float]:
    """Seconds that a run took, and the share of the cores that was busy."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
        config = ["--config", SYMBOLS, f"model={{seeds: {list(range(1, seeds + 1))}}}"]
        start, (idle, every) = time.monotonic(), idle_and_all()
        done = subprocess.run([*command, *arguments, *config], capture_output=True, text=True)
        wall, (idle_then, every_then) = time.monotonic() - start, idle_and_all()
    if done.returncode:
        raise SystemExit(done.stdout[-1000:] + done.stderr[-3000:])
    return wall, 1 - (idle_then - idle) / (every_then - every)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    given, others = parser.parse_known_args()
    ways = {"slurm": ["--profile", str(ROOT / "profiles" / "slurm"), *others], "plain": [f"-j{os.cpu_count()}"]}
    for way, arguments in ways.items():
        wall, busy = measured(given.seeds, *arguments)
        print(f"{way:<7}{wall:>6.0f} s, cores {busy:.0%} busy", flush=True)


if __name__ == "__main__":
    main()
