"""The workflow on a live exchange, by Snakemake: what reruns, what is asked for, what is imported."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from market.candles import COLUMNS
from market.intervals import iso
from support.exchanges import BARS, NOW, serve_walks, walk
from support.loopback.faults import At, refused
from support.loopback.server import LoopbackExchange
from support.workflow import ROOT, snakemake

TINY = str(ROOT / "config" / "tiny.yaml")
CANDLES = "data/candles/train/BTCUSDT.parquet"


@pytest.fixture
def server() -> Iterator[LoopbackExchange]:
    with serve_walks() as running:
        yield running


def config(folder: Path, server: LoopbackExchange, **options: Any) -> list[str]:
    """The tiny config on the loopback server, of 20 hours."""
    exchange = {"id": "binance", "patience": 20, "options": {**server.options, "rateLimit": 1, **options}}
    own = {"exchange": exchange, "symbols": ["BTC/USDT"], "days": 0.9, "folds": {"count": 1, "test_bars": 120}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(own))
    return ["--configfile", TINY, str(folder / "mine.yaml")]


def test_another_way_of_asking_reruns_nothing(tmp_path: Path, server: LoopbackExchange) -> None:
    snakemake(tmp_path, "-j1", *config(tmp_path, server), "--", CANDLES)
    calls = server.calls
    options = {"timeout": 7000, "headers": {"X-Who": "me"}}
    again = snakemake(tmp_path, "-j1", *config(tmp_path, server, **options), "--", CANDLES)
    assert "Nothing to be done" in again.stdout + again.stderr
    assert server.calls == calls
    # another market is another store
    other = snakemake(tmp_path, "-n", *config(tmp_path, server, options={"defaultType": "swap"}), "--", CANDLES)
    assert re.search(r"^fetch_candles +1$", other.stdout + other.stderr, re.M)


def test_a_longer_history_asks_for_the_rest_alone(tmp_path: Path, server: LoopbackExchange) -> None:
    arguments = config(tmp_path, server)
    snakemake(tmp_path, "-j1", *arguments, "--", CANDLES)
    server.requests.clear()
    snakemake(tmp_path, "-j1", *arguments, "--config", "days=1.5", "--", CANDLES)
    assert len(server.asked("candles")) == 1
    assert len(pd.read_parquet(tmp_path / CANDLES)) == 2160


def test_a_failed_fetch_is_one_line_and_the_next_run_goes_on(tmp_path: Path, server: LoopbackExchange) -> None:
    arguments = config(tmp_path, server)
    server.scripts = [At({1: refused(403)})]
    failed = snakemake(tmp_path, "-j1", *arguments, "--", CANDLES, check=False)
    assert failed.returncode == 1
    assert "fetch_candles: exchange: binance forbids requests from this address or key" in failed.stderr
    assert "Traceback" not in failed.stderr
    snakemake(tmp_path, "-j1", *arguments, "--", CANDLES)
    # the first page is stored, so the second run asks for the second one and the failed one together
    assert len(server.asked("candles")) == 3


def test_the_decision_s_cutoff_waits_for_models_and_evaluation(tmp_path: Path, server: LoopbackExchange) -> None:
    planned = snakemake(tmp_path, "-n", *config(tmp_path, server), "--", "data/as_of/live.json")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", planned.stdout + planned.stderr, re.M))
    assert {"train_tft", "evaluate", "ensemble", "predict_baselines"} <= jobs.keys()
    assert jobs["as_of"] == "2"
    replayed = snakemake(tmp_path, "-n", "--configfile", TINY, "--", "data/as_of/live.json")
    assert "train_tft" not in replayed.stdout + replayed.stderr


def test_imported_candles_are_not_asked_for(tmp_path: Path, server: LoopbackExchange) -> None:
    (tmp_path / "files").mkdir()
    rows = pd.DataFrame(walk(1)[: BARS - 100], columns=COLUMNS).astype({"timestamp": "int64"})
    rows.to_csv(tmp_path / "files" / "BTCUSDT-1m.csv", index=False)
    arguments = config(tmp_path, server)
    recipe = next(
        line
        for line in (ROOT / "Makefile").read_text().splitlines()
        if line.startswith("\t$(SNAKEMAKE)") and "import_candles" in line
    )
    assert recipe.split()[1:] == [
        *("-j1", "$(ARGS)", "-R", "import_candles", "--config"),
        *("exchange='{folder:", '"$(FOLDER)"}\'', "--", "import_candles"),
    ]
    imported = ["-R", "import_candles", "--config", f'exchange={{folder: "{tmp_path}/files"}}', "--", "import_candles"]
    snakemake(tmp_path, "-j1", *arguments, *imported)
    assert json.loads((tmp_path / "data/imported.json").read_text())["BTCUSDT"]["bars"] == BARS - 100
    snakemake(tmp_path, "-j1", *arguments, "--config", f"as_of={iso(NOW)}", "--", CANDLES)
    assert len(server.asked("candles")) == 1
    np.testing.assert_array_equal(pd.read_parquet(tmp_path / CANDLES).to_numpy(), walk(1)[-1297:-1])
