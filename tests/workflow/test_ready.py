"""Interval and horizon alone: every ready choice plans, and a week of days runs from candles to the decision."""

from pathlib import Path

import pandas as pd
import yaml

from market.intervals import step_ms
from support.workflow import planned, snakemake

READY = {"5m": 48, "15m": 32, "1h": 24, "4h": 12}


def test_interval_and_horizon_plan_alone(tmp_path: Path) -> None:
    branches = ", ".join(f"{{interval: {interval}, horizon: {horizon}}}" for interval, horizon in READY.items())
    jobs = planned(snakemake(tmp_path, "-n", "-j1", "--config", f"branches=[{branches}]").stdout)
    for interval, horizon in READY.items():
        name = f"{interval}_{horizon}"
        assert (jobs[f"{name}_train_tft"], jobs[f"{name}_audit"]) == (4, 1)


def test_a_week_of_days_runs_alone(tmp_path: Path) -> None:
    """Of fewer members than by default; run.yaml says what was made ready."""
    config = ["interval=1d", "horizon=7", "symbols=[BTCUSDT]", "members=[random_walk, lhar_fhs]", "folds={count: 1}"]
    files = ["artifacts/run.yaml", "artifacts/evaluation.json", "artifacts/mock_trade.json"]
    snakemake(tmp_path, "-j2", "--config", *config, "--", *files)
    made = yaml.safe_load((tmp_path / files[0]).read_text())
    assert (made["days"], made["folds"]["test_bars"], made["features"]["spans"]) == (1200, 240, [2, 7, 28])
    tested = pd.read_parquet(tmp_path / "artifacts" / "forecasts" / "0" / "ensemble.parquet")
    assert tested["origin"].nunique() == 240 - 7
    assert set(tested["origin"].drop_duplicates().diff().dropna()) == {step_ms("1d")}
