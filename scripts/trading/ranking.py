"""Decisions on several symbols side by side, the best first."""

from collections.abc import Mapping, Sequence

import pandas as pd

from trading.documents import BUY, UnsealedTrade
from trading.policies import policy_of


def ranked(decisions: Mapping[str, UnsealedTrade]) -> list[str]:
    """The symbols: BUYs first, then by their policy's merit, and name."""

    def order(name: str) -> tuple[float | str, ...]:
        merit = policy_of(decisions[name]["config"]["policy"]).merit(decisions[name])
        return (decisions[name]["decision"]["action"] != BUY, *(-figure for figure in merit), name)

    return sorted(decisions, key=order)


def decisions_table(decisions: Sequence[UnsealedTrade]) -> pd.DataFrame:
    """A row a decision, in their order: its rank, action, best plan or exposure with its figures, failed gates and
    reason."""
    return pd.DataFrame([_row(one) for one in decisions])


def _row(document: UnsealedTrade) -> dict[str, object]:
    decision = document["decision"]
    figures = dict(document["plan"] or document["exposure"] or {})
    head = {"rank": document["candidates"]["rank"], "symbol": document["config"]["symbol"]}
    names = ("action", "entry_time", "entry_price", "target_time", "target_price")
    return {
        **head,
        **{name: dict(decision)[name] for name in names},
        **{name: value for name, value in figures.items() if name != "exit_step"},
        "failed_gates": " ".join(document["breakeven"]["failed_gates"]),
        "reason": decision["reason"],
    }
