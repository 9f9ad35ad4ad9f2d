"""`make demo-exchange`: the simulated market as a live exchange, and the workflow on it by the command it prints."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ccxt
import numpy as np
import yaml

from market.data_generating_process import DATA_START
from market.intervals import MINUTE, parse_time
from market.simulated import Simulated
from support.engines import SMALL
from support.loopback.demo import LATER, PORT, command
from support.workflow import ROOT, snakemake

ENVIRONMENT = {**os.environ, "PYTHONPATH": "scripts:tests"}


@contextmanager
def demo(*arguments: str) -> Iterator[tuple[str, str]]:
    """The demo on a free port: its address, and the command that it prints."""
    call = [sys.executable, "-m", "support.loopback.demo", "--port", "0", *arguments]
    with subprocess.Popen(call, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            yield line.split()[0], line.partition("in another terminal: ")[2].strip()
        finally:
            process.kill()


def exchange_at(address: str) -> Any:
    options = yaml.safe_load((ROOT / "config/demo.yaml").read_text())["exchange"]["options"]
    assert options["urls"]["api"]["public"] == f"http://127.0.0.1:{PORT}/api/v3"
    return ccxt.binance({**options, "urls": {"api": {"public": f"{address}/api/v3"}}})


def test_candles_are_the_simulated_markets_up_to_now() -> None:
    with demo("--seed", "8", "--days", "2") as (address, printed):
        assert f'public: "{address}/api/v3"' in printed
        exchange = exchange_at(address)
        assert len(exchange.load_markets()) == 50
        assert abs(exchange.fetch_time() - 1000 * time.time()) < 5000
        rows = np.array(exchange.fetch_ohlcv("ETH/USDT", "1m", limit=500))
        newest, then = rows[-1, 0], 1000 * time.time()
        assert then - 2 * MINUTE < newest <= then
        first = int(rows[0, 0])
        market = Simulated(8, int(newest) - LATER)
        np.testing.assert_array_equal(
            rows[:-1, 1:], np.array(market.fetch_ohlcv("ETH/USDT", "1m", first - LATER, 499))[:, 1:]
        )
        assert LATER % (7 * 24 * 60 * MINUTE) == 0 and first - LATER > DATA_START


def test_a_port_in_use_is_an_error_of_one_line() -> None:
    with demo() as (address, _):
        call = [sys.executable, "-m", "support.loopback.demo", "--port", address.rpartition(":")[2]]
        done = subprocess.run(call, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.endswith("in use; choose another: make demo-exchange ARGS='--port 0'\n"), done.stderr


def test_the_workflow_trades_live_by_the_command_that_is_printed(tmp_path: Path) -> None:
    with demo() as (_, printed):
        program, *arguments = shlex.split(printed)
        assert (program, arguments[:3]) == ("snakemake", ["-j2", "--configfile", "config/demo.yaml"])
        arguments[2] = str(ROOT / arguments[2])
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
        began = 1000 * time.time()
        arguments.insert(3, str(tmp_path / "small.yaml"))
        snakemake(tmp_path, *arguments)
    trade = json.loads((tmp_path / "runs/demo/artifacts/mock_trade.json").read_text())
    assert began - MINUTE <= parse_time(trade["decision"]["entry_time"]) <= 1000 * time.time()
    assert trade["simulated"] is False  # an exchange by ccxt like any other
    assert (tmp_path / "runs/demo/artifacts/mock_eval.json").is_file()


def test_the_usual_port_is_that_of_the_config() -> None:
    assert command(f"http://127.0.0.1:{PORT}") == "snakemake -j2 --configfile config/demo.yaml"


def test_make_starts_it() -> None:
    done = subprocess.run(
        ["make", "-n", "demo-exchange", "ARGS=--port 0"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # within `make test`, make also says which folder it enters
    assert "PYTHONPATH=scripts:tests .venv/bin/python -m support.loopback.demo --port 0" in done.stdout.splitlines()
