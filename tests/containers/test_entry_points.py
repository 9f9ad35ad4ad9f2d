"""The commands of README.md and docs/, and those that users of the old system know from its overview, as written.

In a checkout whose config is small, so that each is short; nothing else is different. support/documented.py says which
commands the pages show and which of them are not run. Those that need no engine are in test_host_commands.py.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.engines import call, shell
from support.workflow import ROOT


@pytest.fixture(scope="module")
def project(image: str, small_project: Path) -> Iterator[Path]:
    """The checkout, with a separate image; the network is removed at the end unless others use it."""
    (small_project / ".env").write_text("IMAGE=forecast:tiny\n")
    yield small_project
    call(["docker", "compose", "down"], small_project, check=False)


def settings(project: Path, artifacts: str = "artifacts") -> dict[str, Any]:
    """The settings of the last call, resolved."""
    return yaml.safe_load((project / artifacts / "run.yaml").read_text())


def models(project: Path) -> dict[str, int]:
    """When each model was trained, by its fold."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (project / "artifacts/models").glob("*/*.ckpt")}


# --- the overview's commands, in its order ---


def test_build(project: Path) -> None:
    shell(project, "docker compose build")


def test_the_sequential_helper(project: Path) -> None:
    printed = shell(project, './docker/pipeline.sh --symbols "BTCUSDT ETHUSDT" --interval 1m')
    steps = [printed.index(f"step {k} of 5") for k in range(1, 6)]
    assert steps == sorted(steps)
    for name in ("evaluation.csv", "mock_trade.json", "forecast_path.csv", "mock_eval.json"):
        assert (project / "artifacts" / name).is_file()
    assert settings(project)["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert not list((project / "artifacts").glob("plots/*"))


def test_a_stage_keeps_the_settings_of_the_one_before(project: Path) -> None:
    shell(project, "docker compose run --rm stage_process --env SKIP_VENV=1 --epochs 5")
    trained = models(project)
    shell(project, "docker compose run --rm stage_predict")
    assert models(project) == trained
    shell(project, "docker compose run --rm stage_evaluate --env SKIP_VENV=1 --folds 5")
    assert (settings(project)["tft"]["epochs"], settings(project)["folds"]["count"]) == (5, 5)
    assert len(json.loads((project / "artifacts" / "evaluation.json").read_text())["folds"]) == 5
    assert models(project)["live"] == trained["live"]
    assert settings(project)["symbols"] == ["BTCUSDT", "ETHUSDT"]


def test_a_service_with_another_command(project: Path) -> None:
    shell(
        project,
        "docker compose run --rm stage_predict --env SKIP_VENV=1 "
        "./exec.sh --skip-venv --consensus-live --cons-symbol BTCUSDT",
    )
    trade = json.loads((project / "artifacts/mock_trade.json").read_text())
    assert trade["config"]["symbol"] == "BTCUSDT"
    assert settings(project)["tft"]["epochs"] == 5


def test_the_live_decision_and_its_evaluation(project: Path) -> None:
    trade, audit = project / "artifacts" / "mock_trade.json", project / "artifacts" / "mock_eval.json"
    trained, before = models(project), trade.stat().st_mtime_ns
    shell(project, "docker compose run --rm consensus_live")
    assert trade.stat().st_mtime_ns > before
    assert (project / "artifacts" / "forecast_path.csv").stat().st_mtime_ns > before
    shell(project, "docker compose run --rm consensus_eval")
    assert json.loads(audit.read_text())["seal"] == json.loads(trade.read_text())["seal"]
    assert models(project) == trained


def test_figures_on_the_host_compute_nothing_again(project: Path) -> None:
    trained = models(project)
    shell(project, './exec.sh --plots --timefmt "%Y-%m-%d %H:%M"')
    assert settings(project)["plots"]["timefmt"] == "%Y-%m-%d %H:%M"
    figure = project / "artifacts" / "plots" / "consensus.png"
    before = figure.read_bytes()
    shell(project, "./exec.sh --consensus-plot --cons-pad-min 10")
    assert figure.read_bytes() != before
    assert models(project) == trained


def test_a_run_under_a_name_of_its_own(project: Path) -> None:
    printed = shell(project, "docker compose run --rm --name train_run1 train --folds 5")
    assert "snakemake -j" in printed and " train run_config " in printed


def test_everything_in_one_call_and_a_shell(project: Path) -> None:
    assert "Complete log" in shell(project, "docker compose run --rm full")
    assert shell(project, "echo pwd | docker compose run --rm pipeline").startswith("/workspace")


def test_the_make_targets(project: Path) -> None:
    shell(project, "make docker-build")
    shell(project, "make docker-fetch")
    shell(project, "make docker-process ARGS='--epochs 5'")
    shell(project, "make docker-predict")
    shell(project, "make docker-pipeline ARGS='--symbols \"BTCUSDT ETHUSDT\" --interval 1m'")
    shell(project, "make plots ARGS='--timefmt \"%Y-%m-%d %H:%M\"'")
    assert settings(project)["tft"]["epochs"] == 5
    assert settings(project)["plots"]["timefmt"] == "%Y-%m-%d %H:%M"
    assert (project / "artifacts" / "plots" / "evaluation.png").is_file()


def test_make_help_lists_every_target(tmp_path: Path) -> None:
    listed = {line.split()[0] for line in shell(ROOT, "make help").splitlines()}
    old = "docker-build docker-fetch docker-process docker-predict docker-pipeline plots"
    assert {"run", "test", "image", "clean", *old.split()} <= listed


# --- in Apptainer, on clusters ---


def test_everything_in_apptainer(sif: Path, project: Path) -> None:
    if not (project / sif.name).exists():
        os.link(sif, project / sif.name)
    shell(project, "snakemake --use-singularity -j4")
    assert "Nothing to be done" in shell(project, "snakemake --use-singularity -j4 -n")


@pytest.mark.parametrize("options", ["", " --use-singularity"])
def test_a_cluster_s_profile_plans(options: str, sif: Path, small_project: Path) -> None:
    """test_slurm.py really submits."""
    if not (small_project / sif.name).exists():
        os.link(sif, small_project / sif.name)
    assert "train_tft" in shell(small_project, f"snakemake --profile profiles/slurm{options} -n --forceall")
