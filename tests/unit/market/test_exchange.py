"""The registry of exchanges: what opens, with which options and credentials, and what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from common.errors import UserError
from market.exchange import EXCHANGES, is_historical, open_exchange
from market.fetching import clock, fetch_closed_rows, resolve_symbols
from market.intervals import MINUTE
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
    assert is_historical(exchange) and clock(exchange) == 60 * MINUTE
    assert resolve_symbols(exchange, ["ONEUSDT"]) == {"ONEUSDT": "ONE/USDT"}
    assert len(fetch_closed_rows(exchange, "ONE/USDT", "1m", 50 * MINUTE, 70 * MINUTE)) == 10
    with pytest.raises(UserError, match="unknown exchange 'constent'; did you mean constant"):
        open_exchange(exchange_settings(id="constent"), [], "1m")


def test_only_an_embedded_exchange_is_historical() -> None:
    assert is_historical(open_exchange(exchange_settings(), [], "1m"))
    assert not is_historical(open_exchange(exchange_settings(id="binance"), [], "1m"))


def test_an_unknown_exchange_is_an_error_with_suggestions() -> None:
    with pytest.raises(UserError, match=r"exchange\.id: unknown exchange 'binanse'; did you mean binance"):
        open_exchange(exchange_settings(id="binanse"), [], "1m")


@pytest.mark.parametrize("options", [{"options": 5}, {"headers": 5}, {"timeout": "x"}, {"urls": 5}])
def test_invalid_options_are_an_error_of_one_line(options: dict[str, Any]) -> None:
    with pytest.raises(
        UserError, match="check exchange.options|check the exchange section|invalid options for ccxt's binance"
    ):
        resolve_symbols(open_exchange(exchange_settings(id="binance", options=options), [], "1m"), ["BTC/USDT"])


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
    assert (exchange.apiKey, exchange.secret) == ("key", "hush")
