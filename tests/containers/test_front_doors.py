"""Every command of the overview that the old system's users know, as it is written there, one after the other.

In a checkout whose config is tiny, so that each is short; nothing else is different. Not here:
`docker compose run --gpus all train`, for Compose has no such flag (docker-compose.gpu.yml does it).
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.engines import call
from support.workflow import ROOT


@pytest.fixture(scope="module")
def project(image: str, tiny_project: Path) -> Iterator[Path]:
    """The checkout, and no network left behind where nobody else is on it."""
    yield tiny_project
    call(["docker", "compose", "down"], tiny_project, check=False)


def run(project: Path, command: str) -> str:
    """Run a line of the overview by a shell; what it printed."""
    # the image of the tiny checkout, beside the source's own
    done = call(["bash", "-c", command], project, IMAGE="forecast:tiny")
    return done.stdout + done.stderr


def settings(project: Path) -> dict:
    """The config of the last call, resolved."""
    return yaml.safe_load((project / "artifacts" / "run.yaml").read_text())


def test_build(project: Path) -> None:
    run(project, "docker compose build")


def test_the_sequential_helper(project: Path) -> None:
    told = run(project, './docker/pipeline.sh --symbols "BTCUSDT ETHUSDT" --interval 1m')
    assert [told.index(f"step {k} of 5") for k in range(1, 6)] == sorted(
        told.index(f"step {k} of 5") for k in range(1, 6)
    )
    for name in ("evaluation.csv", "mock_trade.json", "forecast_path.csv", "mock_eval.json"):
        assert (project / "artifacts" / name).is_file()
    assert settings(project)["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert not list((project / "artifacts").glob("plots/*"))


def test_everything_in_one_call_and_a_shell(project: Path) -> None:
    told = run(project, "docker compose run --rm full")
    assert "Complete log" in told
    assert run(project, "echo pwd | docker compose run --rm pipeline").startswith("/workspace")


def test_plots_on_the_host_compute_nothing_again(project: Path) -> None:
    models = {path: path.stat().st_mtime_ns for path in (project / "artifacts/models").rglob("*.ckpt")}
    run(project, './exec.sh --plots --timefmt "%Y-%m-%d %H:%M"')
    assert settings(project)["plots"]["timefmt"] == "%Y-%m-%d %H:%M"
    picture = project / "artifacts" / "plots" / "consensus.png"
    before = picture.read_bytes()
    run(project, "./exec.sh --consensus-plot --cons-pad-min 10")
    assert picture.read_bytes() != before
    assert {path: path.stat().st_mtime_ns for path in (project / "artifacts/models").rglob("*.ckpt")} == models


def test_the_live_decision_and_its_evaluation(project: Path) -> None:
    trade, audit = project / "artifacts" / "mock_trade.json", project / "artifacts" / "mock_eval.json"
    before = trade.stat().st_mtime_ns
    run(project, "docker compose run --rm consensus_live")
    assert trade.stat().st_mtime_ns > before
    assert (project / "artifacts" / "forecast_path.csv").stat().st_mtime_ns > before
    run(project, "docker compose run --rm consensus_eval")
    assert json.loads(audit.read_text())["seal"] == json.loads(trade.read_text())["seal"]


def test_a_service_with_another_command(project: Path) -> None:
    live = "./exec.sh --skip-venv --consensus-live"
    run(project, f"docker compose run --rm stage_predict --env SKIP_VENV=1 {live} --cons-symbol BTCUSDT")
    assert json.loads((project / "artifacts/mock_trade.json").read_text())["decision"]
    run(project, f"docker compose run --rm stage_predict --env SKIP_VENV=1 {live} --cons-symbol ETHUSDT")
    assert json.loads((project / "artifacts/mock_trade.json").read_text())["config"]["symbol"] == "ETHUSDT"


def test_a_stage_alone_with_its_flags(project: Path) -> None:
    run(project, "docker compose run --rm stage_process --env SKIP_VENV=1 --epochs 5")
    assert settings(project)["tft"]["epochs"] == 5
    run(project, "docker compose run --rm stage_evaluate --env SKIP_VENV=1 --folds 5")
    folds = json.loads((project / "artifacts" / "evaluation.json").read_text())["folds"]
    assert len(folds) == 5


def test_a_run_under_a_name_of_its_own(project: Path) -> None:
    told = run(project, "docker compose run --rm --name train_run1 train --folds 5")
    assert "snakemake -j" in told and " train run_config " in told


def test_the_make_targets(project: Path) -> None:
    run(project, "make docker-build")
    run(project, "make docker-fetch")
    run(project, "make docker-process ARGS='--epochs 5'")
    run(project, "make docker-predict ARGS='--epochs 5'")
    run(project, "make docker-pipeline ARGS='--symbols \"BTCUSDT ETHUSDT\" --interval 1m --epochs 5'")
    run(project, "make plots ARGS='--timefmt \"%Y-%m-%d %H:%M\"'")
    assert settings(project)["tft"]["epochs"] == 5
    assert settings(project)["plots"]["timefmt"] == "%Y-%m-%d %H:%M"
    assert (project / "artifacts" / "plots" / "evaluation.png").is_file()


@pytest.mark.parametrize(
    "line", ["snakemake --profile profiles/slurm", "snakemake --profile profiles/slurm --use-singularity"]
)
def test_a_profile_plans_as_the_page_says_it(line: str, sif: Path, tiny_project: Path) -> None:
    """test_slurm.py really submits."""
    if not (tiny_project / sif.name).exists():
        os.link(sif, tiny_project / sif.name)
    assert "train_tft" in run(tiny_project, f"{line} -n")


def test_make_help_lists_every_target() -> None:
    told = call(["make", "help"]).stdout
    wanted = "run test image clean docker-build docker-fetch docker-process docker-predict docker-pipeline plots"
    assert set(wanted.split()) <= {line.split()[0] for line in told.splitlines()}


def test_every_command_of_the_page_is_run_or_marked() -> None:
    """The page's commands stand in a test, here or beside it, or the page says that they were not run."""
    page = (ROOT / "docs" / "container-orchestration.md").read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    tests += (ROOT / ".ci" / "run").read_text()
    tests = tests.replace("{live}", "./exec.sh --skip-venv --consensus-live")
    said = " ".join(tests.replace('", "', " ").replace('\\"', '"').split())
    blocks = page.split("```bash\n")[1:]
    assert len(blocks) > 5
    for block in blocks:
        for line in block.split("```")[0].replace("\\\n", " ").splitlines():
            command, _, remark = line.partition(" # ")
            words = " ".join(command.split())
            if words and not words.startswith("#") and "not run here" not in remark:
                assert words in said, words
