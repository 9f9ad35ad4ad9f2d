"""The cutoff: by it every bar is closed and final, whatever the clocks."""

import time
from pathlib import Path

import numpy as np
import pytest

from market.ccxt_exchange import CcxtExchange
from market.cutoffs import last_close, next_close
from market.exchange import open_exchange
from market.intervals import MINUTE
from support.exchanges import BARS, NOW, START, exchange_settings, fetch_live, live_settings, serve_walks, walk
from support.loopback.tape import Tape


def test_a_bar_is_final_so_long_after_its_close() -> None:
    close = START + (BARS - 1) * MINUTE
    with serve_walks() as server:
        exchange = open_exchange(live_settings(server), [], "1m")
        for late, expected in ((-1, close - MINUTE), (0, close - MINUTE), (4999, close - MINUTE), (5000, close)):
            server.tape.now = close + late
            assert last_close(exchange, MINUTE, 5) == expected


def test_a_clock_of_historical_data_needs_no_grace() -> None:
    exchange = open_exchange(exchange_settings(), [], "1m")
    assert last_close(exchange, MINUTE, 5) == next_close(exchange, MINUTE, 5) == exchange.milliseconds()


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("skew", [-30_000, 30_000])
def test_without_a_clock_it_is_this_machine_s_less_what_it_is_ahead(skew: int, given: bool) -> None:
    """By the `Date` of replies, also where the markets are those of an earlier cutoff and nothing was asked yet."""
    with serve_walks("bitstamp") as server:
        server.tape.now = lambda: 1000 * time.time()
        server.tape.skew_ms = skew
        exchange = open_exchange(live_settings(server), ["BTC/USDT"], "1m")
        assert isinstance(exchange, CcxtExchange)
        exchange._exchange.has["fetchTime"] = False
        if given:
            before = open_exchange(live_settings(server), ["BTC/USDT"], "1m")
            exchange.set_markets(before.load_markets())
            server.requests.clear()
        assert abs(exchange.milliseconds() - 1000 * time.time() - skew) < 3000
        assert len(server.asked("markets")) == (not given)


def test_a_decision_waits_for_a_close_that_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    close = START + (BARS - 1) * MINUTE
    tape = Tape({"BTC/USDT": walk(1)}, "1m", lambda: close - 2000 + 1000 * (time.monotonic() - begin))
    with serve_walks() as server:
        server.tape = server.dialect.tape = tape
        exchange = open_exchange(live_settings(server), [], "1m")
        # two seconds before a close, which is final a second after it
        assert next_close(exchange, MINUTE, 1) == close
        assert "waiting" in capsys.readouterr().err
        # a second later a new wait would be most of a minute
        assert next_close(exchange, MINUTE, 1) == close
        assert "waiting" not in capsys.readouterr().err


def test_no_bar_is_taken_open_or_unfinal(tmp_path: Path) -> None:
    """Sixty cutoffs, clocks off by up to 30 s either way, values that come up to 3 s after the close."""
    random = np.random.default_rng(5)
    with serve_walks() as server:
        for number in range(60):
            now = NOW + int(random.uniform(0, 60_000)) - 60_000
            server.tape = server.dialect.tape = Tape(
                {"BTC/USDT": walk(1)}, "1m", now, int(random.uniform(-30_000, 30_000)), int(random.uniform(0, 3000))
            )
            close = last_close(open_exchange(live_settings(server), [], "1m"), MINUTE, 5)
            count = (close - START) // MINUTE
            rows = fetch_live(server, tmp_path / str(number), count - 20, count).rows
            np.testing.assert_array_equal(rows, walk(1)[count - 20 : count])
