"""Wall time of one run by each entry point: python benchmarks/entry_points.py [NAME …].

Names: host (-j2), host-j4, apptainer, compose, slurm; all of them by default. Each runs the default config in a fresh
copy of the project, one after the other. Those whose program is not installed are skipped. FORECAST_CONFIG gives
another config file, SLURM_FLAGS further flags for profiles/slurm (such as those of a cluster without accounting).
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = os.environ.get("FORECAST_CONFIG")
MORE = ["--configfile", CONFIG] if CONFIG else []
SNAKEMAKE = [sys.executable, "-m", "snakemake", *MORE]
ENTRY_POINTS = {
    "host": [*SNAKEMAKE, "-j2"],
    "host-j4": [*SNAKEMAKE, "-j4"],
    "apptainer": [*SNAKEMAKE, "-j2", "--use-singularity"],
    "compose": ["docker", "compose", "run", "--rm", "full", *MORE],
    "slurm": [*SNAKEMAKE, "--profile", "profiles/slurm", *shlex.split(os.environ.get("SLURM_FLAGS", ""))],
}


def copied(folder: Path) -> Path:
    """The project's files and its SIFs in another folder."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in [*listed.stdout.splitlines(), *(path.name for path in ROOT.glob("*.sif"))]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def seconds(command: list[str]) -> float:
    """Wall time of a run in a fresh copy. Raises SystemExit when it fails."""
    # in a folder that a cluster's nodes share, as they do not share /tmp
    with tempfile.TemporaryDirectory(dir=ROOT.parent) as name:
        folder = copied(Path(name))
        start = time.monotonic()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr[-3000:]}")
        return time.monotonic() - start


def main() -> None:
    """Run and report."""
    first = 0.0
    for name in sys.argv[1:] or list(ENTRY_POINTS):
        needs = {"apptainer": "apptainer", "compose": "docker", "slurm": "sbatch"}.get(name)
        if needs and not shutil.which(needs):
            print(f"{name:<12}not run: {needs} is not installed", flush=True)
            continue
        took = seconds(ENTRY_POINTS[name])
        first = first or took
        print(f"{name:<12}{took:>7.0f} s{took / first:>8.2f} of the first", flush=True)


if __name__ == "__main__":
    main()
