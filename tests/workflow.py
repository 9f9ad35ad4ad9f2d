"""Runs of the real workflow, each in a folder of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def snakemake(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Call snakemake on the project's Snakefile, with `folder` as the working directory."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=600)
    if check and done.returncode:
        raise AssertionError(f"snakemake {' '.join(arguments)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done


def artifacts(folder: Path, *kept_out: str) -> dict[str, bytes]:
    """Every file below data/ and artifacts/ of a run but the logs: its path and its bytes."""
    files = [path for top in ("data", "artifacts") for path in (folder / top).rglob("*") if path.is_file()]
    named = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if not name.startswith(("artifacts/logs", *kept_out))}
