"""The services of docker-compose.yml, each really run on forecast_net."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from support.engines import call, copy_project
from support.workflow import ROOT, artifacts, differing

STAGES = ["stage_fetch", "stage_process", "stage_predict", "stage_evaluate", "stage_consensus"]
SERVICES = [*STAGES, "fetch", "features", "train", "eval", "full", "consensus_live", "consensus_eval", "pipeline"]
CALLER = 4321


def compose(folder: Path, *arguments: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """docker compose run --rm …"""
    return call(["docker", "compose", "run", "--rm", *arguments], folder, check, **env)


def give_away(folder: Path) -> None:
    """Let the folder and all in it belong to the caller."""
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{CALLER}:{CALLER}", str(folder)], check=True)


@pytest.fixture(scope="module")
def project(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkout that belongs, where the tests may change owners, to a user of its own."""
    folder = copy_project(tmp_path_factory.mktemp("compose"), tiny=True)
    give_away(folder)
    return folder


def test_the_services_are_all_there(docker: str) -> None:
    told = call(["docker", "compose", "--profile", "*", "config", "--format", "json"]).stdout
    config = json.loads(told)
    assert set(config["services"]) == set(SERVICES)
    for service in config["services"].values():
        assert set(service["networks"]) == {"forecast_net"}
        mounted = {volume["target"] for volume in service["volumes"] if volume["type"] == "bind"}
        assert {f"/workspace/{name}" for name in ("data", "artifacts", "lightning_logs")} <= mounted
    assert config["networks"]["forecast_net"]["name"] == "forecast_net"


def test_the_gpu_override_asks_for_a_gpu(docker: str) -> None:
    files = ["-f", "docker-compose.yml", "-f", "docker-compose.gpu.yml"]
    told = call(["docker", "compose", *files, "--profile", "*", "config", "--format", "json"]).stdout
    for name, service in json.loads(told)["services"].items():
        asked = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert bool(asked) == (name not in ("stage_fetch", "fetch", "features")), name
        assert all(device["capabilities"] == ["gpu"] for device in asked)


def test_a_full_run_gives_the_bytes_of_a_run_without_containers(project: Path, host_run: Path) -> None:
    compose(project, "full")
    assert differing(artifacts(project), artifacts(host_run)) == []


def test_what_it_wrote_belongs_to_the_caller(project: Path) -> None:
    owner = project.stat().st_uid
    written = [
        path for top in ("data", "artifacts", "lightning_logs", ".snakemake") for path in (project / top).rglob("*")
    ]
    assert len(written) > 100
    assert {path.stat().st_uid for path in [*written, project / "data"]} == {owner}
    assert (project / "lightning_logs" / "fold-live-tft-seed1" / "metrics.csv").is_file()


def test_the_host_has_nothing_left_to_do(project: Path) -> None:
    told = call(["snakemake", "-n", "-j1"], project)
    assert "Nothing to be done" in told.stdout
    # what this very call noted down
    give_away(project / ".snakemake")


def test_the_shell_starts_in_the_workspace_and_reaches_the_others(project: Path) -> None:
    assert compose(project, "pipeline", "bash", "-c", "pwd").stdout.strip() == "/workspace"
    subprocess.run(["docker", "network", "inspect", "forecast_net"], check=True, capture_output=True)


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "pipeline"])
def test_each_service_ends_in_one_snakemake_call(service: str, project: Path) -> None:
    told = compose(project, service, "--dry-run").stderr
    calls = [line for line in told.splitlines() if line.startswith("exec.sh: snakemake ")]
    assert len(calls) == 1
    assert "run_config" in shlex.split(calls[0])


def test_flags_and_variables_after_the_service_go_through(project: Path) -> None:
    told = compose(project, "stage_process", "--env", "SKIP_VENV=1", "--epochs", "5", "--dry-run")
    assert "tft={epochs: 5}" in told.stderr
    assert "train_tft" in told.stdout
    assert compose(project, "stage_fetch", "--env", "SAID=it", "sh", "-c", "echo $SAID").stdout.strip() == "it"


def test_runs_side_by_side_do_not_disturb_each_other(project: Path, host_run: Path) -> None:
    one = ["docker", "compose", "run", "--rm", "--name", "forecast_run_a", "stage_fetch", "--days", "4"]
    two = ["docker", "compose", "run", "--rm", "--name", "forecast_run_b", "stage_fetch"]
    started = [
        subprocess.Popen(
            command, cwd=project, env={**os.environ, "OUTPUT": f"./runs/{name}"}, stderr=subprocess.DEVNULL
        )
        for command, name in ((one, "a"), (two, "b"))
    ]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    candles = {name: project / "runs" / name / "data/candles/train/BTCUSDT.parquet" for name in "ab"}
    assert candles["b"].read_bytes() == (host_run / "data/candles/train/BTCUSDT.parquet").read_bytes()
    assert candles["a"].stat().st_size > candles["b"].stat().st_size
    assert candles["a"].stat().st_uid == project.stat().st_uid
    days = {name: yaml.safe_load((project / "runs" / name / "artifacts/run.yaml").read_text())["days"] for name in "ab"}
    assert days == {"a": 4, "b": 3}


def test_nothing_is_left_to_root(image: str, tmp_path: Path) -> None:
    folder = copy_project(tmp_path / "with a blank", tiny=True)
    give_away(folder)
    compose(folder, "fetch", "--dry-run", OUTPUT="./runs/a")
    made = [path for path in folder.rglob("*") if "runs" in path.parts or path.parent == folder]
    assert folder / "runs" / "a" / "data" in made
    assert {path.stat().st_uid for path in made} == {folder.stat().st_uid}


def test_a_command_keeps_its_own_options(project: Path) -> None:
    assert compose(project, "pipeline", "bash", "-e", "-c", "echo said").stdout.strip() == "said"
    wrong = compose(project, "pipeline", "--env", "A-B=1", "true", check=False)
    assert wrong.returncode == 2
    assert "entrypoint.sh: --env A-B=1: is no NAME=VALUE" in wrong.stderr
    stray = compose(project, "train", "BTCUSDT", check=False)
    assert stray.returncode == 2
    assert "entrypoint.sh: BTCUSDT: is neither a flag of ./exec.sh nor a command" in stray.stderr


def test_an_unknown_flag_or_service_is_told_in_one_line(project: Path) -> None:
    flag = compose(project, "stage_process", "--epoch", "5", check=False)
    assert flag.returncode == 2
    assert "exec.sh: --epoch: there is no such flag; did you mean --epochs?" in flag.stderr
    service = compose(project, "stage_proces", check=False)
    assert service.returncode != 0
    assert "no such service: stage_proces" in service.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="NOT RUN: only root may give a folder away")
def test_a_folder_of_someone_else_is_told_in_one_line(image: str, tmp_path: Path) -> None:
    folder = copy_project(tmp_path / "project", tiny=True)
    subprocess.run(["chown", "-R", f"{CALLER}:{CALLER}", str(folder)], check=True)
    (folder / "data").mkdir(mode=0o755)
    os.chown(folder / "data", CALLER + 1, CALLER + 1)
    done = compose(folder, "stage_fetch", check=False)
    assert done.returncode == 2
    ours = [line for line in done.stderr.splitlines() if line.startswith("entrypoint.sh:")]
    assert len(ours) == 1
    assert f"data cannot be written by {CALLER}" in ours[0]


def test_no_engine_is_told_in_one_line(tmp_path: Path) -> None:
    for command, name in ((["docker/image.sh"], "image.sh"), (["docker/pipeline.sh"], "pipeline.sh")):
        done = call([str(ROOT / command[0])], tmp_path, check=False, DOCKER_HOST="unix:///nowhere.sock")
        assert done.returncode != 0
        assert f"{name}: no Docker engine answers" in done.stderr
        assert "Traceback" not in done.stderr
