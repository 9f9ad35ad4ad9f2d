"""Real engines, and what the tests run in them: the image, its SIF, a run without containers.

What a machine lacks is skipped, loudly; with FORECAST_REQUIRE_ENGINES=1 it fails instead.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from support.engines import TINY, call, copy_project, lacking, once, shell, shrink
from support.workflow import ROOT, snakemake

# one removes the network that the other uses
TOGETHER = ("tests/containers/test_compose.py", "tests/containers/test_entry_points.py")


class ByFile(LoadFileScheduling):
    """A worker takes a file, or those that go together."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return TOGETHER[0] if file in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """How the files are dealt out to the workers."""
    return ByFile(config, log)


@pytest.fixture(scope="session")
def docker() -> str:
    """A Docker engine that answers, with Compose."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        if not shutil.which("docker") or subprocess.run(command, capture_output=True).returncode:
            lacking(f"`{' '.join(command)}` does not answer")
    return "docker"


@pytest.fixture(scope="session")
def apptainer() -> str:
    """Apptainer."""
    if not shutil.which("apptainer"):
        lacking("apptainer is not installed")
    return "apptainer"


@pytest.fixture(scope="session")
def image(docker: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Compose services' image, built of this source."""
    once(tmp_path_factory, "image", lambda _: shell(ROOT, "docker compose build"))
    return "forecast:latest"


@pytest.fixture(scope="session")
def sif(docker: str, apptainer: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SIF; its name is a digest of what it is made of, so one that is there serves."""
    file = ROOT / call([sys.executable, "scripts/dag/image.py"]).stdout.strip()
    once(tmp_path_factory, "sif", lambda _: file.is_file() or shell(ROOT, "make image"))
    return file


@pytest.fixture(scope="session")
def host_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run without containers. Nothing may be changed in it."""
    return once(tmp_path_factory, "host", lambda folder: snakemake(folder, *TINY))


@pytest.fixture(scope="session")
def small_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose config/config.yaml is small, to run commands as they are written."""
    return shrink(copy_project(tmp_path_factory.mktemp("project"), tiny=True))
