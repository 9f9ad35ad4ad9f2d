"""Symbols and intervals of an exchange, by real ccxt on a loopback server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from market.candle_files import read_rows
from market.exchange import open_exchange
from market.fetching import check_interval, resolve_symbols
from market.intervals import MINUTE
from support.exchanges import BARS, START, exchange_settings, live_settings, serve_walks
from support.loopback.dialects.binance import kline, symbol_info
from support.loopback.server import LoopbackExchange


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
    assert symbol_info("BTC/USDT", traded=True).keys() == info["symbols"][0].keys()


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


def test_symbols_are_found_however_they_are_written() -> None:
    exchange: Any = open_exchange(exchange_settings(id="kucoin"), [], "1m")
    names = {"BTC-USDT": "BTC/USDT", "XBTUSDTM": "BTC/USDT:USDT", "ETH-USDT": "ETH/USDT"}
    markets = ({"id": name, "symbol": symbol, "spot": ":" not in symbol} for name, symbol in names.items())
    exchange.set_markets({market["symbol"]: market for market in markets})
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
