"""How the DAG's own cost grows with symbols: python benchmarks/symbols.py [symbols …] (default 2 10 50).

For each number: seconds of a dry run of everything, and of really making all features of a short history.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from market.coins import COINS  # noqa: E402

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-j2"]


def timed(folder: str, *arguments: str) -> tuple[float, int]:
    """Seconds that a call took, and the jobs that it had."""
    command = [*SNAKEMAKE, "--directory", folder, *arguments, "--configfile", str(ROOT / "config" / "tiny.yaml")]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.monotonic() - start
    if done.returncode:
        raise SystemExit(done.stdout[-1000:] + done.stderr[-3000:])
    total = next(line for line in (done.stdout + done.stderr).splitlines() if line.startswith("total "))
    return took, int(total.split()[1])


def main() -> None:
    """Run and report."""
    print("symbols  dry run: jobs, s  features: jobs, s")
    for count in map(int, sys.argv[1:] or ["2", "10", "50"]):
        symbols = f"symbols=[{', '.join(f'{coin.base}/USDT' for coin in COINS[:count])}]"
        with tempfile.TemporaryDirectory() as folder:
            dry, all_jobs = timed(folder, "-n", "--config", symbols)
            real, jobs = timed(folder, "features", "--config", symbols)
        print(f"{count:>7}{all_jobs:>12}{dry:>7.1f}{jobs:>14}{real:>7.1f}", flush=True)


if __name__ == "__main__":
    main()
