"""`make decide`, `make settle` and `snakemake ledger_verify`, really run: on replay, at times that are asked for."""

import json
import shlex
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from market.candles import COLUMNS
from market.intervals import MINUTE, iso, parse_time
from market.simulated import Simulated
from support.engines import call
from support.notified import Notified
from support.workflow import ROOT, planned, snakemake

TRAINED = parse_time("2024-05-31T12:00:00Z")
BARS, HORIZON, AFTER = 5000, 12, 60
SECRET = "t0ps3cret"
CONFIG = ["exchange={id: replay, folder: candles}", "symbols=[BTCUSDT]", "members=[random_walk, lhar_fhs]"]
CONFIG += ["folds={count: 1}", f"as_of={iso(TRAINED)}"]


def write_candles(folder: Path, poisoned_from: int = TRAINED + AFTER * MINUTE) -> None:
    """A file of candles up to an hour after training; those from a time on are others, if it is before the end."""
    end = TRAINED + AFTER * MINUTE
    market = Simulated(7, end)
    rows = np.array(market.fetch_ohlcv("BTC/USDT", "1m", end - BARS * MINUTE, BARS))
    later = rows[:, 0] >= poisoned_from
    rows[later, 1:5] *= np.linspace(1.1, 1.4, later.sum())[:, None]
    frame = pd.DataFrame(rows, columns=COLUMNS).astype({"timestamp": "int64"})
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / "BTCUSDT-1m.parquet", index=False)


def words(folder: Path, *stages: str) -> list[str]:
    """A call of ./exec.sh with `folder` as the working directory."""
    return [str(ROOT / "exec.sh"), *stages, "--", "--directory", str(folder)]


def at(bars: int) -> str:
    """The time so many bars after training."""
    return iso(TRAINED + bars * MINUTE)


def entries(folder: Path) -> dict[str, bytes]:
    """The files of the ledger but its settlements."""
    ledger = folder / "artifacts" / "ledger"
    files = [path for path in ledger.rglob("*") if path.is_file() and path.name != ".lock"]
    named = {str(path.relative_to(ledger)): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if not name.startswith("settlements")}


@pytest.fixture(scope="module")
def server() -> Iterator[Notified]:
    with Notified() as running:
        yield running


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory, server: Notified) -> Path:
    """A run that was trained, and decided once, ten bars after its training; beside it the same on other candles from
    then on."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    folder.mkdir()
    write_candles(folder / "candles")
    call([*words(folder, "--eval", "--consensus", "--configfile", "config/tiny.yaml"), "--config", *CONFIG])
    other = Path(shutil.copytree(folder, folder.with_name("other")))
    write_candles(other / "candles", poisoned_from=TRAINED + 10 * MINUTE)
    call(words(folder, "--decide", "--as-of", at(10)), FORECAST_NOTIFY=server.address(SECRET))
    return folder


def test_make_calls_it(decided: Path) -> None:
    for target in ("decide", "settle"):
        recipe = call(["make", "--no-print-directory", "-n", target, f"ARTIFACTS={decided}/artifacts"]).stdout
        assert shlex.split(recipe)[:2] == ["./exec.sh", f"--{target}"]


def test_the_models_stay_and_a_poisoned_future_changes_no_byte(decided: Path) -> None:
    other = decided.with_name("other")
    trained = {path: path.stat().st_mtime_ns for path in other.rglob("*train*") if path.is_file()}
    done = call(words(other, "--decide", "--as-of", at(10)))
    jobs = planned(done.stdout + done.stderr)
    assert jobs["as_of"] == jobs["fetch_candles"] == jobs["consensus"] == jobs["ledger_append"] == 1
    assert "evaluate" not in jobs
    assert trained == {path: path.stat().st_mtime_ns for path in other.rglob("*train*") if path.is_file()}
    assert len(entries(decided)) > 5
    assert entries(other) == entries(decided)


def test_a_failed_gate_and_a_failed_run_are_notified_by_a_secret_address(decided: Path, server: Notified) -> None:
    assert server.titles() == [f"gate skill failed: BTCUSDT at {at(10)}"]
    again = words(decided, "--decide", "--as-of", "2030-01-01T00:00:00Z")
    failed = call(again, check=False, FORECAST_NOTIFY=server.address(SECRET))
    assert failed.returncode == 1
    title, text = server.messages[-1]
    assert title == f"the run in {decided} failed"
    assert text.startswith("as_of: as_of: 2030-01-01T00:00:00Z is in the future")
    assert SECRET not in failed.stdout + failed.stderr
    files = [path for path in decided.rglob("*") if path.is_file()]
    assert any(".snakemake/metadata" in str(path) for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_two_at_once_do_not_disturb_each_other(decided: Path) -> None:
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: call(words(decided, "--decide", "--as-of", at(20)), check=False), range(2)))
    for one in both:
        assert one.returncode == 0 or one.stderr.count("locked by another run; wait until it ends") == 1
        assert "Traceback" not in one.stderr
    assert 0 in [one.returncode for one in both]
    snakemake(decided, "-j1", "ledger_verify")


def test_settled_verified_and_edited(decided: Path) -> None:
    call(words(decided, "--settle"))
    table = pd.read_csv(decided / "artifacts" / "ledger.csv")
    assert set(table["status"]) == {"complete"}
    assert set(table["member"]) == {"ensemble", "random_walk", "lhar_fhs"}
    assert (decided / "artifacts" / "plots" / "ledger.png").stat().st_size > 10_000
    done = snakemake(decided, "-j1", "ledger_verify")
    head = json.loads((decided / "artifacts/ledger/head.json").read_text())["head"]
    assert f"head {head}" in done.stdout + done.stderr
    path = decided / "artifacts" / "ledger" / at(10).replace(":", "") / "BTCUSDT-path.csv"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2", 1))
    refused = snakemake(decided, "-j1", "ledger_verify", check=False)
    path.write_bytes(content)
    assert refused.returncode == 1
    told = f"artifacts/ledger/{path.parent.name}/{path.name}: was changed after it was sealed"
    assert f"ledger_verify: {told}" in refused.stdout + refused.stderr


def test_what_a_decision_cannot_change_is_refused(decided: Path, tmp_path: Path) -> None:
    refused = call(words(decided, "--decide", "--epochs", "7", "--cons-cash", "5"), check=False)
    assert refused.stderr.endswith(
        "argument --decide: forecasts by the models as they are, and tft.epochs would be another; leave it out, or run "
        "the other stages with it first\n"
    )
    missing = call(words(tmp_path, "--decide"), check=False)
    assert "argument --decide: artifacts/evaluation.json is missing" in missing.stderr
    assert (
        "argument --settle: artifacts/ledger/head.json is missing"
        in call(words(tmp_path, "--settle"), check=False).stderr
    )
