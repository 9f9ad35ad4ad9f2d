"""Wall time, peak memory and where the time goes, of the default run: python benchmarks/default_run.py [snakemake …].

Runs the whole workflow in an empty folder, as `make run` does; further arguments go to snakemake.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent


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


def seconds_by_rule(logs: Path) -> dict[str, tuple[int, float]]:
    """Jobs and their seconds in all, by rule, from Snakemake's own benchmark files."""
    spent: dict[str, tuple[int, float]] = {}
    for path in sorted(logs.glob("*/*.tsv")):
        with path.open() as file:
            seconds = sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
        jobs, before = spent.get(path.parent.name, (0, 0.0))
        spent[path.parent.name] = (jobs + 1, before + seconds)
    return spent


def main() -> None:
    """Run and report."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
        wall, peak = watched([*command, f"-j{cores}", *sys.argv[1:]])
        spent = seconds_by_rule(Path(folder) / "artifacts" / "logs")
    print(f"{wall:.0f} s on {cores} cores, {peak / 2**30:.2f} GiB at most")
    for rule, (jobs, seconds) in sorted(spent.items(), key=lambda item: -item[1][1]):
        print(f"{rule:<20}{jobs:>4} jobs{seconds:>8.1f} s")


if __name__ == "__main__":
    main()
