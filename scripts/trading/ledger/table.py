"""The ledger as a table: a row a forecast with its scores, and the decision with what it earned or missed."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from forecasting.members import ENSEMBLE
from trading.documents import Audit, Trade
from trading.ledger.chain import Link
from trading.ledger.documents import Settlement
from trading.ledger.entries import documents

# of the decision: in the ensemble's rows alone
DECISION = ("action", "expected_return_pct", "return_pct", "missed_pct", "horizon_return_pct")
SCORES = ("steps", "pinball", "crps", "coverage50", "coverage90")
COLUMNS = [
    *("as_of", "exchange", "interval", "horizon", "symbol", "member", "weight", "status", "reason"),
    *SCORES,
    *DECISION,
]


def ledger_table(entries: Sequence[tuple[Link, Settlement]]) -> pd.DataFrame:
    """A row an entry, symbol and member, `COLUMNS`; the ensemble's first. What is not known yet is missing."""
    rows = [row for link, settlement in entries for row in _rows(link, settlement)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"steps": "Int64"})


def _rows(link: Link, settlement: Settlement) -> Iterator[dict[str, Any]]:
    entry = link.entry
    common = {name: entry[name] for name in ("as_of", "exchange", "interval", "horizon")}
    for symbol, trade in documents(link).items():
        settled = settlement["symbols"][symbol]
        standing = {"symbol": symbol, "status": settled["status"], "reason": settled["reason"]}
        weights = {ENSEMBLE: 1.0} | {name: vote["weight"] for name, vote in trade["votes"].items()}
        for member, weight in weights.items():
            row = common | standing | {"member": member, "weight": weight} | settled["scores"].get(member, {"steps": 0})
            yield row | (decision(trade, settled["audit"]) if member == ENSEMBLE else {})


def decision(trade: Trade, audit: Audit | None) -> dict[str, Any]:
    """What was decided on a symbol, and what it earned or missed, in percent of the cash; None while not known."""
    missed = audit["missed"] if audit else None
    return {
        "action": trade["decision"]["action"],
        "expected_return_pct": trade["decision"]["expected_return_pct"],
        "return_pct": audit["realized_return_pct"] if audit else None,
        "missed_pct": missed["return_pct"] if missed else None,
        "horizon_return_pct": audit["horizon_return_pct"] if audit else None,
    }
