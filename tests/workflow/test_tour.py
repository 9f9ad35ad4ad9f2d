"""docs/tour.md, followed word for word on a month's dump as Binance has it, of a recorded walk, in a small checkout."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.files import read_json
from market.intervals import MINUTE
from support.engines import copy_project, shell, shrink
from support.exchanges import walk
from support.workflow import ROOT

PAGE = (ROOT / "docs" / "tour.md").read_text()
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
BARS = 5000
NAMES = ["open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count"]


def dump(folder: Path) -> None:
    """A folder of archives, a symbol each, with the columns of Binance's monthly ones."""
    folder.mkdir()
    for seed, symbol in enumerate(SYMBOLS):
        bars = walk(seed, BARS)
        rows = pd.DataFrame(bars, columns=NAMES[:6]).astype({"open_time": "int64"})
        rows["close_time"] = rows["open_time"] + MINUTE - 1
        rows["quote_volume"] = np.round(rows["volume"] * rows["close"], 3)
        rows["count"] = 1
        archive = {"method": "zip", "archive_name": f"{symbol}-1m-2024-01.csv"}
        rows.to_csv(folder / f"{symbol}-1m-2024-01.zip", index=False, compression=archive)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkout after the tour's first run."""
    folder = copy_project(tmp_path_factory.mktemp("tour"), tiny=True)
    # the TFT has its tests elsewhere, and takes most of a run's time
    shrink(folder, members=["lhar_fhs", "random_walk"])
    dump(folder / "candles")
    shell(
        folder,
        "snakemake -j4 --configfile config/replay.yaml "
        "--config exchange='{folder: candles}' symbols='[BTCUSDT, ETHUSDT]'",
    )
    return folder


def test_the_tour(checkout: Path) -> None:
    """One test of all its commands: each goes on from the one before."""
    first = shell(checkout, "cat artifacts/summary.txt")
    labels = [line.split("  ")[0] for line in first.splitlines()]
    assert "SIMULATED" not in first and f"  {'BTCUSDT'} " in first
    # what the page says of the summary's order
    named = ["forecast", "evaluation", "utility", "ensemble", "decision", "accuracy", "backtest"]
    assert [label for label in labels if label in named] == named
    forecasts = {path: path.stat().st_mtime for path in (checkout / "artifacts/forecasts").rglob("lhar_fhs.parquet")}

    shell(checkout, "./exec.sh --consensus --cons-comm 0.02")
    assert {path: path.stat().st_mtime for path in forecasts} == forecasts and forecasts
    assert read_json(checkout / "artifacts/mock_trade.json")["config"]["commission_pct"] == 0.02

    shell(checkout, "./exec.sh --consensus -- --config decision='{policy: exposure}'")
    decided = read_json(checkout / "artifacts/mock_trade.json")
    assert decided["exposure"]["target"] > 0 and decided["plan"] is None
    assert decided["config"]["commission_pct"] == 0.02

    shell(checkout, './exec.sh --predict --horizon 30 --symbols "BTCUSDT ETHUSDT SOLUSDT"')
    live = pd.read_parquet(checkout / "artifacts/forecasts/live/ensemble.parquet")
    assert int(live["step"].to_numpy().max()) == 30 and set(live["symbol"]) == {*SYMBOLS}

    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    (checkout / "mine.py").write_text(block)
    shell(
        checkout,
        "snakemake -j4 evaluate --configfile artifacts/run.yaml "
        "--config members='[random_walk, ewma, har_fhs, mine.py:last_day]'",
    )
    pooled = pd.read_csv(checkout / "artifacts/evaluation_pooled.csv").set_index("member")
    assert float(pooled["pinball"]["last_day"]) > 0 and "lhar_fhs" not in pooled.index
    assert int(pd.read_csv(checkout / "artifacts/evaluation_steps.csv")["step"].to_numpy().max()) == 30
