"""What read-only stages ask of the decision that they show."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from common.files import write_json
from consensus import consensus
from dag.decide import outdated
from dag.last_run import check_made
from market.intervals import iso
from support.exchanges import exchange_settings
from support.worlds import AS_OF, World


def trained_run(folder: Path, **ledger: Any) -> dict[str, Any]:
    """The settings of a run on the simulated market, trained at its beginning of 2024-05-01, as far as its age hangs
    on them."""
    write_json(folder / "as_of" / "train.json", {"as_of": 1_714_521_600_000, "as_of_iso": "2024-05-01T00:00:00Z"})
    return {
        "exchange": exchange_settings(data_end="2024-05-11T01:00:00Z"),
        "symbols": ["BTCUSDT"],
        "interval": "1m",
        "horizon": 60,
        "as_of": "latest",
        "ledger": {"as_of": None, "max_model_age": 9.9, **ledger},
        "paths": {"data": str(folder)},
    }


def test_models_that_are_too_old_are_trained_anew_and_it_is_told(tmp_path: Path) -> None:
    told = "the models were trained on candles up to 2024-05-01T00:00:00Z, 10.0 days ago, and ledger.max_model_age is"
    assert outdated(trained_run(tmp_path), 0) == f"{told} 9.9: they are trained anew"
    assert outdated(trained_run(tmp_path, max_model_age=10), 0) is None
    assert outdated(trained_run(tmp_path, max_model_age=None), 0) is None
    assert outdated(trained_run(tmp_path, as_of="2024-05-10T00:00:00Z"), 0) is None
    # with its time given, training would end where it did
    assert outdated(trained_run(tmp_path) | {"as_of": "2024-05-01T00:00:00Z"}, 0) is None
    live = trained_run(tmp_path) | {"exchange": exchange_settings(id="binance")}
    assert outdated(live, 1_714_521_600 + 9 * 86400) is None
    assert "10.0 days ago" in str(outdated(live, 1_714_521_600 + 10 * 86400))


def run_of(folder: Path, symbol: str) -> dict[str, Any]:
    """The settings of a run that has decided, as far as the check reads them."""
    paths = {"artifacts": str(folder), "data": str(folder / "data")}
    return {"paths": paths, "consensus": {"symbol": symbol}, "interval": "5m", "horizon": 12}


def test_a_decision_is_of_the_run_s_symbol_or_of_the_best(tmp_path: Path) -> None:
    consensus(**World(tmp_path).consensus_inputs())
    write_json(tmp_path / "data" / "as_of" / "live.json", {"as_of_iso": iso(AS_OF)})
    for symbol in ("BTCUSDT", "best"):
        check_made(run_of(tmp_path, symbol), ["--consensus-plot"])
    with pytest.raises(UserError, match="the decision has symbol BTCUSDT, the last run ETHUSDT; decide again first"):
        check_made(run_of(tmp_path, "ETHUSDT"), ["--consensus-plot"])
    with pytest.raises(UserError, match="has horizon 12, the last run 6"):
        check_made(run_of(tmp_path, "best") | {"horizon": 6}, ["--consensus-plot"])
