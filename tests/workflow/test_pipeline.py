"""The real workflow end to end, on a tiny config: all artifacts, the same bytes twice, and no look-ahead."""

import json
import os
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from common.files import read_document, write_parquet
from forecasting.documents import Evaluation, Weights
from forecasting.members import BASELINES, ENSEMBLE, ORACLE, TFT
from market.fetching import fetch_rows
from market.intervals import MINUTE, iso
from market.simulated import Simulated
from support.loopback.server import LoopbackExchange
from support.loopback.tape import Tape
from support.workflow import ROOT, artifacts, planned, snakemake
from trading.documents import Audit, Trade

TINY = ["-j2", "--configfile", str(ROOT / "config" / "tiny.yaml")]
DATA_END = 1_717_200_000_000
HORIZON = 12


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run on the simulated market."""
    folder = tmp_path_factory.mktemp("simulated")
    snakemake(folder, *TINY)
    return folder


def test_a_run_leaves_every_artifact(done: Path) -> None:
    expected = ["run.yaml", "evaluation.csv", "evaluation_steps.csv", "evaluation.json", "forecast_path.csv"]
    expected += ["forecast.csv", "mock_trade.json", "mock_eval.json", "summary.txt", "decisions.csv"]
    expected += [
        f"decisions/{symbol}{kind}"
        for symbol in ("BTCUSDT", "ETHUSDT")
        for kind in (".json", "-path.csv", "-plans.csv")
    ]
    expected += [
        f"plots/{name}.{kind}"
        for name in ("evaluation", "evaluation_detail", "forecast", "consensus", "breakeven")
        for kind in ("png", "pdf")
    ]
    for name in expected:
        assert (done / "artifacts" / name).stat().st_size > 0, name
    assert (done / "lightning_logs" / "fold-live-tft-seed1" / "metrics.csv").exists()


def test_every_document_is_of_its_type(done: Path) -> None:
    kinds: dict[str, type[Any]] = {"evaluation": Evaluation, "mock_trade": Trade, "mock_eval": Audit}
    kinds |= {f"decisions/{symbol}": Trade for symbol in ("BTCUSDT", "ETHUSDT")}
    kinds |= {f"forecasts/{fold}/weights": Weights for fold in ("0", "1", "live")}
    for name, kind in kinds.items():
        fields = set(read_document(done / "artifacts" / f"{name}.json", kind))
        assert fields == set(kind.__annotations__), name


def test_trade_and_audit_have_the_fields_that_notebooks_read(done: Path) -> None:
    """Contracts: whatever the types say."""
    trade = json.loads((done / "artifacts" / "mock_trade.json").read_text())
    audit = json.loads((done / "artifacts" / "mock_eval.json").read_text())
    assert {"config", "forecast", "decision", "plan", "candidates", "votes", "gates", "breakeven", "seal"} <= set(trade)
    assert {"t0_iso", "horizon_m", "times", "price_forecast", "model_name"} <= set(trade["forecast"])
    wanted = "action reason entry_time entry_price target_time target_price expected_return_pct expected_pnl_usd"
    assert {*wanted.split(), "commission_total_usd"} <= set(trade["decision"])
    wanted = "evaluated_at symbol interval action entry_time entry_fill sell_time sell_fill units_bought"
    wanted += " commission_total_usd realized_pnl_usd realized_return_pct was_partial_window"
    assert set(wanted.split()) <= set(audit)
    assert audit["seal"] == trade["seal"]
    assert not audit["was_partial_window"]


def test_another_policy_decides_on_the_same_forecasts(done: Path, tmp_path: Path) -> None:
    """Of all that takes long nothing is made again."""
    folder = tmp_path / "exposure"
    shutil.copytree(done, folder)
    log = snakemake(folder, *TINY, "--config", "decision={policy: exposure, held_weight: 1}").stderr
    assert not {"train_tft", "ensemble", "evaluate"} & set(re.findall(r"rule (\w+):", log))
    trade = read_document(folder / "artifacts" / "mock_trade.json", Trade)
    audit = read_document(folder / "artifacts" / "mock_eval.json", Audit)
    assert (trade["decision"]["action"], trade["plan"]) == ("SELL", None)
    assert trade["exposure"] and audit["exposure"] and trade["exposure"]["weight"] == audit["exposure"]["weight"]
    assert "asks for a weight of" in " ".join((folder / "artifacts" / "summary.txt").read_text().split())


def test_what_is_simulated_says_so(done: Path) -> None:
    for name in ("evaluation", "mock_trade", "mock_eval"):
        assert json.loads((done / "artifacts" / f"{name}.json").read_text())["simulated"] is True
    assert "SIMULATED" in (done / "artifacts" / "summary.txt").read_text()


def test_forecasts_never_cross_and_hold_the_same_origins(done: Path) -> None:
    for fold in ("0", "1"):
        members = {path.stem: pd.read_parquet(path) for path in (done / "artifacts/forecasts" / fold).glob("*.parquet")}
        assert set(members) == {ENSEMBLE, TFT, ORACLE, *BASELINES}
        keys = members["tft"][["symbol", "origin", "close", "step"]]
        for frame in members.values():
            pd.testing.assert_frame_equal(frame[["symbol", "origin", "close", "step"]], keys)
            assert (np.diff(frame.filter(like="q0").to_numpy(), axis=1) >= 0).all()


@pytest.mark.parametrize(("fold", "cutoff"), [("0", "train"), ("live", "live"), ("0/validation", "train")])
def test_forecasts_say_the_close_that_they_start_from(done: Path, fold: str, cutoff: str) -> None:
    candles = {
        path.stem: pd.read_parquet(path).set_index("timestamp")["close"].to_dict()
        for path in (done / "data" / "candles" / cutoff).glob("*.parquet")
    }
    for member in (TFT, *BASELINES):
        frame = pd.read_parquet(done / "artifacts" / "forecasts" / fold / f"{member}.parquet")
        pairs = zip(frame["symbol"], frame["origin"], strict=True)
        assert frame["close"].tolist() == [candles[symbol][origin] for symbol, origin in pairs], member


def test_a_fold_is_trained_before_it_is_tested(done: Path) -> None:
    evaluation = json.loads((done / "artifacts" / "evaluation.json").read_text())
    settings = yaml.safe_load((done / "artifacts" / "run.yaml").read_text())
    embargo = settings["folds"]["embargo"] * MINUTE
    assert embargo == HORIZON * MINUTE
    for fold in evaluation["folds"]:
        gap = pd.Timestamp(fold["test_start_iso"]) - pd.Timestamp(fold["train_end_iso"])
        assert gap == pd.Timedelta(embargo, "ms")
        origins = pd.read_parquet(done / "artifacts" / "forecasts" / fold["fold"] / "tft.parquet")["origin"]
        assert pd.Timestamp(origins.min(), unit="ms", tz="UTC") >= pd.Timestamp(fold["test_start_iso"])


def test_nothing_is_left_to_do(done: Path) -> None:
    assert "Nothing to be done" in snakemake(done, *TINY, "-n").stdout


def test_no_path_host_or_clock_in_artifacts(done: Path) -> None:
    host = re.compile(rf"\b{re.escape(socket.gethostname())}\b")
    for name, content in artifacts(done).items():
        for private in (done, ROOT, Path.home()):
            assert f"{private}/".encode() not in content, (name, private)
        if name.endswith((".json", ".csv", ".yaml", ".txt")):
            assert not host.search(content.decode()), name


def test_the_same_run_gives_the_same_bytes(done: Path, tmp_path: Path) -> None:
    snakemake(tmp_path, *TINY)
    one, two = artifacts(done), artifacts(tmp_path)
    assert set(one) == set(two)
    assert [name for name in one if one[name] != two[name]] == []


def test_a_new_decision_needs_no_new_training(done: Path) -> None:
    """Called as `make refresh` does, on the config that the run left."""
    run = str(done / "artifacts" / "run.yaml")
    jobs = planned(snakemake(done, "-n", "-j1", "--configfile", run, "-R", "data/as_of/live.json").stdout)
    assert {"as_of", "consensus", "audit"} <= set(jobs)
    assert not {"train_tft", "evaluate"} & set(jobs)


def test_another_seed_trains_that_seed_alone(done: Path) -> None:
    assert planned(snakemake(done, *TINY, "-n", "--config", "tft={seeds: [1, 2]}").stdout)["train_tft"] == 3


def test_the_tft_is_interpreted_when_asked_for(done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(done, folder)
    jobs = planned(snakemake(folder, *TINY, "--", "interpret", "artifacts/plots/interpretation.png").stderr)
    assert set(jobs) == {"interpret", "plot_interpretation", "total"}
    # of a correction that training rejected there is nothing to interpret
    kept = "the start is kept" not in (folder / "artifacts" / "logs" / "train_tft" / "1-tft-seed1.log").read_text()
    for name, label in (("interpretation", "kind"), ("interpretation_attention", None)):
        table = pd.read_csv(folder / "artifacts" / f"{name}.csv")
        assert bool(len(table)) == kept
        shares = table.groupby(["symbol", "regime", *([label] if label else [])])[table.columns[-1]].sum()
        np.testing.assert_allclose(shares.astype(float), 1, rtol=1e-4)
    assert (folder / "artifacts" / "plots" / "interpretation.pdf").exists()
    assert artifacts(done).items() <= artifacts(folder).items()


def test_a_damaged_artifact_is_named_and_the_rest_is_kept(done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(done, folder)
    features = folder / "data" / "features" / "train" / "BTCUSDT.parquet"
    times = features.stat().st_atime, features.stat().st_mtime
    whole = features.read_bytes()
    features.write_bytes(whole[:1000])
    os.utime(features, times)  # so that no other job that reads it is planned
    before = artifacts(folder)
    failed = snakemake(folder, *TINY, "--rerun-triggers", "code", "-R", "predict_baselines", check=False)
    assert failed.returncode != 0
    output = failed.stdout + failed.stderr
    assert "data/features/train/BTCUSDT.parquet: missing or damaged" in output
    assert "Traceback" not in output
    assert artifacts(folder) == before
    # what a failed job was to make is still to be made, though there is an earlier one
    features.write_bytes(whole)
    os.utime(features, times)
    assert "predict_baselines" in planned(snakemake(folder, "-n", *TINY).stdout)
    assert (folder / "artifacts" / "evaluation.json").stat().st_mtime > 0


def write_candle_files(folder: Path, poison_from: int | None) -> None:
    """Candle files of the simulated market's last days; from `poison_from` on, every value is another."""
    market = Simulated(7, DATA_END)
    draw = np.random.default_rng(3)
    for symbol in ("BTC/USDT", "ETH/USDT"):
        rows = fetch_rows(market, symbol, "1m", DATA_END - 4400 * MINUTE, DATA_END)
        frame = pd.DataFrame(rows, columns=["timestamp", "open", "high", "low", "close", "volume"])
        frame["timestamp"] = frame["timestamp"].astype("int64")
        if poison_from is not None:
            after = frame["timestamp"] >= poison_from
            shift = draw.uniform(0.2, 5, int(after.sum()))
            for name in ("open", "high", "low", "close"):
                frame.loc[after, name] *= shift
            frame.loc[after, "volume"] = 1e6
        write_parquet(folder / f"{symbol.replace('/', '')}.parquet", frame)


def replayed(folder: Path, poison_from: int | None, *targets: str) -> Path:
    """A run on candle files."""
    write_candle_files(folder / "files", poison_from)
    snakemake(folder, *TINY, "--config", "exchange={id: replay, folder: files}", "folds={count: 1}", "--", *targets)
    return folder


def test_what_comes_after_the_cut_changes_nothing_before_it(tmp_path: Path) -> None:
    """The poison test: every candle after as_of is another; forecasts, evaluation and decision are the same bytes."""
    cut = DATA_END - HORIZON * MINUTE
    clean = replayed(tmp_path / "clean", None, "artifacts/mock_eval.json")
    poisoned = replayed(tmp_path / "poisoned", cut, "artifacts/mock_eval.json")
    one, two = (artifacts(folder) for folder in (clean, poisoned))
    assert set(one) == set(two)
    compared = [f"{part}{name}.parquet" for part in ("", "validation/") for name in (TFT, *BASELINES)]
    for name in [*compared, f"{ENSEMBLE}.parquet", "weights.json"]:
        assert {f"artifacts/forecasts/{fold}/{name}" for fold in ("0", "live")} <= set(one), name
    after = {"data/outcome/BTCUSDT.parquet", "data/outcome/BTCUSDT.quality.json", "artifacts/mock_eval.json"}
    assert {name for name in one if one[name] != two[name]} <= after
    assert one["artifacts/mock_eval.json"] != two["artifacts/mock_eval.json"]
    # and the poison bites where it may: one bar earlier, and the decision's candles are others
    early = replayed(tmp_path / "early", cut - MINUTE, "data/candles/live/BTCUSDT.parquet")
    assert artifacts(early)["data/candles/live/BTCUSDT.parquet"] != one["data/candles/live/BTCUSDT.parquet"]


def test_one_symbol_of_hourly_bars_with_gaps(tmp_path: Path) -> None:
    """Other paths through the same rules: no other symbol, bars of an hour, a filled gap and one that stays."""
    rows = fetch_rows(Simulated(7, DATA_END), "ETH/USDT", "1h", DATA_END - 1600 * 60 * MINUTE, DATA_END)
    kept = np.delete(rows, [*range(500, 520), 900], axis=0)
    frame = pd.DataFrame(kept, columns=["timestamp", "open", "high", "low", "close", "volume"])
    write_parquet(tmp_path / "files" / "ETHUSDT.parquet", frame.astype({"timestamp": "int64"}))
    settings = ["exchange={id: replay, folder: files}", "symbols=[ETH/USDT]", "interval=1h", "days=60"]
    snakemake(tmp_path, *TINY, "--config", *settings, "folds={count: 1}", "--", "artifacts/mock_eval.json")
    quality = json.loads((tmp_path / "data/candles/train/ETHUSDT.quality.json").read_text())
    assert (quality["missing"], quality["filled"]) == (20, 1)
    trade = json.loads((tmp_path / "artifacts/mock_trade.json").read_text())
    assert trade["forecast"]["horizon_m"] == HORIZON * 60
    assert not trade["simulated"]
    features = pd.read_parquet(tmp_path / "data/features/train/ETHUSDT.parquet")
    assert features["segment"].nunique() == 2
    assert "others_return" not in features


def test_a_live_exchange_from_the_decision_to_the_whole_audit(tmp_path: Path) -> None:
    """By ccxt, over a real socket: decide, audit on the first few bars, and audit again when all are there."""
    rows = fetch_rows(Simulated(7, DATA_END), "BTC/USDT", "1m", DATA_END - 4500 * MINUTE, DATA_END)
    now = DATA_END - 60 * MINUTE
    tape = Tape({"BTC/USDT": rows}, "1m", now + 4 * MINUTE + 30_000)
    with LoopbackExchange("binance", tape) as server:
        live = yaml.safe_load((ROOT / "config" / "live.yaml").read_text())
        live["exchange"]["options"]["urls"] = server.options["urls"]
        live |= {"symbols": ["BTC/USDT"], "members": ["random_walk", "ewma"], "folds": {"count": 1}, "as_of": iso(now)}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(live))
        configs = [str(ROOT / "config" / "tiny.yaml"), str(tmp_path / "mine.yaml")]
        snakemake(tmp_path, "-j2", "--configfile", *configs, "--", "artifacts/mock_eval.json", "run_config")
        trade = (tmp_path / "artifacts/mock_trade.json").read_bytes()
        early = json.loads((tmp_path / "artifacts/mock_eval.json").read_text())
        tape.now = now + 64 * MINUTE + 30_000
        run = str(tmp_path / "artifacts/run.yaml")
        snakemake(tmp_path, "-j2", "--configfile", run, "-R", "fetch_outcome", "--", "artifacts/mock_eval.json")
    whole = json.loads((tmp_path / "artifacts/mock_eval.json").read_text())
    assert (tmp_path / "artifacts/mock_trade.json").read_bytes() == trade
    assert json.loads(trade)["simulated"] is False
    assert json.loads(trade)["decision"]["entry_time"] == iso(now)
    # four whole bars, and a fifth that was still open
    assert early["evaluated_at"] == iso(now + 4 * MINUTE)
    assert whole["evaluated_at"] == iso(now + HORIZON * MINUTE)
    assert not whole["was_partial_window"]
    assert len(pd.read_parquet(tmp_path / "data/outcome/BTCUSDT.parquet")) == HORIZON
