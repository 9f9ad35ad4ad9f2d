"""Members and features of a user's files in the real workflow: the page's functions, edits, mistakes, the leak trial,
the examples."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import yaml

from forecasting.members import DEFAULT, ENSEMBLE
from forecasting.tft import checkpoint
from support.engines import call, copy_project, lacking, shell
from support.workflow import ROOT, planned, snakemake

PAGE = (ROOT / "docs" / "plug-ins.md").read_text()
TINY = str(ROOT / "config" / "tiny.yaml")
MEMBER, FEATURE = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
HELPED = """
from helper_of_mine import SHARE

def range_share(segment):
    return SHARE * (segment.high / segment.low - 1)
"""
LEAKY = """
import numpy as np
from mine import my_member

def leaky(series, task, settings):
    ahead = np.minimum(series.origins[:, None] + task.steps, len(series.bars.log_close) - 1)
    path = series.bars.log_close[ahead] - series.bars.log_close[series.origins, None]
    path[:, :1] = 0
    return my_member(series, task, settings) + 0.1 * path[:, :, None]

def broken(series, task, settings):
    quantiles = my_member(series, task, settings)
    return quantiles[0] / (len(quantiles) - len(quantiles)) if series.symbol == "ETHUSDT" else quantiles[None][7]
"""

READS = """
import numpy as np
from forecasting.baselines.simple import ewma_fhs

def reads_features(series, task, settings):
    own = series.features[series.origins]
    assert own.shape == (len(series.origins), 3), own.shape
    assert np.isfinite(own).all()
    return ewma_fhs(series, task, settings)
"""


def settings(*members: str, **more: object) -> dict[str, object]:
    features = {"extra": ["shapes.py:my_feature", "shapes.py:range_share"]}
    return {"members": ["random_walk", "ewma_fhs", *members], "features": features} | more


def run(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A run with the config beside which the files are."""
    files = TINY, str(folder / "conf" / "mine.yaml")
    return snakemake(folder, "-j2", *arguments, "--configfile", *files, check=check)


def configure(folder: Path, *members: str, **more: object) -> None:
    (folder / "conf" / "mine.yaml").write_text(yaml.safe_dump(settings(*members, **more)))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with the functions of the page, in files beside the config, which is not in the working folder."""
    folder = tmp_path_factory.mktemp("plug_ins")
    (folder / "conf").mkdir()
    (folder / "conf" / "mine.py").write_text(MEMBER)
    (folder / "conf" / "shapes.py").write_text(FEATURE + HELPED)
    (folder / "conf" / "helper_of_mine.py").write_text("SHARE = 1.0\n")
    (folder / "conf" / "leaky.py").write_text(LEAKY)
    configure(folder, "mine.py:my_member")
    run(folder)
    return folder


@pytest.fixture
def copied(done: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    shutil.copytree(done, tmp_path / "run")
    return tmp_path / "run"


def test_a_member_is_forecast_scored_and_selected_as_ours_are(done: Path) -> None:
    artifacts = done / "artifacts"
    for fold in ("0", "1", "live"):
        weights = json.loads((artifacts / "forecasts" / fold / "weights.json").read_text())
        assert set(weights["validation_loss"]) == {"random_walk", "ewma_fhs", "my_member"}
        forecasts = pd.read_parquet(artifacts / "forecasts" / fold / "my_member.parquet")
        keys = pd.read_parquet(artifacts / "forecasts" / fold / "ewma_fhs.parquet")[["symbol", "origin", "step"]]
        pd.testing.assert_frame_equal(forecasts[["symbol", "origin", "step"]], keys)
    evaluation = json.loads((artifacts / "evaluation.json").read_text())
    assert {"my_member", "ewma_fhs", "random_walk"} <= set(evaluation["members"])
    assert set(evaluation["comparisons"]["ensemble"]) == {"random_walk", "ewma_fhs", "my_member"}
    assert "skill_my_member" in pd.read_csv(artifacts / "evaluation.csv")
    assert "my_member" in json.loads((artifacts / "mock_trade.json").read_text())["votes"]
    assert (artifacts / "plots" / "evaluation.png").stat().st_size > 0


def test_features_are_columns(done: Path) -> None:
    features = pd.read_parquet(done / "data" / "features" / "live" / "BTCUSDT.parquet")
    assert [name for name in features if name in ("my_feature_5", "my_feature_30", "range_share")] == [
        "my_feature_5",
        "my_feature_30",
        "range_share",
    ]


def test_members_and_lightgbm_read_them_live_too(copied: Path) -> None:
    (copied / "conf" / "reads.py").write_text(READS)
    configure(copied, "lightgbm", "reads.py:reads_features")
    files = [
        f"artifacts/forecasts/{fold}/{name}.parquet"
        for fold in ("0", "live")
        for name in ("reads_features", "lightgbm")
    ]
    run(copied, *files)
    before = [pd.read_parquet(copied / file) for file in files]
    pd.testing.assert_frame_equal(before[0], pd.read_parquet(copied / "artifacts/forecasts/0/ewma_fhs.parquet"))
    configure(copied, "lightgbm", features={})
    run(copied, *files[1::2])
    for file, with_features in zip(files[1::2], before[1::2], strict=True):
        assert not with_features.equals(pd.read_parquet(copied / file)), file


def test_the_run_s_config_goes_on_from_the_working_folder(done: Path) -> None:
    config = yaml.safe_load((done / "artifacts" / "run.yaml").read_text())
    assert config["members"] == ["random_walk", "ewma_fhs", "conf/mine.py:my_member"]
    assert "Nothing to be done" in run(done, "-n").stdout
    again = snakemake(done, "-j2", "--configfile", str(done / "artifacts" / "run.yaml"), "-n")
    assert "Nothing to be done" in again.stdout


@pytest.mark.parametrize(
    ("file", "made_anew", "kept"),
    [
        ("mine.py", {"predict_plugin": 3, "ensemble": 3, "evaluate": 1}, {"predict_baselines", "make_features"}),
        ("helper_of_mine.py", {"make_features": 2, "predict_plugin": 3, "predict_baselines": 3}, {"fetch_candles"}),
    ],
)
def test_an_edit_makes_anew_what_depends_on_it_and_nothing_else(
    file: str, made_anew: dict[str, int], kept: set[str], copied: Path
) -> None:
    with (copied / "conf" / file).open("a") as edited:
        edited.write("\n# edited\n")
    jobs = planned(run(copied, "-n").stdout)
    assert made_anew.items() <= jobs.items()
    assert not kept & set(jobs)


def test_what_fails_is_one_line_and_leaves_ours(copied: Path) -> None:
    configure(copied, "mine.py:my_member", "leaky.py:broken")
    failed = run(copied, "artifacts/forecasts/0/ensemble.parquet", check=False)
    output = failed.stdout + failed.stderr
    assert failed.returncode != 0
    line = "conf/leaky.py, line 13: IndexError: index 7 is out of bounds for axis 0 with size 1 (conf/leaky.py:broken)"
    assert f"predict_plugin: {line}" in output.splitlines()
    assert "Traceback" not in output
    log = (copied / "artifacts/logs/predict_plugin/0-broken.log").read_text()
    assert "Traceback" in log and "return quantiles[0] /" in log
    # ours and the other one are there, and not planned
    jobs = planned(run(copied, "-n", "artifacts/forecasts/0/ensemble.parquet").stdout)
    assert jobs == {"predict_plugin": 1, "ensemble": 1, "total": 2}


def test_a_file_that_is_not_there_ends_the_run_before_its_first_job(copied: Path) -> None:
    configure(copied, "theirs.py:my_member")
    failed = run(copied, "-n", check=False)
    assert failed.returncode != 0
    where = f"{copied} or {ROOT / 'config'} or {copied / 'conf'}"
    line = f"config: members.2: theirs.py does not exist in {where}; give its path from the working folder"
    assert line in (failed.stdout + failed.stderr).splitlines()


def test_the_leak_trial_has_a_line_for_each_and_fails_at_a_leak(copied: Path) -> None:
    cuts = {"cuts": 6}
    configure(copied, "mine.py:my_member", leak_trial=cuts)
    run(copied, "leak_trial")
    lines = (copied / "artifacts" / "leak_trial.txt").read_text().splitlines()
    for name in ("member ensemble", "member random_walk", "member my_member", "feature rsi", "feature my_feature_5"):
        assert f"{name}: passed, 6 cuts" in lines
    configure(copied, "mine.py:my_member", "leaky.py:leaky", leak_trial=cuts)
    failed = run(copied, "leak_trial", check=False)
    assert failed.returncode != 0
    (trial,) = (one for one in json.loads((copied / "artifacts/leak_trial.json").read_text())["trials"] if one["leak"])
    origin = json.loads((copied / "artifacts/evaluation.json").read_text())["folds"][0]["test_start_iso"]
    leak = {"symbol": "BTCUSDT", "origin_iso": origin, "step": 2, "cause": f"where the candles after {origin} do"}
    assert trial == {"kind": "member", "name": "leaky", "cuts": 1, "leak": leak}
    line = f"member leaky: leak: its forecast from step 2 on of BTCUSDT at {origin} changes {leak['cause']}"
    assert line in failed.stderr.splitlines()
    assert (copied / "artifacts/leak_trial.txt").read_text().splitlines()[0] == line
    # and where it is required, no forecast is made
    configure(copied, "mine.py:my_member", "leaky.py:leaky", leak_trial=cuts | {"required": True})
    refused = run(copied, "artifacts/forecasts/1/ensemble.parquet", "-R", "predict_plugin", check=False)
    assert f"predict_plugin: {line}; it is refused, since leak_trial.required is true" in refused.stderr.splitlines()
    configure(copied, "mine.py:my_member", leak_trial=cuts | {"required": True})
    run(copied, "artifacts/forecasts/1/ensemble.parquet")


def test_the_tft_reads_the_features_and_passes_its_trial(copied: Path) -> None:
    config = settings("tft_raw", "lhar_fhs", "tft", leak_trial={"cuts": 4})
    (copied / "conf" / "mine.yaml").write_text(yaml.safe_dump(config))
    run(copied, "artifacts/leak_trial/members/tft.json", "artifacts/leak_trial/members/tft_raw.json")
    for member in ("tft", "tft_raw"):
        features = checkpoint.load(str(copied / f"artifacts/models/0/{member}-seed1.ckpt")).features
        assert {"my_feature_5", "my_feature_30", "range_share"} <= set(features)
        (trial,) = json.loads((copied / f"artifacts/leak_trial/members/{member}.json").read_text())["trials"]
        assert trial == {"kind": "member", "name": member, "cuts": 4, "leak": None}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("examples"), tiny=False)


def test_everything_of_ours_passes_the_trial(tmp_path: Path) -> None:
    project = copy_project(tmp_path, tiny=True)
    config = yaml.safe_load((project / "config" / "config.yaml").read_text())
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(config | {"leak_trial": {"cuts": 4}}))
    shell(project, "snakemake -j4 leak_trial")
    lines = (project / "artifacts" / "leak_trial.txt").read_text().splitlines()
    assert {f"member {name}: passed, 4 cuts" for name in (ENSEMBLE, *DEFAULT)} <= set(lines)
    assert [line for line in lines if not line.endswith(": passed, 4 cuts")] == []


def test_the_example_of_scikit_learn(checkout: Path) -> None:
    shell(
        checkout,
        "snakemake -j2 evaluate --configfile config/tiny.yaml "
        "--config members='[random_walk, ewma_fhs, examples/sklearn_member.py:sklearn_trees]'",
    )
    members = json.loads((checkout / "artifacts" / "evaluation.json").read_text())["members"]
    assert members["sklearn_trees"]["pinball"] < members["random_walk"]["pinball"]


def test_the_example_of_statsforecast(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (checkout / "examples" / "statsforecast_member.py").read_text()
    (names,) = re.findall(r"pip install (--no-deps [a-z ]+)$", source, flags=re.MULTILINE)
    # without it, one line says how it is installed
    command = [
        *("snakemake", "-j2", "artifacts/forecasts/0/statsforecast_arima.parquet", "--configfile", "config/tiny.yaml"),
        *("--config", "members=[random_walk, examples/statsforecast_member.py:statsforecast_arima]"),
    ]
    if find_spec("statsforecast") is None:
        refused = call(command, checkout, check=False)
        line = (
            r"^predict_plugin: examples/statsforecast_member.py, line \d+: ImportError: statsforecast is not installed"
        )
        assert re.search(f"{line}: pip install {names}", refused.stderr, flags=re.MULTILINE)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path), *names.split()]
        if subprocess.run(pip, capture_output=True).returncode:
            lacking("statsforecast cannot be installed")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    shell(
        checkout,
        "snakemake -j2 evaluate --configfile config/tiny.yaml "
        "--config members='[random_walk, ewma_fhs, examples/statsforecast_member.py:statsforecast_arima]'",
    )
    members = json.loads((checkout / "artifacts" / "evaluation.json").read_text())["members"]
    assert members["statsforecast_arima"]["pinball"] < members["random_walk"]["pinball"]


def test_the_examples_of_features(checkout: Path) -> None:
    shell(
        checkout,
        "snakemake -j2 features --configfile config/tiny.yaml "
        "--config features='{extra: [examples/feature.py:body_share, examples/feature.py:volume_surprise]}'",
    )
    features = pd.read_parquet(checkout / "data" / "features" / "train" / "BTCUSDT.parquet")
    assert {"body_share", "volume_surprise_5", "volume_surprise_30"} <= set(features)
    assert features["body_share"].between(-1, 1).all()
