"""Patience with an exchange: what is repeated, how long, what is final, and the rate limit that processes share."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from market.exchange import LiveExchange, open_exchange
from market.fetching import resolve_symbols
from support.exchanges import NOW, START, fetch_live, live_settings, serve_walks
from support.loopback.faults import (
    Always,
    At,
    banned,
    content,
    dripping,
    outage,
    page_of_html,
    refused,
    too_many_requests,
)
from support.loopback.server import LoopbackExchange, RateLimit
from support.workflow import ROOT


@pytest.fixture
def server() -> Iterator[LoopbackExchange]:
    with serve_walks() as running:
        yield running


def test_a_failure_is_repeated_after_longer_and_longer_waits(
    server: LoopbackExchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.scripts = [At(dict.fromkeys(range(4), refused(503)))]
    assert len(fetch_live(server, tmp_path, 0, 100).rows) == 100
    assert len(server.asked("candles")) == 5
    waits = [
        float(line.partition("retrying in ")[2].partition(" s")[0])
        for line in capsys.readouterr().err.splitlines()
        if "retrying" in line
    ]
    assert len(waits) == 4
    assert all(wait >= 0.2 * 2**number for number, wait in enumerate(waits))


@pytest.mark.parametrize("fault", [too_many_requests(2), banned(2)])
def test_nothing_is_asked_while_the_exchange_says_to_wait(server: LoopbackExchange, tmp_path: Path, fault: Any) -> None:
    server.scripts = [At({1: fault})]
    assert len(fetch_live(server, tmp_path, 0, 2500).rows) == 2500
    assert [request.status for request in server.requests].count(200) == server.calls - 1
    assert server.rejected == 0


def test_an_outage_is_waited_out(server: LoopbackExchange, tmp_path: Path) -> None:
    server.scripts = [At({0: outage(3)})]
    assert len(fetch_live(server, tmp_path, 0, 100).rows) == 100


def test_a_reply_that_drips_is_cut(server: LoopbackExchange, tmp_path: Path) -> None:
    server.scripts = [At({0: dripping(0.02)})]  # each read is in time, a kilobyte is not
    options = {**live_settings(server)["options"], "timeout": 500}
    assert len(fetch_live(server, tmp_path, 0, 5, options=options).rows) == 5
    assert len(server.asked("candles")) == 2


def test_patience_ends_in_one_line(server: LoopbackExchange, tmp_path: Path) -> None:
    server.scripts = [Always(page_of_html())]
    with pytest.raises(
        UserError, match=r"request to binance failed for 1 s \(.*its reply is not JSON .*text/html.*; check the network"
    ) as caught:
        fetch_live(server, tmp_path, 0, 100, patience=1)
    assert "\n" not in str(caught.value)


def test_a_wait_longer_than_patience_ends_at_once(server: LoopbackExchange, tmp_path: Path) -> None:
    server.scripts = [Always(too_many_requests(3600))]
    with pytest.raises(UserError, match=r"binance asks to wait 3600 s .*longer than exchange\.patience \(10 s\)"):
        fetch_live(server, tmp_path, 0, 100)
    assert len(server.asked("candles")) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "does not accept the API key"), (403, "forbids requests"), (404, "has no such"), (451, "legal reasons")],
)
def test_a_final_answer_is_not_repeated(server: LoopbackExchange, tmp_path: Path, status: int, words: str) -> None:
    for fault in (refused(status), page_of_html(status)):
        server.scripts = [Always(fault)]
        asked = len(server.asked("candles"))
        with pytest.raises(UserError, match=rf"exchange: binance .*{words}.*\(HTTP {status}\)"):
            fetch_live(server, tmp_path, 0, 100)
        assert len(server.asked("candles")) == asked + 1


def test_a_rejected_request_is_not_repeated(server: LoopbackExchange, tmp_path: Path) -> None:
    server.tape.interval = "5m"  # so it refuses 1m
    with pytest.raises(UserError, match=r"exchange: binance rejected the request \(.*Invalid interval"):
        fetch_live(server, tmp_path, 0, 100)
    assert len(server.asked("candles")) == 1


def test_an_unreachable_server_is_an_error_of_one_line() -> None:
    with serve_walks() as server:
        exchange = open_exchange(live_settings(server, patience=1), ["BTC/USDT"], "1m")
    with pytest.raises(UserError, match=r"request to binance failed for 1 s \(.*; check the network") as caught:
        resolve_symbols(exchange, ["BTC/USDT"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reply", [{}, None, {"serverTime": "ten"}, []])
def test_a_malformed_clock_is_asked_again(server: LoopbackExchange, reply: Any) -> None:
    server.scripts = [At({0: content(reply)}, "time")]
    assert open_exchange(live_settings(server), [], "1m").milliseconds() == NOW
    assert len(server.asked("time")) == 2


def test_markets_of_html_are_asked_for_again(server: LoopbackExchange) -> None:
    server.scripts = [At({0: page_of_html(), 1: content({"symbols": []})}, "markets")]
    exchange = open_exchange(live_settings(server), [], "1m")
    assert resolve_symbols(exchange, ["BTCUSDT"]) == {"BTCUSDT": "BTC/USDT"}
    assert len(server.asked("markets")) == 3


@pytest.mark.parametrize(
    "reply", [None, {"bars": 5}, [None], [[]], [[None, "1", "1", "1", "1", "1"]], [["x", "y"]], [[START, "1", "1"]]]
)
def test_malformed_candles_are_asked_for_again(server: LoopbackExchange, tmp_path: Path, reply: Any) -> None:
    server.scripts = [At({0: content(reply)})]
    assert len(fetch_live(server, tmp_path, 0, 100).rows) == 100
    server.scripts = [Always(content(reply))]
    with pytest.raises(UserError, match="^exchange: request to binance failed for 1 s") as caught:
        fetch_live(server, tmp_path, 0, 200, patience=1)
    assert "\n" not in str(caught.value)


def test_what_fails_before_any_request_is_not_repeated(server: LoopbackExchange) -> None:
    """As ccxt's TypeError on an option of a shape that it cannot use."""
    exchange = open_exchange(live_settings(server, patience=600), [], "1m")
    assert isinstance(exchange, LiveExchange)
    exchange.load_markets()
    with pytest.raises(UserError, match="exchange: ccxt's binance cannot make the request .*; check exchange.options"):
        exchange.ask(lambda: exchange.load_markets()[5])  # type: ignore[index]


ASK = """
import json, sys
sys.path[:0] = [{scripts!r}]
from market.exchange import LiveExchange, open_exchange
exchange = open_exchange(json.loads({settings!r}), ["BTC/USDT"], "1m")
exchange.load_markets()
for _ in range(10):
    exchange.fetch_ohlcv("BTC/USDT", "1m", {start}, 10)
"""


def test_processes_share_the_rate_limit(tmp_path: Path) -> None:
    """Eight jobs, an exchange of ten calls a second: none of them is refused, and little time is wasted."""
    with serve_walks(limit=RateLimit(10)) as server:
        settings = live_settings(server)
        # by ccxt, a request of candles counts 0.4 on Binance
        settings["options"] |= {"rateLimit": 250}
        program = ASK.format(scripts=str(ROOT / "scripts"), settings=json.dumps(settings), start=START)
        processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(8)]
        assert [process.wait() for process in processes] == [0] * 8
        assert len(server.asked("candles")) == 80
        assert server.rejected == 0


def test_the_environment_s_proxy_is_used(
    server: LoopbackExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(UserError, match="failed for 1 s"):
        fetch_live(server, tmp_path, 0, 100, patience=1)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert len(fetch_live(server, tmp_path, 0, 100, patience=1).rows) == 100
