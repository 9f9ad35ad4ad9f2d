"""The commands of README.md and docs/ that need no engine, as written, in a checkout whose config is small."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.engines import copy_project, shell, shrink
from support.workflow import ROOT

# the docs' example at a size for a test
BRANCHES = {"branches": [{"interval": "1m", "horizon": 12}, {"interval": "5m", "horizon": 48, "days": 20}]}


@pytest.fixture(scope="module")
def host_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a finished run."""
    folder = shrink(copy_project(tmp_path_factory.mktemp("host project"), tiny=True))
    shell(folder, "snakemake -j4")
    return folder


@pytest.fixture
def two_folds(host_project: Path) -> Iterator[Path]:
    """That checkout with a fold to tune on and one to test on."""
    yield shrink(host_project, folds={"count": 2})
    shrink(host_project)


def settings(project: Path, artifacts: str = "artifacts") -> dict[str, Any]:
    """The settings of the last call, resolved."""
    return yaml.safe_load((project / artifacts / "run.yaml").read_text())


def models(project: Path) -> dict[str, int]:
    """When each model was trained, by its fold."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (project / "artifacts/models").glob("*/*.ckpt")}


def test_the_flags_are_listed() -> None:
    assert "--consensus-live" in shell(ROOT, "./exec.sh --help")


@pytest.mark.parametrize(
    "command",
    [
        "snakemake -j4 evaluate",
        "snakemake artifacts/mock_eval.json",
        "snakemake -j4 --configfile config/tiny.yaml",
    ],
)
def test_a_part_of_a_finished_run_is_there(host_project: Path, command: str) -> None:
    assert "Nothing to be done" in shell(host_project, command)


def test_interpretation_and_decisions_after_a_run(host_project: Path) -> None:
    trained = models(host_project)
    shell(host_project, "snakemake -j4 artifacts/plots/interpretation.png")
    assert (host_project / "artifacts" / "plots" / "interpretation.png").is_file()
    assert "Deciding" in shell(host_project, "make refresh")
    assert "Deciding" not in shell(host_project, "make audit")
    assert models(host_project) == trained


def test_the_settings_of_the_tft_are_tuned_and_used(two_folds: Path) -> None:
    shell(two_folds, "snakemake -j4 tune")
    shell(two_folds, "snakemake -j4 tune --config tuning='{trials: 40}'")
    tuned = yaml.safe_load((two_folds / "artifacts" / "tuned.yaml").read_text())
    shell(two_folds, "snakemake -j4 --configfile artifacts/tuned.yaml")
    used = settings(two_folds)["tft"]
    assert {key: used[key] for key in tuned["tft"]} == tuned["tft"]


def test_settings_on_the_command_line(host_project: Path) -> None:
    shell(host_project, "snakemake -j4 --config horizon=30 tft='{epochs: 5}' symbols='[BTCUSDT]'")
    config = settings(host_project)
    assert (config["horizon"], config["tft"]["epochs"], config["consensus"]["symbol"]) == (30, 5, "BTCUSDT")
    shell(host_project, "snakemake -j4 --config horizon=30 tft='{epochs: 5}'")
    shell(host_project, "snakemake -j4 --config members='[tft_raw, random_walk, ewma]'")
    assert settings(host_project)["members"] == ["tft_raw", "random_walk", "ewma"]


def test_several_branches(host_project: Path) -> None:
    (host_project / "mine.yaml").write_text(yaml.safe_dump(BRANCHES))
    shell(host_project, "snakemake -j4 --configfile mine.yaml")
    assert len((host_project / "artifacts" / "branches.txt").read_text().splitlines()) == 3
    assert "Nothing to be done" in shell(host_project, "snakemake -j4 evaluate --configfile mine.yaml")
    audit = shell(host_project, "snakemake -j4 artifacts/5m-48/mock_eval.json --configfile mine.yaml")
    assert "Nothing to be done" in audit
    assert "Deciding" in shell(host_project, "make refresh ARTIFACTS=artifacts/5m-48")
    assert "Deciding" not in shell(host_project, "make audit ARTIFACTS=artifacts/5m-48")
    assert settings(host_project, "artifacts/5m-48")["paths"]["data"] == "data/5m-48"


def test_candles_from_a_folder(host_project: Path) -> None:
    """Those that the first run fetched, under the name of the docs."""
    folder = host_project / "path" / "to" / "candles"
    folder.mkdir(parents=True)
    shell(host_project, "snakemake -j4")
    for path in (host_project / "data" / "candles" / "train").glob("*.parquet"):
        (folder / f"{path.stem}-1m.parquet").write_bytes(path.read_bytes())
    shell(
        host_project,
        "snakemake -j4 --configfile config/replay.yaml "
        "--config exchange='{folder: path/to/candles}' symbols='[BTCUSDT, ETHUSDT]'",
    )
    assert json.loads((host_project / "artifacts" / "mock_trade.json").read_text())["simulated"] is False
