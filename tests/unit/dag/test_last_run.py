"""What read-only stages ask of the decision that they show."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from common.files import write_json
from consensus import consensus
from dag.last_run import check_made
from market.intervals import iso
from support.worlds import AS_OF, World


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
