"""The exchange seam and its three scripts, against real ccxt on a loopback server, the embedded market and a folder."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt
import numpy as np
import pytest

from as_of import as_of
from common.errors import UserError
from fetch_candles import fetch_candles
from fetch_outcome import fetch_outcome
from market.candles import read_candles
from market.exchange import check_interval, clock, fetch_closed_rows, fetch_rows, open_exchange, resolve_symbols
from market.intervals import MINUTE, iso, parse_time
from market.replay import read_rows
from support.binance_server import BinanceServer, kline, market

START = 1_704_067_200_000  # 2024-01-01
BARS = 2600  # more than two of Binance's pages
NOW = START + BARS * MINUTE - 20_000  # the last bar is open
DATA_END = "2021-03-01T00:00:00Z"


def walk(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(random.normal(0, 0.05, BARS)), 2)
    opened = np.append(100, close[:-1])
    opens = START + np.arange(BARS) * MINUTE
    volume = np.round(random.uniform(1, 2, BARS), 3)
    return np.stack([opens, opened, np.maximum(opened, close), np.minimum(opened, close), close, volume], axis=1)


@pytest.fixture
def server() -> Iterator[BinanceServer]:
    with BinanceServer({"BTCUSDT": walk(1), "ETHUSDT": walk(2)}, "1m", NOW) as running:
        yield running


def section(**given: Any) -> dict[str, Any]:
    """The config's section `exchange`."""
    return {"id": "simulated", "folder": None, "options": {}, "seed": 7, "data_end": DATA_END, **given}


def live(server: BinanceServer) -> dict[str, Any]:
    return section(id="binance", options=server.options)


def cutoff_file(folder: Path, server: BinanceServer, moment: int) -> str:
    as_of(str(folder / "cutoff.json"), live(server), ["BTC/USDT"], "1m", 60, iso(moment), None)
    return str(folder / "cutoff.json")


def settled(folder: Path, exchange: dict[str, Any], cutoff: str, horizon: int = 60) -> tuple[Any, dict[str, Any]]:
    fetch_outcome(str(folder / "s.parquet"), str(folder / "s.json"), cutoff, exchange, "BTC/USDT", "1m", horizon, 3)
    return read_candles(folder / "s.parquet", "1m"), json.loads((folder / "s.json").read_text())


# --- the server answers as Binance does ---


def test_the_server_answers_in_the_recorded_shapes(shared_data: Path, server: BinanceServer) -> None:
    recorded = json.loads((shared_data / "exchange/binance_api_v3_klines_1m_20241116.json").read_text())
    rows = read_rows(shared_data / "exchange/binance_api_v3_klines_1m_20241116.json")
    for bar, row in zip(recorded, rows, strict=True):
        made = kline(row, MINUTE)
        assert made[:7] == bar[:7] and [type(value) for value in made] == [type(value) for value in bar]
    info = json.loads((shared_data / "exchange/binance_api_v3_exchangeInfo_20240908.json").read_text())
    assert server.answer("/api/v3/exchangeInfo", {}).keys() == info.keys()
    assert market("BTCUSDT").keys() == info["symbols"][0].keys()


def test_the_server_pages_as_binance_does(server: BinanceServer) -> None:
    def times(**query: Any) -> list[int]:
        asked = {"symbol": "BTCUSDT", "interval": "1m", **{name: str(value) for name, value in query.items()}}
        return [bar[0] for bar in server.answer("/api/v3/klines", asked)]

    last = START + (BARS - 1) * MINUTE
    assert times()[-1] == last and len(times()) == 500
    assert len(times(limit=5000)) == 1000
    assert times(startTime=START + 1, limit=2) == [START + MINUTE, START + 2 * MINUTE]
    assert times(endTime=START + MINUTE) == [START, START + MINUTE]
    assert times(startTime=last + 1) == []


# --- ccxt, for real ---


def test_binance_gives_exactly_the_window_in_three_pages(server: BinanceServer) -> None:
    exchange = open_exchange(live(server), ["BTC/USDT"], "1m")
    rows = fetch_rows(exchange, "BTC/USDT", "1m", START + 10 * MINUTE, START + 2500 * MINUTE)
    np.testing.assert_array_equal(rows, walk(1)[10:2500])
    assert len(server.paths("klines")) == 3
    assert len(server.paths("exchangeInfo")) == 1


def test_absent_minutes_stay_absent(server: BinanceServer) -> None:
    server.candles = {"BTCUSDT": np.delete(walk(1), [*range(3), 999, *range(1000, 2300)], axis=0)}
    rows = fetch_rows(open_exchange(live(server), [], "1m"), "BTC/USDT", "1m", START, START + 2500 * MINUTE)
    np.testing.assert_array_equal(rows, np.delete(walk(1)[:2500], [*range(3), 999, *range(1000, 2300)], axis=0))


@pytest.mark.parametrize("window", [1000, 999])  # exchanges differ by one
def test_empty_pages_are_jumped_over_while_later_bars_exist(server: BinanceServer, window: int) -> None:
    absent = [*range(window), *range(1200, 2450)]
    server.candles, server.window = {"BTCUSDT": np.delete(walk(1), absent, axis=0)}, window
    rows = fetch_rows(open_exchange(live(server), [], "1m"), "BTC/USDT", "1m", START, START + 2500 * MINUTE)
    np.testing.assert_array_equal(rows, np.delete(walk(1)[:2500], absent, axis=0))
    assert len(server.paths("klines")) == 5  # two of them empty, and a look for later bars


def test_nothing_is_asked_for_beyond_the_newest_bar(server: BinanceServer) -> None:
    exchange = open_exchange(live(server), [], "1m")
    assert len(fetch_rows(exchange, "BTC/USDT", "1m", START + BARS * MINUTE, START + 100 * BARS * MINUTE)) == 0
    assert len(server.paths("klines")) == 2


def test_a_passing_failure_is_tried_again(server: BinanceServer, capsys: pytest.CaptureFixture[str]) -> None:
    exchange = open_exchange(live(server), ["BTC/USDT"], "1m")
    exchange.load_markets()
    server.failures = [503, 503]
    rows = fetch_rows(exchange, "BTC/USDT", "1m", START, START + 100 * MINUTE)
    assert len(rows) == 100
    assert len(server.paths("klines")) == 3
    told = capsys.readouterr().err.splitlines()
    assert [line.partition("; ")[2] for line in told] == ["trying again in 0.25 s", "trying again in 0.5 s"]


def test_a_refusal_is_final(server: BinanceServer) -> None:
    server.interval = "5m"  # so it refuses 1m
    with pytest.raises(UserError, match=r"exchange: binance refuses \(.*Invalid interval"):
        fetch_rows(open_exchange(live(server), [], "1m"), "BTC/USDT", "1m", START, START + MINUTE)
    assert len(server.paths("klines")) == 1


def test_a_server_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with BinanceServer({}, "1m", NOW) as server:
        options = live(server)
    with pytest.raises(
        UserError, match="exchange: binance does not answer after 5 tries .*check the network"
    ) as caught:
        as_of(str(tmp_path / "cutoff.json"), options, ["BTC/USDT"], "1m", 60, "latest", None)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_the_clock_is_the_exchanges(server: BinanceServer) -> None:
    assert clock(open_exchange(live(server), [], "1m")) == NOW
    assert clock(open_exchange(section(), [], "1m")) == parse_time(DATA_END)
    # Bitstamp tells no time
    assert abs(clock(open_exchange(section(id="bitstamp"), [], "1m")) - 1000 * time.time()) < 60_000


def test_open_bars_are_left_out_without_a_clock(server: BinanceServer) -> None:
    exchange = open_exchange(live(server), [], "1m")
    start = START + (BARS - 40) * MINUTE
    np.testing.assert_array_equal(
        fetch_closed_rows(exchange, "BTC/USDT", "1m", start, start + 60 * MINUTE), walk(1)[-40:-1]
    )
    np.testing.assert_array_equal(
        fetch_closed_rows(exchange, "BTC/USDT", "1m", start, start + 30 * MINUTE), walk(1)[-40:-10]
    )
    assert len(fetch_closed_rows(exchange, "BTC/USDT", "1m", START + BARS * MINUTE, START + 2 * BARS * MINUTE)) == 0
    # the open bar alone
    last = START + (BARS - 1) * MINUTE
    assert len(fetch_closed_rows(exchange, "BTC/USDT", "1m", last, last + 60 * MINUTE)) == 0


def test_the_last_bar_of_a_window_is_closed_by_any_later_one(server: BinanceServer) -> None:
    exchange = open_exchange(live(server), [], "1m")
    server.candles = {"BTCUSDT": np.delete(walk(1), [*range(100, 110), *range(2000, 2599)], axis=0)}
    for last, length in ((99, 100), (1999, 60)):  # nobody traded in the bars after them
        start, end = START + (last + 1 - length) * MINUTE, START + (last + 1) * MINUTE
        rows = fetch_closed_rows(exchange, "BTC/USDT", "1m", start, end)
        np.testing.assert_array_equal(rows, walk(1)[last + 1 - length : last + 1])
    # the window's end is beyond the last bar but one, which a later bar closes; the later one is open
    rows = fetch_closed_rows(exchange, "BTC/USDT", "1m", START + 1990 * MINUTE, START + BARS * MINUTE)
    np.testing.assert_array_equal(rows, walk(1)[1990:2000])


def test_a_bar_that_closes_while_it_is_fetched_is_not_taken_half(server: BinanceServer) -> None:
    class Passing(BinanceServer):
        """A minute passes between any two answers with bars; a bar's last price comes at its very end."""

        def answer(self, path: str, query: Any) -> Any:
            reply = super().answer(path, query)
            if path.endswith("/klines"):
                if reply and reply[-1][0] + MINUTE > self.now:
                    reply[-1][4] = "1.00000000"
                self.now += MINUTE
            return reply

    with Passing({"BTCUSDT": walk(1)}, "1m", START + 1000 * MINUTE - 20_000) as passing:
        exchange = open_exchange(live(passing), [], "1m")
        # the first page ends at the bar that is open
        rows = fetch_closed_rows(exchange, "BTC/USDT", "1m", START, START + 1010 * MINUTE)
    assert len(rows) >= 999
    np.testing.assert_array_equal(rows, walk(1)[: len(rows)])


@pytest.mark.parametrize(
    ("endpoint", "reply"),
    [
        ("time", {}),
        ("time", None),
        ("klines", None),
        ("klines", {"bars": 5}),
        ("klines", [None]),
        ("klines", [[]]),
        ("klines", [[None, "1", "1", "1", "1", "1"]]),
        ("klines", [["x", "y"]]),
    ],
)
def test_a_reply_of_an_unforeseen_shape_is_one_line(endpoint: str, reply: Any) -> None:
    class Odd(BinanceServer):
        def answer(self, path: str, query: Any) -> Any:
            return reply if path.endswith(f"/{endpoint}") else super().answer(path, query)

    with Odd({"BTCUSDT": walk(1)}, "1m", NOW) as odd, pytest.raises(UserError, match="^exchange: ") as caught:
        exchange = open_exchange(live(odd), [], "1m")
        clock(exchange)
        fetch_rows(exchange, "BTC/USDT", "1m", START, START + MINUTE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", [None, 5, [[START, 1, 1, 1, 1]], [[START, 1, 1]] * 2, [[START, 1], [START]], [[]]])
def test_rows_of_a_wrong_width_are_one_line(server: BinanceServer, rows: Any) -> None:
    class Odd(ccxt.binance):
        def fetch_ohlcv(self, *asked: Any) -> Any:
            return rows

    with pytest.raises(UserError, match="exchange: ccxt fails on binance .*check exchange.options"):
        fetch_rows(Odd(server.options), "BTC/USDT", "1m", START, START + MINUTE)


# --- what the user may ask for ---


def test_an_unknown_exchange_is_named_with_its_like() -> None:
    with pytest.raises(UserError, match=r"exchange\.id: there is no exchange 'binanse'; did you mean binance"):
        open_exchange(section(id="binanse"), [], "1m")


@pytest.mark.parametrize("options", [{"options": 5}, {"headers": 5}, {"timeout": "x"}, {"urls": 5}])
def test_options_that_ccxt_cannot_use_are_one_line(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="check (the )?exchange|cannot be made with them"):
        resolve_symbols(open_exchange(section(id="binance", options=options), [], "1m"), ["BTC/USDT"])


@pytest.mark.parametrize("options", [{"apiKey": "x"}, {"options": {"secret": "x"}}, {"a": {"b": {"privateKey": "x"}}}])
def test_a_key_in_the_config_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"exchange\.options\..*: keys do not go into a config; set EXCHANGE_API_KEY"):
        open_exchange(section(id="binance", options=options), [], "1m")


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_API_KEY", "key")
    monkeypatch.setenv("EXCHANGE_SECRET", "hush")
    exchange: Any = open_exchange(section(id="binance"), [], "1m")
    assert (exchange.apiKey, exchange.secret) == ("key", "hush")


def test_symbols_are_found_however_they_are_written() -> None:
    exchange: Any = open_exchange(section(id="kucoin"), [], "1m")
    names = {"BTC-USDT": "BTC/USDT", "XBTUSDTM": "BTC/USDT:USDT", "ETH-USDT": "ETH/USDT"}
    exchange.set_markets([{"id": name, "symbol": symbol, "spot": ":" not in symbol} for name, symbol in names.items()])
    assert resolve_symbols(exchange, ["btcusdt", "ETH/USDT"]) == {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT"}
    assert resolve_symbols(exchange, ["BTC/USDT:USDT"]) == {"BTCUSDT-USDT": "BTC/USDT:USDT"}
    assert resolve_symbols(exchange, ["XBTUSDTM"]) == {"XBTUSDTM": "BTC/USDT:USDT"}


def test_an_unknown_symbol_is_named_with_its_like(server: BinanceServer) -> None:
    exchange = open_exchange(live(server), [], "1m")
    assert resolve_symbols(exchange, ["BTCUSDT"]) == {"BTCUSDT": "BTC/USDT"}
    with pytest.raises(UserError, match="symbols: BTC/USD is not on binance; did you mean BTC/USDT"):
        resolve_symbols(exchange, ["ETH/USDT", "BTC/USD"])
    with pytest.raises(UserError, match="symbols: QQQ/XYZ is not on binance; it has BTC/USDT, ETH/USDT$"):
        resolve_symbols(exchange, ["QQQ/XYZ"])


def test_an_interval_that_the_exchange_lacks_is_named(server: BinanceServer) -> None:
    for name in ("1m", "5m", "15m", "1h", "4h", "1d"):
        check_interval(open_exchange(live(server), [], "1m"), name)
    with pytest.raises(UserError, match="interval: 7m is not possible on binance; it may be one of 1m, 3m, .* 1d$"):
        check_interval(open_exchange(live(server), [], "1m"), "7m")
    with pytest.raises(UserError, match="interval: 1w is not possible on binance"):  # though Binance has it
        check_interval(open_exchange(live(server), [], "1m"), "1w")
    with pytest.raises(UserError, match="interval: 'x' is not an interval"):
        check_interval(open_exchange(section(), [], "1m"), "x")


# --- the scripts ---


def test_pins_of_a_live_exchange(tmp_path: Path, server: BinanceServer) -> None:
    train, cutoff = str(tmp_path / "train.json"), str(tmp_path / "live.json")
    as_of(train, live(server), ["BTCUSDT", "ETH/USDT"], "1m", 60, "latest", None)
    assert json.loads(Path(train).read_text()) == {
        "as_of": START + (BARS - 1) * MINUTE,
        "as_of_iso": iso(START + (BARS - 1) * MINUTE),
        "exchange": "binance",
        "simulated": False,
        "symbols": {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT"},
    }
    as_of(cutoff, live(server), ["BTCUSDT"], "1m", 60, "2024-01-01T01:00:30Z", None)
    assert json.loads(Path(cutoff).read_text())["as_of"] == START + 60 * MINUTE
    as_of(cutoff, live(server), ["BTCUSDT"], "1m", 60, "2024-01-01T01:00:30Z", train)
    assert json.loads(Path(cutoff).read_text())["as_of"] == START + (BARS - 1) * MINUTE


def test_a_pin_is_never_in_the_future(tmp_path: Path, server: BinanceServer) -> None:
    with pytest.raises(UserError, match=r"as_of: 2024-01-02T19:20:00Z is to come: on binance it is 2024-01-02T19:19"):
        as_of(str(tmp_path / "cutoff.json"), live(server), ["BTC/USDT"], "1m", 60, "2024-01-02T19:20:00Z", None)
    assert not list(tmp_path.iterdir())


def test_latest_on_a_tape_leaves_a_horizon(tmp_path: Path) -> None:
    as_of(str(tmp_path / "cutoff.json"), section(), ["BTCUSDT"], "15m", 8, "latest", None)
    cutoff = json.loads((tmp_path / "cutoff.json").read_text())
    assert (cutoff["as_of_iso"], cutoff["simulated"]) == ("2021-02-28T22:00:00Z", True)


def test_candles_up_to_the_pin(tmp_path: Path, server: BinanceServer) -> None:
    server.candles = {"BTCUSDT": np.delete(walk(1), [500, *range(700, 710)], axis=0)}
    cutoff = cutoff_file(tmp_path, server, START + 1500 * MINUTE)
    out, quality = str(tmp_path / "BTCUSDT.parquet"), str(tmp_path / "BTCUSDT.quality.json")
    fetch_candles(out, quality, cutoff, live(server), "BTCUSDT", "1m", 1200, 3, 0.1, 0.01)
    candles, record = read_candles(out, "1m"), json.loads(Path(quality).read_text())
    expected = np.delete(walk(1), range(700, 710), axis=0)[300:1490]
    expected[200, 1:] = [*[walk(1)[499, 4]] * 4, 0]
    np.testing.assert_array_equal(candles.to_numpy(), expected)
    assert (record["expected"], record["missing"], record["filled"]) == (1200, 10, 1)


def test_too_little_history_is_refused_and_earlier_candles_stay(tmp_path: Path, server: BinanceServer) -> None:
    cutoff = cutoff_file(tmp_path, server, START + 100 * MINUTE)
    (tmp_path / "BTCUSDT.parquet").write_text("earlier")
    with pytest.raises(UserError, match="BTCUSDT 1m: 100 of 200 bars .* are missing"):
        fetch_candles(
            str(tmp_path / "BTCUSDT.parquet"), "q.json", cutoff, live(server), "BTCUSDT", "1m", 200, 3, 0.1, 0.01
        )
    assert (tmp_path / "BTCUSDT.parquet").read_text() == "earlier"


def test_settling_live_takes_what_has_come(tmp_path: Path, server: BinanceServer) -> None:
    start = START + (BARS - 41) * MINUTE
    cutoff = cutoff_file(tmp_path, server, start)
    candles, quality = settled(tmp_path, live(server), cutoff)
    np.testing.assert_array_equal(candles.to_numpy(), walk(1)[-41:-1])
    assert (quality["missing"], quality["bars"], quality["end"]) == (0, 40, iso(START + (BARS - 1) * MINUTE))
    server.now = START + (BARS - 30) * MINUTE - 1
    assert len(settled(tmp_path, live(server), cutoff)[0]) == 10
    server.now = start + 1  # the first bar has just opened
    candles, quality = settled(tmp_path, live(server), cutoff)
    assert candles.empty and (quality["bars"], quality["expected"]) == (0, 0)


def test_settling_a_tape_is_complete(tmp_path: Path) -> None:
    cutoff = str(tmp_path / "cutoff.json")
    as_of(cutoff, section(), ["BTC/USDT"], "1m", 60, "latest", None)
    candles, _ = settled(tmp_path, section(), cutoff)
    assert len(candles) == 60
    assert candles["timestamp"].iloc[0] == parse_time(DATA_END) - 60 * MINUTE


def test_the_simulated_market_end_to_end(tmp_path: Path) -> None:
    cutoff, out, quality = (str(tmp_path / name) for name in ("cutoff.json", "c.parquet", "c.json"))
    as_of(cutoff, section(), ["ETHUSDT"], "5m", 12, "2021-02-01", None)
    fetch_candles(out, quality, cutoff, section(), "ETHUSDT", "5m", 3000, 3, 0, 0)
    candles = read_candles(out, "5m")
    assert len(candles) == 3000 and candles["timestamp"].iloc[-1] == parse_time("2021-01-31T23:55:00Z")


def test_real_candles_end_to_end(tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exchange = section(id="replay", folder=str(shared_data / "candles/binance-spot-1m-2023"))
    cutoff, out, quality = (str(tmp_path / name) for name in ("cutoff.json", "c.parquet", "c.json"))
    as_of(cutoff, exchange, ["BTCUSDT", "ETH/USDT", "SOLUSDT"], "1m", 60, "latest", None)
    found = json.loads(Path(cutoff).read_text())
    assert (found["as_of_iso"], found["symbols"]["ETHUSDT"]) == ("2023-05-01T20:02:00Z", "ETH/USDT")
    fetch_candles(out, quality, cutoff, exchange, "SOLUSDT", "1m", 64_800, 3, 0.1, 0.01)
    assert (len(read_candles(out, "1m")), json.loads(Path(quality).read_text())["missing"]) == (64_720, 80)
    assert "SOLUSDT 1m: 64720 bars to 2023-05-01T20:02:00Z; 80 missing, 1 frozen spans" in capsys.readouterr().err
    assert len(settled(tmp_path, exchange, cutoff)[0]) == 60
