"""Requests to an exchange, by real ccxt on a loopback server: pages, gaps, retries, malformed responses, symbols."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ccxt
import numpy as np
import pytest

from common.errors import UserError
from market.candle_files import read_rows
from market.exchange import open_exchange
from market.fetching import check_interval, clock, fetch_closed_rows, fetch_rows, resolve_symbols
from market.intervals import MINUTE, parse_time
from support.exchanges import BARS, DATA_END, NOW, START, exchange_settings, live_settings, serve_walks, walk
from support.loopback.dialects.binance import kline, symbol_info
from support.loopback.faults import Always, At, content, refused
from support.loopback.replies import Answer, Call, Reply
from support.loopback.server import LoopbackExchange
from support.loopback.tape import Tape


@pytest.fixture
def server() -> Iterator[LoopbackExchange]:
    with serve_walks() as running:
        yield running


def test_the_server_answers_in_the_recorded_shapes(shared_data: Path, server: LoopbackExchange) -> None:
    recorded = json.loads((shared_data / "exchange/binance_api_v3_klines_1m_20241116.json").read_text())
    rows = read_rows(shared_data / "exchange/binance_api_v3_klines_1m_20241116.json")
    for bar, row in zip(recorded, rows, strict=True):
        made = kline(row, MINUTE)
        assert made[:7] == bar[:7] and [type(value) for value in made] == [type(value) for value in bar]
    info = json.loads((shared_data / "exchange/binance_api_v3_exchangeInfo_20240908.json").read_text())
    assert server.dialect.respond("/api/v3/exchangeInfo", {}).keys() == info.keys()
    assert symbol_info("BTC/USDT").keys() == info["symbols"][0].keys()


def test_the_server_pages_as_binance_does(server: LoopbackExchange) -> None:
    def times(**query: Any) -> list[int]:
        asked = {"symbol": "BTCUSDT", "interval": "1m", **{name: str(value) for name, value in query.items()}}
        return [bar[0] for bar in server.dialect.respond("/api/v3/klines", asked)]

    last = START + (BARS - 1) * MINUTE
    assert times()[-1] == last and len(times()) == 500
    assert len(times(limit=5000)) == 1000
    assert times(startTime=START + 1, limit=2) == [START + MINUTE, START + 2 * MINUTE]
    assert times(endTime=START + MINUTE) == [START, START + MINUTE]
    assert times(startTime=last + 1) == []


def test_binance_gives_exactly_the_window_in_three_pages(server: LoopbackExchange) -> None:
    exchange = open_exchange(live_settings(server), ["BTC/USDT"], "1m")
    rows = fetch_rows(exchange, "BTC/USDT", "1m", START + 10 * MINUTE, START + 2500 * MINUTE)
    np.testing.assert_array_equal(rows, walk(1)[10:2500])
    assert len(server.asked("candles")) == 3
    assert len(server.asked("markets")) == 1


def test_absent_minutes_stay_absent(server: LoopbackExchange) -> None:
    server.tape.candles = {"BTC/USDT": np.delete(walk(1), [*range(3), 999, *range(1000, 2300)], axis=0)}
    rows = fetch_rows(open_exchange(live_settings(server), [], "1m"), "BTC/USDT", "1m", START, START + 2500 * MINUTE)
    np.testing.assert_array_equal(rows, np.delete(walk(1)[:2500], [*range(3), 999, *range(1000, 2300)], axis=0))


@pytest.mark.parametrize("window", [1000, 999])  # exchanges differ by one
def test_empty_pages_are_skipped_while_later_bars_exist(server: LoopbackExchange, window: int) -> None:
    absent = [*range(window), *range(1200, 2450)]
    server.tape.candles = {"BTC/USDT": np.delete(walk(1), absent, axis=0)}
    server.dialect.habits = replace(server.dialect.habits, window=window)
    rows = fetch_rows(open_exchange(live_settings(server), [], "1m"), "BTC/USDT", "1m", START, START + 2500 * MINUTE)
    np.testing.assert_array_equal(rows, np.delete(walk(1)[:2500], absent, axis=0))
    assert len(server.asked("candles")) == 5  # two of them empty, and a look for later bars


def test_nothing_is_asked_for_beyond_the_newest_bar(server: LoopbackExchange) -> None:
    exchange = open_exchange(live_settings(server), [], "1m")
    assert len(fetch_rows(exchange, "BTC/USDT", "1m", START + BARS * MINUTE, START + 100 * BARS * MINUTE)) == 0
    assert len(server.asked("candles")) == 2


def test_a_temporary_failure_is_retried_after_longer_and_longer_waits(
    server: LoopbackExchange, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange = open_exchange(live_settings(server), ["BTC/USDT"], "1m")
    exchange.load_markets()
    server.scripts = [At(dict.fromkeys(range(4), refused(503)))]
    rows = fetch_rows(exchange, "BTC/USDT", "1m", START, START + 100 * MINUTE)
    assert len(rows) == 100
    assert len(server.asked("candles")) == 5
    logged = capsys.readouterr().err.splitlines()
    assert [line.partition("; ")[2] for line in logged] == [f"retrying in {wait} s" for wait in (0.25, 0.5, 1, 2)]


def test_a_rejected_request_is_not_retried(server: LoopbackExchange) -> None:
    server.tape.interval = "5m"  # so it refuses 1m
    with pytest.raises(UserError, match=r"exchange: binance rejected the request \(.*Invalid interval"):
        fetch_rows(open_exchange(live_settings(server), [], "1m"), "BTC/USDT", "1m", START, START + MINUTE)
    assert len(server.asked("candles")) == 1


def test_an_unreachable_server_is_an_error_of_one_line() -> None:
    with LoopbackExchange("binance", Tape({}, "1m", NOW)) as server:
        exchange = open_exchange(live_settings(server), ["BTC/USDT"], "1m")
    message = r"exchange: request to binance failed after 5 attempts \(.*; check the network connection"
    with pytest.raises(UserError, match=message) as caught:
        resolve_symbols(exchange, ["BTC/USDT"])
    assert "\n" not in str(caught.value)


def test_the_clock_is_the_exchanges(server: LoopbackExchange) -> None:
    assert clock(open_exchange(live_settings(server), [], "1m")) == NOW
    assert clock(open_exchange(exchange_settings(), [], "1m")) == parse_time(DATA_END)
    # Bitstamp has no clock
    assert abs(clock(open_exchange(exchange_settings(id="bitstamp"), [], "1m")) - 1000 * time.time()) < 60_000


def test_open_bars_are_left_out_without_a_clock(server: LoopbackExchange) -> None:
    exchange = open_exchange(live_settings(server), [], "1m")
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


def test_the_last_bar_of_a_window_is_closed_by_any_later_one(server: LoopbackExchange) -> None:
    exchange = open_exchange(live_settings(server), [], "1m")
    server.tape.candles = {"BTC/USDT": np.delete(walk(1), [*range(100, 110), *range(2000, 2599)], axis=0)}
    for last, length in ((99, 100), (1999, 60)):  # no trades in the bars after them
        start, end = START + (last + 1 - length) * MINUTE, START + (last + 1) * MINUTE
        rows = fetch_closed_rows(exchange, "BTC/USDT", "1m", start, end)
        np.testing.assert_array_equal(rows, walk(1)[last + 1 - length : last + 1])
    # the window's end is beyond the last bar but one, which a later bar closes; the later one is open
    rows = fetch_closed_rows(exchange, "BTC/USDT", "1m", START + 1990 * MINUTE, START + BARS * MINUTE)
    np.testing.assert_array_equal(rows, walk(1)[1990:2000])


def test_a_bar_that_closes_while_it_is_fetched_is_not_taken_half(server: LoopbackExchange) -> None:
    times = iter(range(START + 1000 * MINUTE - 20_000, START + BARS * MINUTE, MINUTE))
    server.tape.now = next(times)

    def a_minute_passes(call: Call, answer: Answer) -> Reply:
        """Between any two answers with bars."""
        reply = answer(call)
        server.tape.now = next(times)
        return reply

    server.scripts = [Always(a_minute_passes)]
    exchange = open_exchange(live_settings(server), [], "1m")
    # the first page ends at the bar that is open
    rows = fetch_closed_rows(exchange, "BTC/USDT", "1m", START, START + 1010 * MINUTE)
    assert len(rows) >= 999
    np.testing.assert_array_equal(rows, walk(1)[: len(rows)])


@pytest.mark.parametrize(
    ("endpoint", "reply"),
    [
        ("time", {}),
        ("time", None),
        ("candles", None),
        ("candles", {"bars": 5}),
        ("candles", [None]),
        ("candles", [[]]),
        ("candles", [[None, "1", "1", "1", "1", "1"]]),
        ("candles", [["x", "y"]]),
    ],
)
def test_a_malformed_response_is_an_error_of_one_line(server: LoopbackExchange, endpoint: str, reply: Any) -> None:
    server.scripts = [Always(content(reply), endpoint)]
    exchange = open_exchange(live_settings(server), [], "1m")
    with pytest.raises(UserError, match="^exchange: ") as caught:
        clock(exchange)
        fetch_rows(exchange, "BTC/USDT", "1m", START, START + MINUTE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", [None, 5, [[START, 1, 1, 1, 1]], [[START, 1, 1]] * 2, [[START, 1], [START]], [[]]])
def test_malformed_rows_are_an_error_of_one_line(server: LoopbackExchange, rows: Any) -> None:
    class Odd(ccxt.binance):
        def fetch_ohlcv(self, *asked: Any) -> Any:
            return rows

    with pytest.raises(UserError, match="exchange: malformed response from binance, .*check exchange.options"):
        fetch_rows(Odd(server.options), "BTC/USDT", "1m", START, START + MINUTE)


def test_symbols_are_found_however_they_are_written() -> None:
    exchange: Any = open_exchange(exchange_settings(id="kucoin"), [], "1m")
    names = {"BTC-USDT": "BTC/USDT", "XBTUSDTM": "BTC/USDT:USDT", "ETH-USDT": "ETH/USDT"}
    exchange.set_markets([{"id": name, "symbol": symbol, "spot": ":" not in symbol} for name, symbol in names.items()])
    assert resolve_symbols(exchange, ["btcusdt", "ETH/USDT"]) == {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT"}
    assert resolve_symbols(exchange, ["BTC/USDT:USDT"]) == {"BTCUSDT-USDT": "BTC/USDT:USDT"}
    assert resolve_symbols(exchange, ["XBTUSDTM"]) == {"XBTUSDTM": "BTC/USDT:USDT"}


def test_an_unknown_symbol_is_an_error_with_suggestions(server: LoopbackExchange) -> None:
    exchange = open_exchange(live_settings(server), [], "1m")
    assert resolve_symbols(exchange, ["BTCUSDT"]) == {"BTCUSDT": "BTC/USDT"}
    with pytest.raises(UserError, match="symbols: BTC/USD not found on binance; did you mean BTC/USDT"):
        resolve_symbols(exchange, ["ETH/USDT", "BTC/USD"])
    with pytest.raises(
        UserError, match="symbols: QQQ/XYZ not found on binance; available symbols: BTC/USDT, ETH/USDT$"
    ):
        resolve_symbols(exchange, ["QQQ/XYZ"])


def test_an_unsupported_interval_is_an_error_with_those_supported(server: LoopbackExchange) -> None:
    for name in ("1m", "5m", "15m", "1h", "4h", "1d"):
        check_interval(open_exchange(live_settings(server), [], "1m"), name)
    with pytest.raises(
        UserError, match="interval: 7m is not supported on binance; supported intervals: 1m, 3m, .* 1d$"
    ):
        check_interval(open_exchange(live_settings(server), [], "1m"), "7m")
    with pytest.raises(UserError, match="interval: 1w is not supported on binance"):  # though Binance has it
        check_interval(open_exchange(live_settings(server), [], "1m"), "1w")
    with pytest.raises(UserError, match="interval: invalid interval 'x'; use a ccxt timeframe"):
        check_interval(open_exchange(exchange_settings(), [], "1m"), "x")
