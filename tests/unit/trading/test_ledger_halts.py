"""What a live exchange gives of the closes after an entry where it halts, delists, or has no more candles."""

import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from ledger_settle import realise
from market.cutoffs import last_close
from market.exchange import open_exchange
from market.intervals import MINUTE, iso
from market.store import Store
from support.exchanges import BARS, START, live_settings, serve_walks, walk
from trading.ledger.chain import Link
from trading.ledger.settling import Realised, _status

HORIZON = 12


def realised(folder: Path, first: int, bars: int = BARS, halted: bool = False, symbol: str = "BTC/USDT") -> Realised:
    """What came after an entry before the bar `first` from START, of an exchange with so many bars."""
    entry = {"as_of": iso(START + first * MINUTE), "interval": "1m", "horizon": HORIZON, "symbols": {"S": symbol}}
    with serve_walks() as server:
        server.tape.candles = {"BTC/USDT": walk(1)[:bars]}
        server.tape.halted = {"BTC/USDT"} if halted else set()
        settings = live_settings(server)
        exchange = open_exchange(settings, ["S"], "1m")
        store, closed = Store(folder, "source", "S", "1m"), last_close(exchange, MINUTE, settings["grace"])
        return realise(exchange, store, "S", Link(Path(), cast(Any, entry), ""), closed, fill=1)


def test_a_horizon_that_is_over_is_final(tmp_path: Path) -> None:
    found = realised(tmp_path, 100)
    assert found.final and found.halted is None
    np.testing.assert_array_equal(found.closes, walk(1)[100 : 100 + HORIZON, 4])


def test_a_horizon_that_is_not_over_is_waited_for(tmp_path: Path) -> None:
    found = realised(tmp_path, BARS - 5, halted=True)
    assert not found.final and found.halted is None
    assert np.isfinite(found.closes).sum() == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        # the last bar that there is was five bars into the horizon
        ({"first": BARS - 30, "bars": BARS - 25, "halted": True}, r"is not traded on binance any more \(halted, deli"),
        ({"first": BARS - 30, "bars": BARS - 25}, None),
        ({"first": 100, "bars": 105}, "binance has no candle up to 2024-01-01T01:52:00Z, long after it"),
        ({"first": 100, "symbol": "XRP/USDT"}, "XRP/USDT is not listed on binance any more"),
    ],
)
def test_why_no_further_close_comes(tmp_path: Path, given: dict[str, Any], said: str | None) -> None:
    found = realised(tmp_path, **given)
    assert not found.final and np.isfinite(found.closes).sum() == (0 if "symbol" in given else 5)
    assert (found.halted is None) == (said is None)
    if said:
        assert re.search(said, found.halted or "")


def test_a_decision_without_its_close_is_unsettleable_where_none_will_come() -> None:
    some = np.array([1.0, np.nan])
    assert _status("complete", "T", Realised(np.ones(2), final=True)) == ("complete", None)
    assert _status("partial", "T", Realised(some, final=False)) == ("partial", None)
    assert _status("pending", "T", Realised(np.full(2, np.nan), final=False)) == ("pending", None)
    gap = _status("partial", "T", Realised(some, final=True))
    assert gap == ("unsettleable", "gap at the fill: no candle closes at the planned exit, T, and none will")
    assert _status("partial", "T", Realised(some, False, "halted")) == ("unsettleable", "halted")
    # what was sold before the halt is settled
    assert _status("complete", "T", Realised(some, False, "halted")) == ("complete", None)
