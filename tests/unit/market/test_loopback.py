"""The loopback exchange: what each dialect gives to ccxt's own class, and each fault as it is on the wire."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from market.intervals import MINUTE
from support.exchanges import BARS, NOW, START, serve_walks, walk
from support.loopback import faults
from support.loopback.faults import Always, At, AtRandom
from support.loopback.server import LoopbackExchange, RateLimit
from support.loopback.tape import Tape

KLINES = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=10&startTime="


@pytest.fixture
def server() -> Iterator[LoopbackExchange]:
    with serve_walks() as running:
        yield running


def get(server: LoopbackExchange, path: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Status, body and headers, as they are on the wire."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read(), response.msg


def bars(server: LoopbackExchange, first: int = 0) -> list[int]:
    """The numbers of the bars that a request of ten from the first on gives."""
    status, body, _ = get(server, KLINES + str(START + first * MINUTE))
    assert status == 200
    return [(bar[0] - START) // MINUTE for bar in json.loads(body)]


# the tape


def published(tape: Tape, now: int) -> list[list[float]]:
    tape.now = now
    return tape.published("A/B").tolist()


def test_a_bar_is_published_from_its_open_and_final_at_its_close() -> None:
    tape = Tape({"A/B": walk(1)}, "1m", 0)
    assert published(tape, START - 1) == []
    first = published(tape, START)
    assert first == [[START, *[walk(1)[0, 1]] * 4, 0]]
    half, close = published(tape, START + 30_000)[0], published(tape, START + MINUTE)[0]
    assert close == walk(1)[0].tolist()
    assert close[3] <= half[3] <= half[4] <= half[2] <= close[2]
    assert half[5] == pytest.approx(close[5] / 2)


def test_final_values_come_late_and_a_symbol_later() -> None:
    tape = Tape({"A/B": walk(1)}, "1m", 0, final_after_ms=3000)
    last = walk(1)[0].tolist()
    assert published(tape, START + MINUTE + 2999)[0] != last
    assert published(tape, START + MINUTE + 3000)[0] == last
    tape.late_ms["A/B"] = 5000
    assert published(tape, START + MINUTE + 4999) == []
    assert published(tape, START + MINUTE + 5000) == [last]


def test_the_clock_is_off_by_its_skew_also_in_the_date_header(server: LoopbackExchange) -> None:
    server.tape.skew_ms = -10_000
    status, body, headers = get(server, "/api/v3/time")
    assert (status, json.loads(body)) == (200, {"serverTime": NOW - 10_000})
    assert headers["Date"] == "Tue, 02 Jan 2024 19:19:30 GMT"


# faults


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (faults.page_of_html(), 200, b"<!DOCTYPE html>"),
        (faults.page_of_html(403, "Attention Required!"), 403, b"<!DOCTYPE html>"),
        (faults.notice(), 200, b'{"msg":"maintenance"}'),
        (faults.truncated(), 200, b"[[17"),
        (faults.empty_list(), 200, b"[]"),
        (faults.refused(503), 503, b'{"msg"'),
        (faults.refused(451), 451, b'{"msg"'),
    ],
)
def test_a_reply_of_another_content(server: LoopbackExchange, fault: Any, status: int, body: bytes) -> None:
    server.scripts = [At({1: fault})]
    good = get(server, KLINES + str(START))
    bad = get(server, KLINES + str(START))
    assert good[0] == 200 and len(json.loads(good[1])) == 10
    assert bad[0] == status and bad[1].startswith(body) and bad[1] != good[1]
    assert bars(server) == list(range(10))
    assert [request.status for request in server.asked("candles")] == [200, status, 200]


def test_a_body_is_empty_or_ends_early(server: LoopbackExchange) -> None:
    server.scripts = [At({0: faults.empty_body(), 1: faults.cut_off()})]
    assert get(server, KLINES + str(START))[1] == b""
    with pytest.raises(http.client.IncompleteRead):
        get(server, KLINES + str(START))


def test_pages_of_other_rows(server: LoopbackExchange) -> None:
    server.scripts = [At({1: faults.previous_page(), 2: faults.short_head(3), 3: faults.newest_only(2)})]
    assert bars(server, 0) == list(range(10))
    assert bars(server, 10) == list(range(10))
    assert bars(server, 20) == list(range(23, 30))
    assert bars(server, 30) == [38, 39]
    assert bars(server, 40) == list(range(40, 50))


def test_faults_mix(server: LoopbackExchange) -> None:
    server.scripts = [Always(faults.short_head(3)), At({0: faults.slow(0.2)})]
    began = time.monotonic()
    assert bars(server) == list(range(3, 10))
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(("fault", "status"), [(faults.too_many_requests(0.6), 429), (faults.banned(0.6), 418)])
def test_a_ban_holds_for_all_requests_and_counts_them(server: LoopbackExchange, fault: Any, status: int) -> None:
    server.scripts = [At({0: fault})]
    replies = [get(server, KLINES + str(START)), get(server, "/api/v3/time")]
    assert [(reply[0], reply[2]["Retry-After"]) for reply in replies] == [(status, "1"), (status, "1")]
    assert server.rejected == 1
    time.sleep(0.7)
    assert bars(server) == list(range(10))
    assert (server.calls, server.rejected) == (3, 1)


def test_in_an_outage_connections_are_reset(server: LoopbackExchange) -> None:
    server.scripts = [At({0: faults.outage(0.5)})]
    for path in (KLINES + str(START), "/api/v3/time"):
        with pytest.raises(ConnectionError):
            get(server, path)
    assert [request.status for request in server.requests] == [0, 0]
    time.sleep(0.6)
    assert bars(server) == list(range(10))


def test_a_dripping_body_comes_whole_and_late(server: LoopbackExchange) -> None:
    server.scripts = [Always(faults.dripping(0.02), "time")]
    began = time.monotonic()
    assert json.loads(get(server, "/api/v3/time")[1]) == {"serverTime": NOW}
    assert time.monotonic() - began >= 0.02 * (len('{"serverTime":1704223180000}') - 1)


def test_markets_and_time_are_faulty_alone(server: LoopbackExchange) -> None:
    server.scripts = [Always(faults.page_of_html(), "markets"), Always(faults.content({"serverTime": "soon"}), "time")]
    assert get(server, "/api/v3/exchangeInfo")[1].startswith(b"<!DOCTYPE html>")
    assert get(server, "/api/v3/time")[1] == b'{"serverTime":"soon"}'
    assert bars(server) == list(range(10))


def test_random_faults_are_the_same_for_a_seed() -> None:
    def hit(seed: int) -> list[bool]:
        with serve_walks(scripts=[AtRandom([faults.empty_list()], seed, 0.3)]) as server:
            return [not bars(server) for _ in range(40)]

    assert hit(1) == hit(1) != hit(2)
    assert 4 <= sum(hit(1)) <= 20


def test_calls_beyond_the_rate_limit_are_refused_and_counted() -> None:
    with serve_walks(limit=RateLimit(5, 0.5)) as server:
        statuses = [get(server, "/api/v3/time")[0] for _ in range(8)]
        assert statuses == [200] * 5 + [429] * 3 and server.rejected == 3
        time.sleep(0.6)
        assert get(server, "/api/v3/time")[0] == 200
        assert server.asked("time")[-1].status == 200


def test_the_window_slides() -> None:
    limit = RateLimit(2, 1)
    assert [limit.wait(now) for now in (0, 0.75, 0.875, 1, 1.5, 1.75)] == [0, 0, 0.125, 0, 0.25, 0]


def test_rows_of_the_last_bar_are_the_tapes(server: LoopbackExchange) -> None:
    """The open bar is served as far as it is."""
    server.tape.now = START + (BARS - 1) * MINUTE + 15_000
    bar = json.loads(get(server, KLINES + str(START + (BARS - 1) * MINUTE))[1])[0]
    np.testing.assert_allclose(float(bar[5]), walk(1)[-1, 5] / 4)
