"""The registry of exchanges: what opens, with which options and credentials, and what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from common.errors import UserError
from market.exchange import EXCHANGES, open_exchange
from market.fetching import fetch_rows, resolve_symbols
from market.intervals import MINUTE
from market.sources import source_of
from support.exchanges import exchange_settings


class Constant:
    """A price of 1 at every minute of 1970's first hour."""

    id = "constant"
    historical = True

    def __init__(self) -> None:
        self.timeframes = {"1m": "1m"}

    def load_markets(self) -> dict[str, dict[str, str]]:
        return {"ONE/USDT": {"id": "ONEUSDT", "symbol": "ONE/USDT"}}

    def milliseconds(self) -> int:
        return 60 * MINUTE

    def fetch_ohlcv(
        self, symbol: str, timeframe: str = "1m", since: int | None = None, limit: int | None = None
    ) -> list[list[float]]:
        times = range(since or 0, 60 * MINUTE, MINUTE)
        return [[time, 1.0, 1.0, 1.0, 1.0, 1.0] for time in times][:limit]


def test_a_registered_exchange_is_opened_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_constant(settings: Mapping[str, Any], symbols: list[str], interval: str) -> Constant:
        assert (settings["id"], symbols, interval) == ("constant", ["ONEUSDT"], "1m")
        return Constant()

    monkeypatch.setitem(EXCHANGES, "constant", open_constant)
    exchange = open_exchange(exchange_settings(id="constant"), ["ONEUSDT"], "1m")
    assert exchange.historical and exchange.milliseconds() == 60 * MINUTE
    assert resolve_symbols(exchange, ["ONEUSDT"]) == {"ONEUSDT": "ONE/USDT"}
    assert len(fetch_rows(exchange, "ONE/USDT", "1m", 50 * MINUTE, 70 * MINUTE)) == 10
    with pytest.raises(UserError, match="unknown exchange 'constent'; did you mean constant"):
        open_exchange(exchange_settings(id="constent"), [], "1m")


def test_only_an_embedded_exchange_is_historical() -> None:
    assert open_exchange(exchange_settings(), [], "1m").historical
    assert not open_exchange(exchange_settings(id="binance"), [], "1m").historical


def test_an_unknown_exchange_is_an_error_with_suggestions() -> None:
    with pytest.raises(UserError, match=r"exchange\.id: unknown exchange 'binanse'; did you mean binance"):
        open_exchange(exchange_settings(id="binanse"), [], "1m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"options": 5}, r"exchange\.options\.options: must be a mapping, not 5"),
        ({"timeout": "ten"}, r"exchange\.options\.timeout: must be a number, not 'ten'"),
        ({"timeout": True}, r"exchange\.options\.timeout: must be a number, not True"),
        ({"enableRateLimit": 1}, r"exchange\.options\.enableRateLimit: must be true or false, not 1"),
        ({"urls": 5}, r"exchange\.options\.urls: must be a mapping"),
        ({"timeot": 5}, r"exchange\.options\.timeot: is no option of ccxt's binance; did you mean timeout\?"),
        ({"qqq": 5}, r"exchange\.options\.qqq: is no option of ccxt's binance; see ccxt's manual"),
        ({"options": {"defaultTyp": "spot"}}, r"options\.options\.defaultTyp: .*; did you mean defaultType\?"),
    ],
)
def test_an_invalid_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_exchange(exchange_settings(id="binance", options=options), [], "1m")


def test_only_options_that_may_change_candles_make_another_source() -> None:
    def source(**options: Any) -> str:
        return source_of(exchange_settings(id="binance", options=options))

    connection = {"timeout": 5, "httpsProxy": "http://127.0.0.1:1", "options": {"fetchMarkets": {"types": ["spot"]}}}
    assert source() == source(**connection) == "binance"
    assert len({source(), source(hostname="x"), source(hostname="y"), source(options={"defaultType": "swap"})}) == 4


@pytest.mark.parametrize("options", [{"apiKey": "x"}, {"options": {"secret": "x"}}, {"a": {"b": {"privateKey": "x"}}}])
def test_credentials_in_the_config_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(
        UserError, match=r"exchange\.options\..*: credentials are not allowed in a config; set .* EXCHANGE_API_KEY"
    ):
        open_exchange(exchange_settings(id="binance", options=options), [], "1m")


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_API_KEY", "key")
    monkeypatch.setenv("EXCHANGE_SECRET", "hush")
    exchange: Any = open_exchange(exchange_settings(id="binance"), [], "1m")
    assert (exchange._exchange.apiKey, exchange._exchange.secret) == ("key", "hush")
