"""Runs of the real workflow, each in a folder of its own."""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

ROOT = Path(__file__).resolve().parents[2]


def snakemake(
    folder: Path, *arguments: str, check: bool = True, snakefile: Path = ROOT / "Snakefile"
) -> subprocess.CompletedProcess[str]:
    """Call snakemake on a Snakefile, the project's by default, with `folder` as the working directory."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--directory", str(folder)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=600)
    if check and done.returncode:
        raise AssertionError(f"snakemake {' '.join(arguments)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done


def artifacts(folder: Path, *kept_out: str) -> dict[str, bytes]:
    """Every file below data/ and artifacts/ of a run but the logs: its path and its bytes."""
    files = [path for top in ("data", "artifacts") for path in (folder / top).rglob("*") if path.is_file()]
    named = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if not name.startswith(("artifacts/logs", *kept_out))}


def differing(one: dict[str, bytes], two: dict[str, bytes]) -> list[str]:
    """The files that only one run has, or whose bytes differ; of tables, by how much."""
    names = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
    return [f"{name}: {difference(one[name], two[name])}" if name in one and name in two else name for name in names]


def difference(one: bytes, two: bytes) -> str:
    """How two contents of one file differ, for whoever reads the failure of a test elsewhere."""
    if one[:4] != b"PAR1" or two[:4] != b"PAR1":
        return f"{one[:200]!r} {two[:200]!r}"
    left, right = (pd.read_parquet(io.BytesIO(content)) for content in (one, two))
    if left.shape != right.shape:
        return f"{left.shape} {right.shape}"
    numbers = left.select_dtypes("number").columns
    return str((left[numbers] - right[numbers]).abs().max().to_dict())


@contextmanager
def loaded(folder: Path, **config: Any) -> Iterator[Any]:
    """The project's workflow as Snakemake reads it in `folder`, with its rules."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        settings = ResourceSettings(cores=1), ConfigSettings(config)
        yield api.workflow(*settings, snakefile=ROOT / "Snakefile", workdir=folder)._workflow


STAGES = ["fetch", "features", "train", "predict", "evaluate", "consensus", "audit", "plots"]


def planned(text: str) -> dict[str, int]:
    """Job counts by rule, from what a dry run prints."""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE)}
