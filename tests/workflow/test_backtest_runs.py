"""The backtest by Snakemake: for any moment the very document of a live decision, and the accounts of all."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from market.intervals import MINUTE, iso
from support.workflow import ROOT, snakemake

BARS, TEST_BARS, MOMENTS = 3 * 1440, 240, 10
# decisions of both kinds, by a member that has a direction; without an embargo a fold's models are those of a run that
# trains at its start
CONFIG = {
    "members": "[random_walk, ewma_drift, ewma_fhs, har_fhs]",
    "ensemble": "{weights: equal, tolerance: 9}",
    "consensus": "{commission_pct: 0, slippage_pct: 0, min_edge_pct: 0.001}",
    "decision": "{require: [data_quality, novelty]}",
}


def run(folder: Path, target: str, *arguments: str, folds: int, **config: str) -> None:
    settings = {**CONFIG, "folds": f"{{embargo: 0, stride: 4, count: {folds}}}", **config}
    words = [f"{name}={value}" for name, value in settings.items()]
    tiny = str(ROOT / "config" / "tiny.yaml")
    snakemake(folder, "-j2", "--configfile", tiny, "--config", *words, *arguments, "--", target)


@pytest.fixture(scope="module")
def backtested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backtested")
    run(folder, "backtest", folds=2)
    return folder


def documents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "artifacts/backtest/1.jsonl").read_text().splitlines()]


def test_for_any_moment_it_is_the_document_of_a_live_decision(backtested: Path, tmp_path: Path) -> None:
    made = documents(backtested)
    times = sorted({one["decision"]["entry_time"] for one in made})
    assert {one["decision"]["action"] for one in made} == {"BUY", "HOLD"}
    # a run that trains where the second fold does, and whose only fold is the first one, with the same first bar
    as_of = json.loads((backtested / "data/as_of/train.json").read_text())["as_of"]
    trained, days = iso(as_of - TEST_BARS * MINUTE), repr((BARS - TEST_BARS) / 1440)
    run(tmp_path, "evaluate", folds=1, days=days, as_of=trained)
    for time in times[:: len(times) // MOMENTS][:MOMENTS]:
        # a new cutoff of the decision alone: the models stay as they are
        again = "--rerun-triggers", "mtime", "-R", "data/as_of/live.json"
        run(tmp_path, "consensus", *again, folds=1, days=days, as_of=time)
        for walked in (one for one in made if one["decision"]["entry_time"] == time):
            live = json.loads((tmp_path / f"artifacts/decisions/{walked['config']['symbol']}.json").read_text())
            # what it was read from, and so the seal, is of files of their own
            rest = {name: value for name, value in live.items() if name not in ("inputs", "seal")}
            assert json.dumps(rest, sort_keys=True) == json.dumps(walked, sort_keys=True)


def test_the_accounts_are_of_every_decision(backtested: Path) -> None:
    table = pd.read_csv(backtested / "artifacts/backtest.csv")
    result = json.loads((backtested / "artifacts/backtest.json").read_text())
    equity = pd.read_csv(backtested / "artifacts/backtest_equity.csv")
    assert result["decisions"] == len(table) == sum(result["actions"].values())
    assert result["actions"]["BUY"] > 0
    followed = result["strategies"]["decisions"]
    assert followed["trades"] > 0
    for name, one in result["strategies"].items():
        assert equity[name].iloc[-1] == pytest.approx(1 + one["return_pct"] / 100)
    assert result["strategies"]["cash"]["return_pct"] == 0
    # no money is made but by trades: without costs the sum of what was left is the wealth
    for _, rows in table.groupby("symbol"):
        assert (rows["return_pct"] <= rows["luckiest_plan_pct"] + 1e-9).all()
    assert result["deflated_sharpe"]["trials"] == 1


def test_another_policy_is_another_trial(backtested: Path) -> None:
    run(backtested, "backtest", folds=2, decision="{policy: exposure, require: []}")
    result = json.loads((backtested / "artifacts/backtest.json").read_text())
    assert (result["policy"], result["deflated_sharpe"]["trials"]) == ("exposure", 2)
    assert result["actions"].get("BUY", 0) > 0 and result["regret"] is None
    table = pd.read_csv(backtested / "artifacts/backtest.csv")
    assert table["weight"].between(0, 1).all() and table["weight"].nunique() > 2
