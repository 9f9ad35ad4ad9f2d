"""Tuning: the same after a kill, blind to what comes after the early folds; the number of trials is recorded."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from common.errors import UserError
from common.files import read_document
from forecasting.documents import Evaluation
from forecasting.tft.tuning import choose, loss, make_space, search
from market.intervals import MINUTE
from support.candles import candles
from support.configs import DEFAULTS, resolve, with_keys
from support.engines import SMALL
from support.studies import BARS, SCHEME, SPACE, files
from support.workflow import ROOT, planned, snakemake
from tune import early_folds, tune


def written_by(given: dict[str, Any]) -> list[bytes]:
    """The files of tune."""
    return [Path(given[name]).read_bytes() for name in ("output", "table")]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments of a tuning that is done."""
    given = files(tmp_path_factory.mktemp("tuned"))
    tune(**given)
    return given


def test_the_best_trial_is_a_config_and_the_table_lists_all(done: dict[str, Any]) -> None:
    written = yaml.safe_load(Path(done["output"]).read_text())
    table = pd.read_csv(done["table"])
    assert written["tuning"] == {"previous_trials": 3} == {"previous_trials": len(table)}
    assert set(written["tft"]) == set(SPACE)
    assert table["chosen"].sum() == 1
    assert table["learning_rate"][table["chosen"]].tolist() == pytest.approx([written["tft"]["learning_rate"]])
    # the default is the first
    assert (table["learning_rate"][0], table["hidden_size"][0]) == (0.003, 8)
    assert (table.loc[table["state"] == "complete", "folds"] == 2).all()
    assert ((table["loss"] > 0.9) & (table["loss"] < 1.1)).all()
    assert (table["standard_error"] > 0).all()
    names = {f"tft__{name}": value for name, value in written["tft"].items()}
    settings = resolve(with_keys(**names, tft__attention_heads=2, tuning=DEFAULTS["tuning"] | written["tuning"]))
    assert settings["tuning"]["previous_trials"] == 3


def test_what_comes_after_the_early_folds_training_changes_nothing(done: dict[str, Any], tmp_path: Path) -> None:
    as_of = int(candles(BARS)["timestamp"].iloc[-1]) + MINUTE
    seen = SCHEME.fold(early_folds(SCHEME.count)[-1], as_of, MINUTE).train_end
    late = files(tmp_path / "late", poison_from=seen)
    tune(**late)
    assert written_by(late) == written_by(done)
    # and the poison bites where it may
    bitten = files(tmp_path / "bitten", poison_from=seen - 50 * MINUTE)
    tune(**bitten)
    assert written_by(bitten) != written_by(done)


def test_more_trials_add_to_the_same_study(
    done: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = files(tmp_path, trials=2)
    tune(**given)
    capsys.readouterr()
    tune(**given | {"trials": 3})
    assert "2 trials are already done" in capsys.readouterr().err
    assert written_by(given) == written_by(done)
    # fewer do not undo what was tried; and an earlier study counts too
    tune(**given | {"trials": 1, "previous_trials": 20})
    assert yaml.safe_load(Path(given["output"]).read_text())["tuning"] == {"previous_trials": 23}


KILLED = """
import sys
sys.path[:0] = [{scripts!r}, {tests!r}]
from pathlib import Path
from support.studies import files
from tune import tune
tune(**files(Path({folder!r})))
"""


def test_a_killed_tuning_resumes_to_the_same_bytes(
    done: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = KILLED.format(scripts=str(ROOT / "scripts"), tests=str(ROOT / "tests"), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            # the second trial has finished one of its two folds
            if "trial 2 of 3, fold 1: epoch 1" in line:
                child.send_signal(signal.SIGKILL)
                break
    given = files(tmp_path)
    assert not Path(given["output"]).exists()
    tune(**given)
    assert written_by(given) == written_by(done)
    # finished folds are not evaluated again
    log = capsys.readouterr().err
    assert "trial 2 of 3, fold 1" in log
    assert "trial 2 of 3, fold 0" not in log
    assert "trial 1 of 3" not in log
    assert [path.name for path in tmp_path.glob(".tune-*/*")] == ["study.log"]


def test_half_of_the_folds_at_most_are_used() -> None:
    assert {count: early_folds(count) for count in (2, 3, 4, 5)} == {2: ["0"], 3: ["0"], 4: ["0", "1"], 5: ["0", "1"]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scheme": replace(SCHEME, count=1)}, "folds.count: 1 leaves no fold for tuning .* must be 2 or more"),
        ({"space": {"dropout": None}}, "tuning.space: is empty; give a setting to search"),
        (
            {"space": {"hidden_size": {"choices": [5, 8]}}},
            "tuning.space.hidden_size: 5 is not a multiple of tft.attention_heads, 2",
        ),
        (
            {"space": {"hidden_size": {"low": 4, "high": 8}}},
            "tuning.space.hidden_size: 5 is not a multiple of tft.attention_heads, 2",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        tune(**files(tmp_path, **changed))
    assert "\n" not in str(caught.value)


def bowl(title: str, params: dict[str, Any], fold: int) -> tuple[float, float]:
    """A loss with its minimum, 0.9, at 0.3, the same in all folds, and a small standard error."""
    return 0.9 + (params["dropout"] - 0.3) ** 2, 0.001


DROPOUT = make_space({"dropout": {"low": 0.0, "high": 0.9}, "ema_decay": None}, {"dropout": 0.8})


def test_the_search_finds_the_smallest_loss_and_prunes_what_is_worse_early(tmp_path: Path) -> None:
    found = search(tmp_path / "study.log", DROPOUT, {"dropout": 0.8}, 3, 25, 1, bowl)
    assert found[0].params == {"dropout": 0.8}
    assert choose(found).params["dropout"] == pytest.approx(0.3, abs=0.1)
    states = [trial.state for trial in found]
    assert states.count(TrialState.PRUNED) > 3
    assert all(len(trial.user_attrs["measured"]) == 1 for trial in found if trial.state == TrialState.PRUNED)


def test_the_default_stays_unless_another_is_better_by_a_standard_error(tmp_path: Path) -> None:
    default = {"dropout": 0.5}
    for error, stays in ((0.05, True), (0.01, False)):
        found = search(
            tmp_path / str(error), DROPOUT, default, 1, 20, 1, lambda *given, error=error: (bowl(*given)[0], error)
        )
        assert (choose(found) is found[0]) == stays


def test_a_training_that_fails_is_a_pruned_trial(tmp_path: Path) -> None:
    def steep(title: str, params: dict[str, Any], fold: int) -> tuple[float, float]:
        if params["dropout"] > 0.4:
            raise UserError(f"{title}: the loss is NaN")
        return bowl(title, params, fold)

    found = search(tmp_path / "some", DROPOUT, {"dropout": 0.8}, 2, 12, 1, steep)
    assert len(found) == 12
    assert found[0].state == TrialState.PRUNED
    assert np.isnan(loss(found[0]))
    assert choose(found).params["dropout"] <= 0.4
    none = search(tmp_path / "none", DROPOUT, {"dropout": 0.8}, 2, 1, 1, steep)
    with pytest.raises(UserError, match="every trial failed; lower tft.learning_rate"):
        choose(none)


def test_a_damaged_study_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.log").write_text("nonsense\nnonsense\n")
    with pytest.raises(UserError, match=r"study\.log: not a usable study .* delete it and run again"):
        search(tmp_path / "study.log", DROPOUT, {"dropout": 0.8}, 1, 2, 1, bowl)


def test_the_default_is_always_part_of_the_space() -> None:
    given: dict[str, Any] = {"dropout": {"low": 0.1, "high": 0.4}, "hidden_size": {"choices": [32, 16]}}
    given |= {"lstm_layers": {"low": 1, "high": 2}, "learning_rate": {"low": 0.01, "high": 0.1, "log": True}}
    default = {"dropout": 0, "hidden_size": 24, "lstm_layers": 3, "learning_rate": 0.005}
    assert make_space(given, default) == {
        "dropout": FloatDistribution(0, 0.4),
        "hidden_size": CategoricalDistribution([16, 24, 32]),
        "learning_rate": FloatDistribution(0.005, 0.1, log=True),
        "lstm_layers": IntDistribution(1, 3),
    }


def test_tuning_is_asked_for_alone_and_needs_no_forecast(tmp_path: Path) -> None:
    jobs = planned(snakemake(tmp_path, "-n", "-j1", "tune").stdout)
    assert jobs["tune"] == 1
    assert set(jobs) == {"as_of", "fetch_candles", "make_features", "tune", "total"}
    assert "tune" not in planned(snakemake(tmp_path, "-n", "-j1").stdout)


def test_a_tuned_run_says_how_many_were_tried(tmp_path: Path) -> None:
    quick = SMALL | {"symbols": ["BTCUSDT"], "folds": {"count": 2}, "tuning": {"trials": 2}}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(quick))
    settings = ["-j2", "--configfile", str(ROOT / "config" / "tiny.yaml"), str(tmp_path / "quick.yaml")]
    log = snakemake(tmp_path, *settings, "--", "tune").stderr
    assert "tune: trial 2 of 2: loss" in log
    snakemake(tmp_path, *settings, str(tmp_path / "artifacts" / "tuned.yaml"), "--", "artifacts/summary.txt")
    assert read_document(tmp_path / "artifacts" / "evaluation.json", Evaluation)["previous_trials"] == 2
    assert "chosen from 2 configurations on early folds" in (tmp_path / "artifacts" / "summary.txt").read_text()
