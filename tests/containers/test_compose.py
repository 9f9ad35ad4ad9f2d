"""The services of docker-compose.yml, each really run on forecast_net."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from support.engines import call, copy_project, shell
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
    """A tiny checkout that belongs, where the tests may change owners, to another user."""
    folder = copy_project(tmp_path_factory.mktemp("compose"), tiny=True)
    give_away(folder)
    return folder


def test_the_services_are_all_there(docker: str) -> None:
    listed = call(["docker", "compose", "--profile", "*", "config", "--format", "json"], OUTPUT="./runs/a").stdout
    config = json.loads(listed)
    assert set(config["services"]) == set(SERVICES)
    for service in config["services"].values():
        assert set(service["networks"]) == {"forecast_net"}
        mounted = {volume["target"]: volume["source"] for volume in service["volumes"] if volume["type"] == "bind"}
        assert mounted["/workspace"] == str(ROOT)
        assert {f"/workspace/{name}" for name in ("data", "artifacts", "lightning_logs")} <= mounted.keys()
    assert config["networks"]["forecast_net"]["name"] == "forecast_net"


def test_the_gpu_override_asks_for_a_gpu(docker: str) -> None:
    files = ["-f", "docker-compose.yml", "-f", "docker-compose.gpu.yml"]
    listed = call(["docker", "compose", *files, "--profile", "*", "config", "--format", "json"]).stdout
    for name, service in json.loads(listed)["services"].items():
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
    assert "Nothing to be done" in call(["snakemake", "-n", "-j1"], project).stdout
    # what this call recorded
    give_away(project / ".snakemake")


def test_the_shell_starts_in_the_workspace_and_reaches_the_others(project: Path) -> None:
    assert compose(project, "pipeline", "bash", "-c", "pwd").stdout.strip() == "/workspace"
    prompt = compose(project, "pipeline", "bash", "-ic", "echo ${PS1@P}").stdout.strip()
    assert prompt.startswith("user@") and prompt.endswith(":/workspace$")
    subprocess.run(["docker", "network", "inspect", "forecast_net"], check=True, capture_output=True)


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "pipeline"])
def test_each_service_ends_in_one_snakemake_call(service: str, project: Path) -> None:
    printed = compose(project, service, "--dry-run").stderr
    calls = [words for line in printed.splitlines() if (words := line.split())[1].endswith("/snakemake")]
    assert len(calls) == 1
    assert "run_config" in calls[0]


def test_flags_and_variables_after_the_service_go_through(project: Path) -> None:
    done = compose(project, "stage_process", "--env", "SKIP_VENV=1", "--epochs", "5", "--dry-run")
    assert "tft={epochs: 5}" in done.stderr
    assert "train_tft" in done.stdout
    assert compose(project, "stage_fetch", "--env", "WORD=it", "sh", "-c", "echo $WORD").stdout.strip() == "it"


@pytest.mark.parametrize("name", ["data", "artifacts", "lightning_logs"])
def test_a_mount_of_the_user_s_takes_the_place_of_the_service_s(project: Path, tmp_path: Path, name: str) -> None:
    give_away(tmp_path)
    mount = ["-v", f"{tmp_path}:/workspace/{name}"]
    compose(project, *mount, "stage_fetch", "sh", "-c", f"touch {name}/here")
    assert (tmp_path / "here").exists()
    assert not (project / name / "here").exists()


def test_a_stage_continues_with_the_run_of_its_mount(project: Path, tmp_path: Path) -> None:
    give_away(tmp_path)
    mount = ["-v", f"{tmp_path}:/workspace/artifacts"]
    before = (project / "artifacts" / "run.yaml").read_bytes()
    compose(project, *mount, "stage_fetch", "--epochs", "5", "--", "--until", "run_config")
    assert "continuing with tft.epochs=5 " in compose(project, *mount, "stage_process", "--dry-run").stderr
    assert yaml.safe_load((tmp_path / "run.yaml").read_text())["tft"]["epochs"] == 5
    assert (project / "artifacts" / "run.yaml").read_bytes() == before


def test_runs_side_by_side_do_not_disturb_each_other(project: Path, host_run: Path) -> None:
    with ThreadPoolExecutor() as pool:
        one = pool.submit(
            lambda: shell(project, "OUTPUT=./runs/a docker compose run --rm --name train_a train --epochs 5")
        )
        two = pool.submit(
            lambda: shell(project, "OUTPUT=./runs/b docker compose run --rm --name train_b train --epochs 9")
        )
        one.result()
        two.result()
    for name, epochs in (("a", 5), ("b", 9)):
        run = project / "runs" / name
        assert yaml.safe_load((run / "artifacts" / "run.yaml").read_text())["tft"]["epochs"] == epochs
        candles = "data/candles/train/BTCUSDT.parquet"
        assert (run / candles).read_bytes() == (host_run / candles).read_bytes()
        assert len(list((run / "artifacts" / "models").glob("*/*.ckpt"))) == 3
        assert (run / "artifacts" / "models").stat().st_uid == project.stat().st_uid


def test_nothing_is_left_to_root(image: str, tmp_path: Path) -> None:
    folder = copy_project(tmp_path / "with a blank", tiny=True)
    give_away(folder)
    compose(folder, "fetch", "--dry-run", OUTPUT="./runs/a")
    made = [path for path in folder.rglob("*") if "runs" in path.parts or path.parent == folder]
    assert folder / "runs" / "a" / "data" in made
    assert {path.stat().st_uid for path in made} == {folder.stat().st_uid}


def test_a_command_keeps_its_own_options(project: Path) -> None:
    assert compose(project, "pipeline", "bash", "-e", "-c", "echo done").stdout.strip() == "done"
    wrong = compose(project, "pipeline", "--env", "A-B=1", "true", check=False)
    assert wrong.returncode == 2
    assert "entrypoint.sh: --env A-B=1: must be NAME=VALUE" in wrong.stderr
    stray = compose(project, "train", "BTCUSDT", check=False)
    assert stray.returncode == 2
    assert "entrypoint.sh: BTCUSDT: is neither a flag of ./exec.sh nor a command" in stray.stderr


def test_an_unknown_flag_or_service_gets_one_line(project: Path) -> None:
    flag = compose(project, "stage_process", "--epoch", "5", check=False)
    assert flag.returncode == 2
    assert "exec.sh: unrecognized argument: --epoch; did you mean --epochs?" in flag.stderr
    service = compose(project, "stage_proces", check=False)
    assert service.returncode != 0
    assert "no such service: stage_proces" in service.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="NOT RUN: only root may give a folder away")
def test_a_folder_of_another_user_gets_one_line(image: str, tmp_path: Path) -> None:
    folder = copy_project(tmp_path / "project", tiny=True)
    subprocess.run(["chown", "-R", f"{CALLER}:{CALLER}", str(folder)], check=True)
    (folder / "data").mkdir(mode=0o755)
    os.chown(folder / "data", CALLER + 1, CALLER + 1)
    done = compose(folder, "stage_fetch", check=False)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("entrypoint.sh:")]
    assert len(lines) == 1
    assert f"data cannot be written by {CALLER}" in lines[0]


def test_no_engine_gets_one_line(tmp_path: Path) -> None:
    for command, name in ((["docker/image.sh"], "image.sh"), (["docker/pipeline.sh"], "pipeline.sh")):
        done = call([str(ROOT / command[0])], tmp_path, check=False, DOCKER_HOST="unix:///nowhere.sock")
        assert done.returncode != 0
        assert f"{name}: no Docker engine answers" in done.stderr
        assert "Traceback" not in done.stderr
