"""The image: what it holds, who it runs as, what a change of code or a second build changes."""

import json
import os
import re
from pathlib import Path

import pytest

from dag.image import INPUTS, ImageError, check_image, sif_name
from support.engines import call, copy_project
from support.workflow import ROOT


def inspect(image: str) -> dict:
    """What the engine knows of an image."""
    return json.loads(call(["docker", "image", "inspect", image]).stdout)[0]


def inside(image: str, *command: str) -> str:
    """What a command in a container of the image prints."""
    return call(["docker", "run", "--rm", image, *command]).stdout.strip()


def test_it_is_small_labelled_and_not_root(image: str) -> None:
    found = inspect(image)
    if next((ROOT / "wheels").glob("torch-*cpu*.whl"), None):
        assert found["Size"] < 2.5e9
    assert found["Config"]["Labels"]["org.opencontainers.image.title"] == "crypto-forecast"
    assert found["Config"]["User"] == "forecast"
    assert inside(image, "id", "-u") == "1000"
    assert inside(image, "pwd") == "/workspace"
    assert inside(image, "sh", "-c", "command -v python").startswith("/opt/forecast/")


def test_its_health_line_imports_every_stage(image: str) -> None:
    line = inspect(image)["Config"]["Healthcheck"]["Test"]
    assert line[:3] == ["CMD", "python", "-c"]
    inside(image, *line[1:])
    spoil = 'echo "import nothing" >>scripts/audit.py; exec "$@"'
    broken = call(["docker", "run", "--rm", image, "sh", "-c", spoil, "sh", *line[1:]], check=False)
    assert broken.returncode != 0


def test_it_plans_a_run_by_itself(image: str) -> None:
    assert "train_tft" in inside(image, "snakemake", "-n", "-j1")


def test_it_runs_under_any_user(image: str) -> None:
    plan = "cd /tmp && snakemake -s /workspace/Snakefile -n -j1"
    done = call(["docker", "run", "--rm", "--user", "4321", image, "sh", "-c", plan])
    assert "train_tft" in done.stdout


def test_no_secret_of_the_build_is_in_a_layer(docker: str, tmp_path: Path) -> None:
    """A build is given a marked pip.conf and certificates; the marks are in none of the image's layers."""
    marks = {"ca": b"mark-of-the-certificates", "pip": b"mark-of-the-pip-conf"}
    for name, mark in marks.items():
        (tmp_path / name).write_bytes(b"# " + mark + b"\n")
    base = os.environ.get("BASE", "debian:bookworm-slim")
    secrets = re.findall(r"--mount=type=secret,id=(\w+),target=(\S+)", (ROOT / "Dockerfile").read_text())
    assert {name for name, _ in secrets} == set(marks)
    mounts = " ".join(f"--mount=type=secret,id={name},target={target}" for name, target in set(secrets))
    reads = " && ".join(f"grep -q mark {target}" for _, target in set(secrets))
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN {mounts} {reads} && touch /done\n")
    given = [f"--secret=id={name},src={tmp_path / name}" for name in marks]
    (tmp_path / ".dockerignore").write_text("*\n")
    network = f"--network={os.environ.get('BUILD_NETWORK', 'default')}"
    build = ["docker", "build", "--no-cache", "--tag", "forecast-secrets", network, *given, "."]
    call(build, tmp_path, DOCKER_BUILDKIT="1")
    call(["docker", "save", "--output", str(tmp_path / "saved.tar"), "forecast-secrets"])
    saved = (tmp_path / "saved.tar").read_bytes()
    assert b"done" in saved
    assert not [mark for mark in marks.values() if mark in saved]


def test_a_change_of_code_installs_nothing_anew(image: str, tmp_path: Path) -> None:
    copy_project(tmp_path, tiny=False)
    (tmp_path / "scripts" / "audit.py").write_text("changed = True\n")
    done = call(["docker", "compose", "--progress", "plain", "build"], tmp_path, IMAGE="forecast:changed")
    log = done.stdout + done.stderr
    install = next(line.split()[0] for line in log.splitlines() if "install.sh python" in line)
    assert f"{install} CACHED" in log
    assert inside("forecast:changed", "cat", "scripts/audit.py") == "changed = True"


def test_the_same_source_and_lock_give_the_same_contents(image: str) -> None:
    """Built once more from nothing: the code and the packages, byte for byte. Debian packages follow the mirror."""
    call(["docker", "compose", "build", "--no-cache"], IMAGE="forecast:again")
    contents = "find /opt/forecast /workspace -type f -print0 | sort -z | xargs -0 sha256sum"
    first, second = (set(inside(tag, "sh", "-c", contents).splitlines()) for tag in (image, "forecast:again"))
    assert len(first) > 20_000
    assert first ^ second == set()


def test_the_sif_s_name_follows_what_it_is_made_of(tmp_path: Path) -> None:
    for name in INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    assert sif_name(tmp_path) == sif_name()
    with (tmp_path / "envs/requirements.txt").open("a") as lock:
        lock.write("\n# another lock\n")
    assert sif_name(tmp_path) != sif_name()


def test_the_sif_holds_the_locked_packages(sif: Path) -> None:
    check_image(str(sif))


def test_a_job_s_libraries_take_one_thread(apptainer: str, sif: Path) -> None:
    """Whatever the host's environment says, which stays out."""
    code = "import numpy, scipy.linalg, threadpoolctl as t; print({lib['num_threads'] for lib in t.threadpool_info()})"
    command = [apptainer, "exec", "--cleanenv", str(sif), "python", "-c", code]
    assert call(command, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2").stdout.strip() == "{1}"


PYTHON_ALONE = """
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends python3 && ln -s python3 /usr/bin/python
"""


def test_an_image_without_them_is_refused(docker: str, apptainer: str, tmp_path: Path) -> None:
    """One with no Python, and one with a Python but none of the locked packages."""
    base = os.environ.get("BASE", "debian:bookworm-slim")
    network = os.environ.get("BUILD_NETWORK", "default")
    (tmp_path / "Dockerfile").write_text(PYTHON_ALONE)
    build = [
        "docker",
        "build",
        "--tag",
        "forecast-python-alone",
        "--build-arg",
        f"BASE={base}",
        "--network",
        network,
        ".",
    ]
    call(build, tmp_path, DOCKER_BUILDKIT="1")
    for tag, reason in ((base, "has no python that works"), ("forecast-python-alone", r"has no .*the lock says")):
        call([apptainer, "build", "--force", str(tmp_path / "other.sif"), f"docker-daemon:{tag}"])
        with pytest.raises(ImageError, match=f"{reason}.*; build it with: SIF=.*other.sif make image"):
            check_image(str(tmp_path / "other.sif"))
