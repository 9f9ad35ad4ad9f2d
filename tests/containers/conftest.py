"""Real engines, and what the tests run in them: the image, its SIF, a run without containers.

What a machine lacks is skipped, loudly; with FORECAST_REQUIRE_ENGINES=1 it fails instead.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.engines import TINY, call, copy_project, lacking, shell
from support.workflow import ROOT, snakemake


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
def image(docker: str) -> str:
    """The Compose services' image, built of this source."""
    shell(ROOT, "docker compose build")
    return "forecast:latest"


@pytest.fixture(scope="session")
def sif(docker: str, apptainer: str) -> Path:
    """The SIF; its name is a digest of what it is made of, so one that is there serves."""
    name = call([sys.executable, "scripts/dag/image.py"]).stdout.strip()
    if not (ROOT / name).is_file():
        shell(ROOT, "make image")
    return ROOT / name


@pytest.fixture(scope="session")
def host_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run without containers."""
    folder = tmp_path_factory.mktemp("host")
    snakemake(folder, *TINY)
    return folder


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose config/config.yaml is tiny, to run commands as they are written."""
    return copy_project(tmp_path_factory.mktemp("project"), tiny=True)
