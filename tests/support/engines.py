"""Calls as a user makes them, copies of the project's files, as a clone would hold them, and what all tests share."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.locks import locked
from support.workflow import ROOT

TINY = ["-j2", "--configfile", str(ROOT / "config" / "tiny.yaml")]
# a run that makes every file, and each from as little as can be
SMALL = {
    "members": ["tft", "lhar_fhs", "random_walk"],
    "folds": {"count": 1},
    "tft": {"epochs": 1, "steps_per_epoch": 2},
}


def lacking(what: str) -> None:
    """Skip, or fail where everything must run."""
    if os.environ.get("FORECAST_REQUIRE_ENGINES"):
        pytest.fail(f"{what}; FORECAST_REQUIRE_ENGINES is set")
    pytest.skip(f"NOT RUN: {what}")


def call(command: list[str], folder: Path = ROOT, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, in `folder`, with the programs of this Python first on the PATH, and no .venv."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # what a `make` around the tests passes on is not the user's
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("ARGS", "MAKEFLAGS", "MAKEOVERRIDES")
    }
    environment = {**inherited, "PATH": path, "SKIP_VENV": "1", **env}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done


def shell(folder: Path, command: str) -> str:
    """Run a line of shell in `folder`, as a user types it: all that it prints. support/documented.py looks for this."""
    done = call(["bash", "-c", command], folder)
    return done.stdout + done.stderr


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first of pytest's processes to need it makes for all. Nothing may be changed in it."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with locked(folder.with_suffix(".lock")):
        if not folder.with_suffix(".made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


def copy_project(folder: Path, tiny: bool) -> Path:
    """The project's files, as a clone holds them; `tiny` edits config/config.yaml to the size of config/tiny.yaml.

    A wheel that the user has put in wheels/ comes along: what is built of the copy is what is built here.
    """
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for wheel in (ROOT / "wheels").glob("*.whl"):
        shutil.copy2(wheel, folder / "wheels" / wheel.name)
    if tiny:
        config = folder / "config" / "config.yaml"
        merged = merge(yaml.safe_load(config.read_text()), yaml.safe_load((ROOT / "config/tiny.yaml").read_text()))
        config.write_text(yaml.safe_dump(merged))
    return folder


def shrink(folder: Path, **more: Any) -> Path:
    """Edit the configs of a copy to SMALL, and `more`: config/config.yaml and config/tiny.yaml, for what names that."""
    for name in ("config.yaml", "tiny.yaml"):
        config = folder / "config" / name
        config.write_text(yaml.safe_dump(merge(yaml.safe_load(config.read_text()), SMALL | more)))
    return folder


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, sections merged, as Snakemake merges config files."""
    nested = {key: merge(below[key], value) for key, value in above.items() if isinstance(value, dict)}
    return {**below, **above, **nested}
