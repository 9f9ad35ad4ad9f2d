"""What each dialect of the loopback exchange gives to ccxt's own class, over a socket, and the recorded shapes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import ccxt
import numpy as np
import pytest

from market.intervals import MINUTE
from support.exchanges import BARS, NOW, START, walk
from support.loopback.dialects import DIALECTS, IMITATED, bybit, kraken
from support.loopback.faults import Always, empty_list, too_many_requests
from support.loopback.server import LoopbackExchange, RateLimit
from support.loopback.tape import Tape

RECENT = BARS - 200  # within every exchange's history


def serve(name: str, absent: list[int] | None = None, **given: Any) -> LoopbackExchange:
    """An exchange with two symbols, the first without some bars."""
    candles = {"BTC/USDT": np.delete(walk(1), absent or [], axis=0), "ETH/USDT": walk(2)}
    return LoopbackExchange(name, Tape(candles, "1m", NOW), **given)


def client(server: LoopbackExchange) -> Any:
    return getattr(ccxt, server.dialect.id)(server.options)


def fetch(server: LoopbackExchange, first: int, limit: int, symbol: str = "BTC/USDT") -> np.ndarray:
    """By ccxt, bars from that one on."""
    rows = client(server).fetch_ohlcv(symbol, "1m", START + first * MINUTE, limit)
    return np.array(rows, dtype=float).reshape(-1, 6)


def numbers(rows: np.ndarray) -> list[int]:
    return ((rows[:, 0] - START) // MINUTE).astype(int).tolist()


@pytest.mark.parametrize("name", DIALECTS)
def test_ccxts_class_finds_markets_clock_and_bars(name: str) -> None:
    with serve(name) as server:
        exchange = client(server)
        assert sorted(exchange.load_markets()) == ["BTC/USDT", "ETH/USDT"]
        assert abs(exchange.fetch_time() - NOW) < 1000
        for symbol, seed in (("BTC/USDT", 1), ("ETH/USDT", 2)):
            rows = exchange.fetch_ohlcv(symbol, "1m", START + RECENT * MINUTE, 100)
            np.testing.assert_array_equal(rows, walk(seed)[RECENT : RECENT + 100])
        assert {request.endpoint for request in server.requests} - {"other"} >= {"markets", "time", "candles"}


@pytest.mark.parametrize(
    ("name", "first", "limit", "expected"),
    [
        ("binance", 0, 5000, range(1000)),
        ("bybit", 0, 5000, range(1000)),
        ("kraken", 0, 5000, range(BARS - 721, BARS)),  # the newest, whatever is asked for
        ("okx", 0, 300, range(200, 300)),  # history by 100, the newest of what is asked for
        ("okx", BARS, 300, []),
        ("coinbase", 0, 5000, range(300)),
        ("kucoin", 0, 1500, range(1500)),
        ("kucoin", 0, 2000, range(500, 2000)),  # the newest of what is asked for
    ],
)
def test_the_largest_page(name: str, first: int, limit: int, expected: Any) -> None:
    with serve(name) as server:
        assert numbers(fetch(server, first, limit)) == list(expected)


def test_recent_bars_of_okx_come_by_300() -> None:
    with serve("okx") as server:
        exchange: Any = client(server)
        exchange.milliseconds = lambda: NOW  # by which it chooses the endpoint
        rows = exchange.fetch_ohlcv("BTC/USDT", "1m", START + (BARS - 1000) * MINUTE, 300)
        assert [row[0] for row in rows] == [START + (BARS - 1000 + k) * MINUTE for k in range(300)]
        assert "/api/v5/market/candles" in server.asked("candles")[0].path


def test_coinbase_refuses_a_window_that_is_too_long() -> None:
    with serve("coinbase") as server, pytest.raises(ccxt.BadRequest, match="less than 350"):
        client(server).fetch_ohlcv("BTC/USDT", "1m", START, 300, {"until": START + 351 * MINUTE})


@pytest.mark.parametrize("name", DIALECTS)
def test_minutes_without_trades(name: str) -> None:
    quiet = [RECENT + 3, RECENT + 4]
    with serve(name, absent=quiet) as server:
        rows = fetch(server, RECENT, 100)
    if name == "kraken":
        close = walk(1)[RECENT + 2, 4]
        assert rows[3:5, 1:].tolist() == [[close, close, close, close, 0]] * 2
        rows = np.delete(rows, [3, 4], axis=0)
    np.testing.assert_array_equal(rows[:90], np.delete(walk(1), quiet, axis=0)[RECENT : RECENT + 90])


@pytest.mark.parametrize("name", DIALECTS)
def test_refusals_are_what_ccxt_knows(name: str) -> None:
    with serve(name) as server:
        exchange = client(server)
        exchange.load_markets()
        with pytest.raises(ccxt.BadRequest):
            exchange.fetch_ohlcv("BTC/USDT", "5m", START, 10)
        server.tape.candles = {}  # delisted meanwhile
        with pytest.raises(ccxt.ExchangeError, match=r"(?i)symbol|instrument|pair|product"):
            exchange.fetch_ohlcv("BTC/USDT", "1m", START, 10)
        server.limit = RateLimit(1, 60)
        exchange.fetch_time()
        with pytest.raises(ccxt.NetworkError, match="(?i)too|exceeded"):
            exchange.fetch_time()
        assert server.rejected == 1


@pytest.mark.parametrize("name", DIALECTS)
def test_faults_are_written_in_the_dialect(name: str) -> None:
    with serve(name, scripts=[Always(empty_list())]) as server:
        assert fetch(server, RECENT, 10).size == 0
        server.scripts = [Always(too_many_requests(60))]
        with pytest.raises(ccxt.NetworkError):
            fetch(server, RECENT, 10)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mexc", range(500)), ("bitget", range(200)), ("bitfinex", range(1000)), ("bitstamp", range(1000))],
)
def test_the_largest_page_of_further_exchanges(name: str, expected: range) -> None:
    with serve(name) as server:
        assert numbers(fetch(server, 0, 1000)) == list(expected)


def test_a_short_history_is_given_from_its_start_or_refused() -> None:
    """As Hyperliquid and Gate do, here with fewer bars."""
    with serve("hyperliquid", habits=replace(IMITATED["hyperliquid"], history=2000)) as server:
        assert numbers(fetch(server, 0, 10)) == list(range(BARS - 2001, BARS - 1991))
    with serve("gate", habits=replace(IMITATED["gate"], history=2000)) as server:
        assert numbers(fetch(server, BARS - 2001, 1)) == [BARS - 2001]
        with pytest.raises(ccxt.BadRequest, match="too long ago"):
            fetch(server, BARS - 2002, 1)


def test_an_exchange_without_a_clock_has_no_endpoint_for_it() -> None:
    with serve("bitfinex") as server, pytest.raises(ccxt.BaseError, match="Not found"):
        client(server).fetch_time()


def test_an_open_bar_is_marked_by_okx_and_closed_for_kraken() -> None:
    """What each says of the newest bar, half a minute before its close and at it."""
    ids = {"instId": "BTC-USDT", "bar": "1m", "pair": "XBTUSDT", "interval": "1"}
    with serve("okx") as okx, serve("kraken") as other:
        for now, done in ((NOW, False), (START + BARS * MINUTE, True)):
            okx.tape.now = other.tape.now = now
            newest = okx.dialect.respond("/api/v5/market/candles", ids)["data"][0]
            last = other.dialect.respond("/0/public/OHLC", ids)["result"]["last"]
            assert (int(newest[0]), newest[-1]) == (START + (BARS - 1) * MINUTE, str(int(done)))
            assert 1000 * last == START + (BARS - 1 - (not done)) * MINUTE


def shape(value: Any) -> Any:
    return [type(item) for item in value]


def test_bybit_writes_bars_as_recorded(shared_data: Path) -> None:
    recorded = json.loads((shared_data / "exchange/bybit_v5_kline_list_5m_20240713.json").read_text())
    rows = np.array(recorded, dtype=float)[::-1, :6]
    with LoopbackExchange("bybit", Tape({"BTC/USDT": rows}, "5m", rows[-1, 0] + 5 * MINUTE)) as server:
        query = {"category": "spot", "symbol": "BTCUSDT", "interval": "5", "limit": "1000"}
        made = server.dialect.respond("/v5/market/kline", query)["result"]["list"]
    assert [bar[:6] for bar in made] == [bar[:6] for bar in recorded]
    assert made[0] == bybit.entry(rows[-1]) and shape(made[0]) == shape(recorded[0])


def test_kraken_writes_bars_as_recorded(shared_data: Path) -> None:
    recorded = json.loads((shared_data / "exchange/kraken_0_public_OHLC.json").read_text())
    bars = recorded["result"]["XBTUSDT"]
    rows = np.array([[1000 * bar[0], *map(float, [*bar[1:5], bar[6]])] for bar in bars])
    tape = Tape({"BTC/USDT": rows[rows[:, 5] > 0]}, "1m", rows[-1, 0] + 30_000)
    with LoopbackExchange("kraken", tape) as server:
        made = server.dialect.respond("/0/public/OHLC", {"pair": "XBTUSDT", "interval": "1"})
    assert made.keys() == recorded.keys() and made["result"].keys() == recorded["result"].keys()
    made_bars = {bar[0]: bar for bar in made["result"]["XBTUSDT"]}
    for bar, row in zip(bars, rows, strict=True):
        assert shape(kraken.entry(row)) == shape(bar)
        same = made_bars.get(bar[0])
        if same:  # quiet minutes before the first trade and after the last are not made
            assert [float(value) for value in same[1:5]] == [float(value) for value in bar[1:5]]
            assert (same[5] == "0.0") == (bar[5] == "0.0") and same[6] == bar[6]
    assert len(made_bars) > 600
