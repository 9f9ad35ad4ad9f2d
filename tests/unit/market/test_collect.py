"""Bars of a live exchange by way of the store, by real ccxt on a loopback server."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from market.intervals import MINUTE, iso
from market.store import Store
from support.exchanges import BARS, NOW, START, fetch_live, serve_walks, walk
from support.loopback.faults import (
    Always,
    At,
    Fault,
    content,
    empty_list,
    newest_only,
    previous_page,
    refused,
    short_head,
)
from support.loopback.replies import Call
from support.loopback.server import LoopbackExchange


@pytest.fixture
def server() -> Iterator[LoopbackExchange]:
    with serve_walks() as running:
        yield running


def starts(server: LoopbackExchange) -> list[int]:
    """Where each request for candles began, in bars from START."""
    asked = [request.path for request in server.asked("candles")]
    return [(int(path.partition("startTime=")[2].partition("&")[0]) - START) // MINUTE for path in asked]


def without(*bars: int, rows: int = BARS) -> np.ndarray:
    return np.delete(walk(1), bars, axis=0)[: rows - len([bar for bar in bars if bar < rows])]


def test_the_window_comes_in_pages_that_overlap_by_a_bar(server: LoopbackExchange, tmp_path: Path) -> None:
    fetched = fetch_live(server, tmp_path, 10, 2500)
    np.testing.assert_array_equal(fetched.rows, walk(1)[10:2500])
    assert starts(server) == [10, 1009, 2008]
    assert len(server.asked("markets")) == 1 and not len(fetched.unconfirmed)


def test_only_what_the_store_lacks_is_asked_for(server: LoopbackExchange, tmp_path: Path) -> None:
    fetch_live(server, tmp_path, 500, 2000)
    server.requests.clear()
    assert len(fetch_live(server, tmp_path, 500, 2000).rows) == 1500
    assert server.calls == 0
    np.testing.assert_array_equal(fetch_live(server, tmp_path, 400, 2060).rows, walk(1)[400:2060])
    # before it, and after its last three bars
    assert starts(server) == [400, 1997]


def test_absent_minutes_are_confirmed_and_asked_for_no_more(server: LoopbackExchange, tmp_path: Path) -> None:
    gone = [*range(3), 999, *range(1000, 2300)]
    server.tape.candles = {"BTC/USDT": without(*gone)}
    for _ in range(2):
        np.testing.assert_array_equal(fetch_live(server, tmp_path, 0, 2500).rows, without(*gone, rows=2500))
    index = json.loads(next(tmp_path.rglob("index.json")).read_text())
    spans = [((one["first"] - START) // MINUTE, (one["end"] - START) // MINUTE) for one in index["absent"]]
    assert spans == [(0, 3), (999, 2300)]
    assert all(len(one["answers"]) == 2 for one in index["absent"])
    # two pages, and the two spans again: the first one twice, as no bar before it shows that the answer is whole
    assert len(server.asked("candles")) == 5


@pytest.mark.parametrize("window", [1000, 999])  # exchanges differ by one
def test_spans_longer_than_a_window_of_the_exchange(server: LoopbackExchange, tmp_path: Path, window: int) -> None:
    gone = [*range(window), *range(1200, 2450)]
    server.tape.candles = {"BTC/USDT": without(*gone)}
    server.dialect.habits = replace(server.dialect.habits, window=window)
    for _ in range(2):
        fetched = fetch_live(server, tmp_path, 0, 2500)
        np.testing.assert_array_equal(fetched.rows, without(*gone, rows=2500))
        assert not len(fetched.unconfirmed)


@pytest.mark.parametrize(
    "fault", [content([]), empty_list(), previous_page(), short_head(370), newest_only(5), content({"msg": "x"})]
)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_bad_page_loses_nothing(server: LoopbackExchange, tmp_path: Path, fault: Fault, number: int) -> None:
    server.scripts = [At({number: fault})]
    np.testing.assert_array_equal(fetch_live(server, tmp_path, 0, 2500).rows, walk(1)[:2500])


@pytest.mark.parametrize("fault", [content([]), empty_list(), short_head(400), newest_only(3)])
def test_a_bad_page_that_comes_again_and_again_fails_and_loses_nothing(
    server: LoopbackExchange, tmp_path: Path, fault: Fault
) -> None:
    fetch_live(server, tmp_path, 0, 1000)
    server.scripts = [Always(fault)]
    with pytest.raises(UserError, match="failed for 4 s .*, which is stored, is not there; .* delete .*BTCUSDT/1m"):
        fetch_live(server, tmp_path, 0, 2500, patience=4)
    server.scripts = []
    np.testing.assert_array_equal(fetch_live(server, tmp_path, 0, 2500).rows, walk(1)[:2500])


def test_imported_flat_bars_need_not_be_on_the_exchange(server: LoopbackExchange, tmp_path: Path) -> None:
    filled = walk(1)[:1000]
    filled[998:, 1:5] = filled[997, 4]
    filled[998:, 5] = 0
    store = Store(tmp_path, "source", "BTCUSDT", "1m")
    with store.locked():
        store.add(filled, START)
    server.tape.candles = {"BTC/USDT": without(998, 999)}
    np.testing.assert_array_equal(
        fetch_live(server, tmp_path, 0, 2500).rows, np.concatenate([filled, walk(1)[1000:2500]])
    )


class Until:
    """A script that is no fault: from a request for candles on, the server has other candles."""

    def __init__(self, server: LoopbackExchange, number: int, candles: np.ndarray) -> None:
        self.server, self.number, self.candles = server, number, candles

    def faults(self, call: Call) -> list[Fault]:
        if call.endpoint == "candles" and call.number >= self.number:
            self.server.tape.candles = {"BTC/USDT": self.candles}
        return []


def test_a_page_of_another_symbol_is_not_taken(server: LoopbackExchange, tmp_path: Path) -> None:
    fetch_live(server, tmp_path, 0, 1000)
    server.tape.candles = {"BTC/USDT": walk(2)}
    server.scripts = [Until(server, len(server.asked("candles")) + 1, walk(1))]
    np.testing.assert_array_equal(fetch_live(server, tmp_path, 0, 2500).rows, walk(1)[:2500])


def test_a_page_size_smaller_than_stated_is_found(server: LoopbackExchange, tmp_path: Path) -> None:
    """As of an exchange that states 1000 and gives the newest 500 of what was asked for."""
    server.scripts = [Always(newest_only(500))]
    fetch_live(server, tmp_path, 0, 400)
    np.testing.assert_array_equal(fetch_live(server, tmp_path, 0, 2500, patience=60).rows, walk(1)[:2500])


def test_a_quiet_market_costs_pages_and_not_gaps(server: LoopbackExchange, tmp_path: Path) -> None:
    """Every second minute is without trades; the fetch is killed after its first page, and goes on."""
    quiet = range(1, BARS - 1, 2)
    server.tape.candles = {"BTC/USDT": without(*quiet)}
    server.scripts = [At({1: refused(403)})]
    with pytest.raises(UserError, match="403"):
        fetch_live(server, tmp_path, 0, 2500)
    assert len(server.asked("candles")) == 2
    fetched = fetch_live(server, tmp_path, 0, 2500)
    np.testing.assert_array_equal(fetched.rows, without(*quiet, rows=2500))
    # 1250 bars and their gaps: two pages, and as many again
    assert not len(fetched.unconfirmed) and len(server.asked("candles")) <= 2 + 2 * 3


@pytest.mark.parametrize("values", [[5.0, 4.0, 5.0, 4.5, 1.0], [5.0, 6.0, 4.0, 5.0, float("nan")]])
def test_a_bar_that_is_invalid_whenever_it_is_asked_for_does_not_stop_the_fetch(
    server: LoopbackExchange, tmp_path: Path, values: list[float]
) -> None:
    """High below low is kept for the record of quality; a value that is none cannot be stored."""
    rows = walk(1)
    rows[50, 1:] = values
    server.tape.candles = {"BTC/USDT": rows}
    fetched = fetch_live(server, tmp_path, 0, 2500)
    np.testing.assert_array_equal(fetched.rows, rows[:2500][np.isfinite(rows[:2500]).all(axis=1)])
    assert not len(fetched.unconfirmed)


def test_a_revised_bar_replaces_the_stored_one_and_both_are_on_record(server: LoopbackExchange, tmp_path: Path) -> None:
    fetch_live(server, tmp_path, 0, 1000)
    revised = walk(1)
    revised[998, 4:] = 77.5, 9
    revised[998, 3] = 77
    server.tape.candles = {"BTC/USDT": revised}
    fetched = fetch_live(server, tmp_path, 0, 1100)
    np.testing.assert_array_equal(fetched.rows, revised[:1100])
    (revision,) = fetched.revisions
    assert revision["time"] == iso(START + 998 * MINUTE)
    assert (revision["before"], revision["after"]) == (walk(1)[998, 1:].tolist(), revised[998, 1:].tolist())


def test_the_end_is_unconfirmed_until_a_later_bar_is_there(server: LoopbackExchange, tmp_path: Path) -> None:
    server.tape.candles = {"BTC/USDT": walk(1)[:1997]}
    fetched = fetch_live(server, tmp_path, 1900, 2000)
    assert len(fetched.rows) == 97
    assert fetched.unconfirmed.tolist() == [[START + 1997 * MINUTE, START + 2000 * MINUTE]]
    server.tape.candles = {"BTC/USDT": without(1998, 1999)}
    fetched = fetch_live(server, tmp_path, 1900, 2000)
    assert len(fetched.rows) == 98 and not len(fetched.unconfirmed)


def test_a_late_last_bar_is_waited_for(server: LoopbackExchange, tmp_path: Path) -> None:
    server.tape.candles = {"BTC/USDT": walk(1)[:1999]}
    server.scripts = [Until(server, 3, walk(1))]
    fetched = fetch_live(server, tmp_path, 1900, 2000, NOW + 10_000)
    np.testing.assert_array_equal(fetched.rows, walk(1)[1900:2000])


def test_a_history_that_is_too_short_is_refused_before_the_first_candle(tmp_path: Path) -> None:
    with serve_walks(dialect="kraken") as server:
        with pytest.raises(
            UserError,
            match="kraken has the newest 720 bars of 1m alone, since .* and 1881 older ones of 2598",
        ):
            fetch_live(server, tmp_path, 0, 2598)
        assert not server.asked("candles")
        np.testing.assert_array_equal(fetch_live(server, tmp_path, 1900, 2598).rows, walk(1)[1900:2598])
        server.tape.now = NOW + 600 * MINUTE
        # what is stored stays, though the exchange has it no more
        assert len(fetch_live(server, tmp_path, 1900, 2598).rows) == 698
