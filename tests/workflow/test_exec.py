"""Stages of ./exec.sh one after the other, really run: each continues with the settings and results of those before."""

import json
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from support.engines import call
from support.workflow import ROOT, artifacts, planned

# one symbol, few members: the rest of the flags is what users type
SMALL = "members=[tft, random_walk, lhar_fhs]"


def execute(folder: Path, *words: str, check: bool = True, config: tuple[str, ...] = ()) -> str:
    """Call ./exec.sh with `folder` as the working directory: all that it prints."""
    extra = ["--config", *config] if config else []
    done = call([str(ROOT / "exec.sh"), *words, "--", "--directory", str(folder), *extra], check=check)
    assert check or done.returncode == 2
    return done.stdout + done.stderr


def models(folder: Path) -> dict[str, int]:
    """When each model was trained, by its fold."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (folder / "artifacts/models").glob("*/*.ckpt")}


def settings(folder: Path) -> dict[str, Any]:
    """The settings of the last run."""
    return yaml.safe_load((folder / "artifacts" / "run.yaml").read_text())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages leave that a user calls in turn: three epochs from the first on, other folds later."""
    folder = tmp_path_factory.mktemp("exec")
    small = ["--configfile", "config/tiny.yaml", "--symbols", "BTCUSDT", "--folds", "1", "--epochs", "3"]
    execute(folder, "--features", "--train", *small, config=(SMALL,))
    trained = models(folder)
    assert set(trained) == {"0", "live"}
    execute(folder, "--predict")
    assert models(folder) == trained
    execute(folder, "--eval", "--folds", "2")
    execute(folder, "--consensus", "--consensus-eval", "--plots")
    # the decision's model is of no fold
    assert models(folder)["live"] == trained["live"]
    return folder


def test_stages_keep_the_settings_of_those_before(done: Path) -> None:
    config = settings(done)
    assert (config["tft"]["epochs"], config["folds"]["count"], config["symbols"]) == (3, 2, ["BTCUSDT"])
    assert set(models(done)) == {"0", "1", "live"}
    curves = [pd.read_csv(path) for path in (done / "lightning_logs").glob("*/metrics.csv")]
    assert [curve["epoch"].max() for curve in curves] == [2, 2, 2]
    assert len(json.loads((done / "artifacts" / "evaluation.json").read_text())["folds"]) == 2


def test_an_incomplete_audit_is_made_again(done: Path) -> None:
    """As `make audit` does, when more candles are there."""
    recipe = shlex.split(call(["make", "--no-print-directory", "-n", "audit", f"ARTIFACTS={done}/artifacts"]).stdout)
    assert recipe[:3] == ["./exec.sh", "--consensus-eval", "--plots"]
    assert recipe[-2:] == ["--", "summary"]
    again = [str(ROOT / "exec.sh"), "--consensus-eval", "--plots", "--", "summary", "--directory", str(done)]
    call(again)
    before = artifacts(done)
    audit = done / "artifacts" / "mock_eval.json"
    audit.write_text(json.dumps(json.loads(audit.read_text()) | {"status": "partial"}))
    printed = call(again).stderr
    assert "-R fetch_outcome" in printed
    jobs = planned(printed)
    assert jobs["fetch_outcome"] == jobs["audit"] == jobs["summary"] == 1
    assert not {"as_of", "fetch_candles", "train_tft", "evaluate", "consensus"} & set(jobs)
    assert artifacts(done) == before
    assert "Nothing to be done" in execute(done, "--consensus-eval", "--plots")


def test_figures_and_audits_train_nothing_after_a_stray_call(done: Path) -> None:
    trained = models(done)
    execute(done, "--fetch", "--days", "4")
    assert settings(done)["days"] == 4
    (done / "artifacts" / "models" / "7").mkdir()
    printed = execute(done, "--plots", "--consensus-eval", "--timefmt", "%H:%M", "--cons-pad-min", "5")
    assert "Plotting" in printed
    # and what another run left is named
    notes = [line for line in printed.splitlines() if line.startswith("note: ")]
    assert notes == ["note: left by a run with more folds, unused: rm -r artifacts/models/7"]
    assert models(done) == trained
    assert settings(done)["plots"] == {"timefmt": "%H:%M", "pad_minutes": 5}


def test_a_read_only_stage_takes_no_setting_of_another(done: Path) -> None:
    refused = execute(done, "--plots", "--epochs", "7", "--cons-cash", "5", check=False)
    assert "argument --plots: makes figures and audits alone, and consensus.cash, tft.epochs would" in refused
    # what is as it was is no change
    assert "plots run_config" in execute(done, "--plots", "--epochs", "3", "--symbols", "BTCUSDT", "--check")


def test_a_read_only_stage_names_what_is_missing(done: Path, tmp_path: Path) -> None:
    refused = execute(tmp_path, "--plots", check=False)
    assert "argument --plots: artifacts/evaluation.json is missing, and" in refused
    assert "run ./exec.sh --eval first" in refused
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "evaluation.json").write_bytes((done / "artifacts/evaluation.json").read_bytes())
    for stage in ("--plots", "--consensus-eval", "--consensus-plot"):
        refused = execute(tmp_path, stage, check=False)
        assert f"argument {stage}: artifacts/mock_trade.json is missing, and" in refused
        assert "run ./exec.sh --consensus first" in refused
    (tmp_path / "artifacts" / "mock_trade.json").write_bytes((done / "artifacts/mock_trade.json").read_bytes())
    refused = execute(tmp_path, "--plots", check=False)
    assert "argument --plots: artifacts/path_scores.json is missing, and" in refused
    assert "run ./exec.sh --eval first" in refused


def test_a_decision_of_other_settings_is_not_audited(done: Path) -> None:
    execute(done, "--fetch", "--symbols", "ETHUSDT")
    for stage in ("--consensus-eval", "--plots"):
        refused = execute(done, stage, check=False)
        assert "mock_trade.json: the decision has symbol BTCUSDT, the last run ETHUSDT; decide again first" in refused
