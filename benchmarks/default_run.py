"""Wall time, peak memory and where the time goes, of the default run: python benchmarks/default_run.py [snakemake …].

Runs the whole workflow in an empty folder, as `make run` does; further arguments go to snakemake. --symbols N: the
first N of the simulated market, with 90 days and one fold.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from market.coins import COINS  # noqa: E402


def watched(command: list[str]) -> tuple[float, int]:
    """Seconds that the command took, and the most bytes that it and its children held at once."""
    start, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        parent = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, held_by(parent))
            time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"snakemake failed ({process.returncode}); run it by hand to see why")
    return time.monotonic() - start, peak


def held_by(parent: psutil.Process) -> int:
    """Bytes of memory of a process and its children, as far as they still live."""
    total = 0
    try:
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def spent_by_rule(logs: Path) -> dict[str, list[tuple[float, float, float]]]:
    """By rule a job's seconds, CPU seconds and most MB, from Snakemake's own benchmark files, in which a job of less
    than a second has neither of the latter."""
    spent: dict[str, list[tuple[float, float, float]]] = {}
    for path in sorted(logs.glob("*/*.tsv")):
        with path.open() as file:
            (row,) = csv.DictReader(file, delimiter="\t")
        figures = (float(row[name]) if row[name] not in ("-", "NA") else 0.0 for name in ("s", "cpu_time", "max_rss"))
        spent.setdefault(path.parent.name, []).append((next(figures), next(figures), next(figures)))
    return spent


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int)
    given, others = parser.parse_known_args()
    if given.symbols:
        names = ", ".join(f"{coin.base}/USDT" for coin in COINS[: given.symbols])
        others += ["--config", f"symbols=[{names}]", "days=90", "folds={count: 1}"]
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
        wall, peak = watched([*command, f"-j{cores}", *others])
        spent = spent_by_rule(Path(folder) / "artifacts" / "logs")
        fold = Path(folder) / "artifacts" / "forecasts" / "0"
        forecasts = sum(file.stat().st_size for file in fold.rglob("*.parquet")) / 1e6
    print(f"{wall:.0f} s on {cores} cores, {peak / 2**30:.2f} GiB at most, {forecasts:.0f} MB of forecasts in fold 0")
    for rule, jobs in sorted(spent.items(), key=lambda item: -sum(job[1] for job in item[1])):
        seconds, busy = (sum(job[k] for job in jobs) for k in (0, 1))
        most = max(job[2] for job in jobs)
        print(f"{rule:<20}{len(jobs):>4} jobs{seconds:>8.1f} s{busy:>8.1f} CPU s{most:>7.0f} MB at most")


if __name__ == "__main__":
    main()
