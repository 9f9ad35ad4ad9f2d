"""The rules as_of, fetch_candles and fetch_outcome: on a loopback server, the simulated market and a folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from as_of import as_of
from common.errors import UserError
from fetch_candles import fetch_candles
from fetch_outcome import fetch_outcome
from market.candles import read_candles
from market.intervals import MINUTE, iso, parse_time
from support.exchanges import BARS, DATA_END, START, exchange_settings, live_settings, serve_walks, walk
from support.loopback.server import LoopbackExchange

LIMITS = {"fill": 3, "max_missing": 0.1, "max_conflicting": 0.01}


@pytest.fixture
def server() -> Iterator[LoopbackExchange]:
    with serve_walks() as running:
        yield running


def cutoff_file(folder: Path, server: LoopbackExchange, time: int) -> str:
    """A cutoff at that time, as the rule writes it; its path."""
    as_of(str(folder / "cutoff.json"), live_settings(server), ["BTC/USDT"], "1m", 60, iso(time), None)
    return str(folder / "cutoff.json")


def outcome(folder: Path, settings: dict[str, Any], cutoff: str) -> tuple[Any, dict[str, Any]]:
    """Candles and quality record of the 60 minutes after the cutoff."""
    fetch_outcome(
        str(folder / "s.parquet"), str(folder / "s.json"), cutoff, settings, str(folder), "BTC/USDT", "1m", 60, 3
    )
    return read_candles(folder / "s.parquet", "1m"), json.loads((folder / "s.json").read_text())


def test_cutoffs_of_a_live_exchange(tmp_path: Path, server: LoopbackExchange) -> None:
    train, cutoff = str(tmp_path / "train.json"), str(tmp_path / "live.json")
    as_of(train, live_settings(server), ["BTCUSDT", "ETH/USDT"], "1m", 60, "latest", None)
    found = json.loads(Path(train).read_text())
    markets = found.pop("markets")
    assert found == {
        "as_of": START + (BARS - 1) * MINUTE,
        "as_of_iso": iso(START + (BARS - 1) * MINUTE),
        "exchange": "binance",
        "simulated": False,
        "latest": True,
        "symbols": {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT"},
    }
    assert {name: market["symbol"] for name, market in markets.items()} == {
        "BTC/USDT": "BTC/USDT",
        "ETH/USDT": "ETH/USDT",
    }
    asked = len(server.asked("markets"))
    as_of(cutoff, live_settings(server), ["BTCUSDT"], "1m", 60, "2024-01-01T01:00:30Z", None)
    assert json.loads(Path(cutoff).read_text())["as_of"] == START + 60 * MINUTE
    as_of(cutoff, live_settings(server), ["BTCUSDT"], "1m", 60, "2024-01-01T01:00:30Z", train)
    assert json.loads(Path(cutoff).read_text())["as_of"] == START + (BARS - 1) * MINUTE
    # the markets are those of the training's cutoff
    assert len(server.asked("markets")) == asked + 1


def test_a_cutoff_is_never_in_the_future(tmp_path: Path, server: LoopbackExchange) -> None:
    with pytest.raises(
        UserError,
        match=r"2024-01-02T19:20:00Z is in the future: the last closed candle on binance ends at 2024-01-02T19:19",
    ):
        as_of(
            str(tmp_path / "cutoff.json"), live_settings(server), ["BTC/USDT"], "1m", 60, "2024-01-02T19:20:00Z", None
        )
    assert not list(tmp_path.iterdir())


def test_a_symbol_that_is_not_traded_has_no_latest_cutoff(tmp_path: Path, server: LoopbackExchange) -> None:
    server.tape.halted = {"BTC/USDT"}
    out = tmp_path / "latest.json"
    with pytest.raises(UserError, match=r"symbols: BTC/USDT is not traded on binance \(halted, delisted or renamed\)"):
        as_of(str(out), live_settings(server), ["BTCUSDT"], "1m", 60, "latest", None)
    as_of(str(out), live_settings(server), ["BTCUSDT"], "1m", 60, iso(START + 90 * MINUTE), None)
    assert json.loads(out.read_text())["as_of_iso"] == iso(START + 90 * MINUTE)


def test_latest_on_historical_data_leaves_a_horizon(tmp_path: Path) -> None:
    as_of(str(tmp_path / "cutoff.json"), exchange_settings(), ["BTCUSDT"], "15m", 8, "latest", None)
    cutoff = json.loads((tmp_path / "cutoff.json").read_text())
    assert (cutoff["as_of_iso"], cutoff["simulated"]) == ("2021-02-28T22:00:00Z", True)


def test_candles_up_to_the_cutoff(tmp_path: Path, server: LoopbackExchange) -> None:
    server.tape.candles = {"BTC/USDT": np.delete(walk(1), [500, *range(700, 710)], axis=0)}
    cutoff = cutoff_file(tmp_path, server, START + 1500 * MINUTE)
    out, quality = str(tmp_path / "BTCUSDT.parquet"), str(tmp_path / "BTCUSDT.quality.json")
    fetch_candles(out, quality, cutoff, live_settings(server), str(tmp_path), "BTCUSDT", "1m", 1200, LIMITS)
    candles, record = read_candles(out, "1m"), json.loads(Path(quality).read_text())
    expected = np.delete(walk(1), range(700, 710), axis=0)[300:1490]
    expected[200, 1:] = [*[walk(1)[499, 4]] * 4, 0]
    np.testing.assert_array_equal(candles.to_numpy(), expected)
    assert (record["expected"], record["missing"], record["filled"]) == (1200, 10, 1)


def test_a_decision_s_candles_go_back_beyond_its_training(tmp_path: Path, server: LoopbackExchange) -> None:
    (tmp_path / "train").mkdir()
    train = cutoff_file(tmp_path / "train", server, START + 900 * MINUTE)
    live = cutoff_file(tmp_path, server, START + 960 * MINUTE)
    out, quality = str(tmp_path / "s.parquet"), str(tmp_path / "q.json")
    fetch_candles(out, quality, live, live_settings(server), str(tmp_path), "BTCUSDT", "1m", 200, LIMITS, train)
    times = read_candles(out, "1m")["timestamp"].to_numpy()
    assert (times[0], times[-1]) == (START + 700 * MINUTE, START + 959 * MINUTE)


def test_too_little_history_is_refused_and_earlier_candles_stay(tmp_path: Path, server: LoopbackExchange) -> None:
    cutoff = cutoff_file(tmp_path, server, START + 100 * MINUTE)
    (tmp_path / "BTCUSDT.parquet").write_text("earlier")
    with pytest.raises(UserError, match="BTCUSDT 1m: 100 of 200 bars .* are missing"):
        fetch_candles(
            str(tmp_path / "BTCUSDT.parquet"),
            "q.json",
            cutoff,
            live_settings(server),
            str(tmp_path),
            "BTCUSDT",
            "1m",
            200,
            LIMITS,
        )
    assert (tmp_path / "BTCUSDT.parquet").read_text() == "earlier"


def test_the_outcome_on_a_live_exchange_is_what_has_closed(tmp_path: Path, server: LoopbackExchange) -> None:
    start = START + (BARS - 41) * MINUTE
    cutoff = cutoff_file(tmp_path, server, start)
    candles, quality = outcome(tmp_path, live_settings(server), cutoff)
    np.testing.assert_array_equal(candles.to_numpy(), walk(1)[-41:-1])
    assert (quality["missing"], quality["bars"], quality["end"]) == (0, 40, iso(START + (BARS - 1) * MINUTE))
    server.tape.now = START + (BARS - 30) * MINUTE - 1
    assert len(outcome(tmp_path, live_settings(server), cutoff)[0]) == 10
    server.tape.now = start + 1  # the first bar has just opened
    candles, quality = outcome(tmp_path, live_settings(server), cutoff)
    assert candles.empty and (quality["bars"], quality["expected"]) == (0, 0)


def test_the_outcome_on_historical_data_is_complete(tmp_path: Path) -> None:
    cutoff = str(tmp_path / "cutoff.json")
    as_of(cutoff, exchange_settings(), ["BTC/USDT"], "1m", 60, "latest", None)
    candles, _ = outcome(tmp_path, exchange_settings(), cutoff)
    assert len(candles) == 60
    assert candles["timestamp"].iloc[0] == parse_time(DATA_END) - 60 * MINUTE


def test_the_simulated_market_end_to_end(tmp_path: Path) -> None:
    cutoff, out, quality = (str(tmp_path / name) for name in ("cutoff.json", "c.parquet", "c.json"))
    as_of(cutoff, exchange_settings(), ["ETHUSDT"], "5m", 12, "2021-02-01", None)
    fetch_candles(
        out,
        quality,
        cutoff,
        exchange_settings(),
        str(tmp_path),
        "ETHUSDT",
        "5m",
        3000,
        LIMITS | {"max_missing": 0, "max_conflicting": 0},
    )
    candles = read_candles(out, "5m")
    assert len(candles) == 3000 and candles["timestamp"].iloc[-1] == parse_time("2021-01-31T23:55:00Z")


def test_real_candles_end_to_end(tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = exchange_settings(id="replay", folder=str(shared_data / "candles/binance-spot-1m-2023"))
    cutoff, out, quality = (str(tmp_path / name) for name in ("cutoff.json", "c.parquet", "c.json"))
    as_of(cutoff, settings, ["BTCUSDT", "ETH/USDT", "SOLUSDT"], "1m", 60, "latest", None)
    found = json.loads(Path(cutoff).read_text())
    assert (found["as_of_iso"], found["symbols"]["ETHUSDT"]) == ("2023-05-01T20:02:00Z", "ETH/USDT")
    fetch_candles(out, quality, cutoff, settings, str(tmp_path), "SOLUSDT", "1m", 64_800, LIMITS)
    assert (len(read_candles(out, "1m")), json.loads(Path(quality).read_text())["missing"]) == (64_720, 80)
    assert "SOLUSDT 1m: 64720 bars to 2023-05-01T20:02:00Z; 80 missing, 1 frozen spans" in capsys.readouterr().err
    assert len(outcome(tmp_path, settings, cutoff)[0]) == 60


def test_quiet_minutes_at_the_end_of_the_horizon_do_not_leave_it_open(tmp_path: Path, server: LoopbackExchange) -> None:
    """No trades in the last two minutes; a later candle closes them."""
    start = START + (BARS - 100) * MINUTE
    server.tape.candles = {"BTC/USDT": np.delete(walk(1), [-42, -41], axis=0)}
    candles, quality = outcome(tmp_path, live_settings(server), cutoff_file(tmp_path, server, start))
    assert (len(candles), quality["filled"], quality["end"]) == (60, 2, iso(start + 60 * MINUTE))


def test_a_missing_last_candle_fails_the_fetch_and_the_next_run_has_it(
    tmp_path: Path, server: LoopbackExchange
) -> None:
    whole, end = server.tape.candles, START + (BARS - 1) * MINUTE
    cutoff, out = cutoff_file(tmp_path, server, end), tmp_path / "BTCUSDT.parquet"
    asked = str(out), str(tmp_path / "q.json"), cutoff, live_settings(server, grace=0), str(tmp_path)
    server.tape.candles = {"BTC/USDT": walk(1)[:-2]}
    with pytest.raises(UserError, match=r"BTCUSDT 1m: binance has no candle of .* yet, .*run again, .*make refresh"):
        fetch_candles(*asked, "BTCUSDT", "1m", 100, LIMITS)
    assert not out.exists()
    server.tape.candles = whole
    fetch_candles(*asked, "BTCUSDT", "1m", 100, LIMITS)
    np.testing.assert_array_equal(read_candles(out, "1m").to_numpy(), walk(1)[-101:-1])
    # a minute without trades, which a later candle closes, is filled
    server.tape.candles = {"BTC/USDT": np.delete(walk(1), -2, axis=0)}
    other = *asked[:4], str(tmp_path / "other")
    fetch_candles(*other, "BTCUSDT", "1m", 100, LIMITS)
    assert read_candles(out, "1m")["volume"].iloc[-1] == 0


def test_a_candle_revised_after_the_decision_is_on_record(
    tmp_path: Path, server: LoopbackExchange, capsys: pytest.CaptureFixture[str]
) -> None:
    start = START + (BARS - 70) * MINUTE
    cutoff = cutoff_file(tmp_path, server, start)
    fetch_candles(
        str(tmp_path / "c.parquet"), str(tmp_path / "q.json"), cutoff, live_settings(server), str(tmp_path), "BTCUSDT",
        "1m", 100, LIMITS,
    )  # fmt: skip
    revised = walk(1)
    revised[BARS - 71, 5] = 9
    server.tape.candles = {"BTC/USDT": revised}
    _, quality = outcome(tmp_path, live_settings(server), cutoff)
    assert [revision["time"] for revision in quality["revised"]] == [iso(start - MINUTE)]
    assert f"binance changed the candle of {iso(start - MINUTE)} after it was fetched" in capsys.readouterr().err
