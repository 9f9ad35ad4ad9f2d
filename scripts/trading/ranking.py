"""Decisions on several symbols side by side, the best first."""

from collections.abc import Mapping, Sequence

import pandas as pd

from trading.documents import BUY, UnsealedTrade


def ranked(decisions: Mapping[str, UnsealedTrade]) -> list[str]:
    """The symbols: BUYs first, then by expected log growth, expected return, probability of a profit, and name."""

    def order(name: str) -> tuple[float | str, ...]:
        plan = decisions[name]["plan"]
        figures = (plan["log_growth_pct"], plan["expected_return_pct"], plan["probability_of_profit"])
        return (decisions[name]["decision"]["action"] != BUY, *(-figure for figure in figures), name)

    return sorted(decisions, key=order)


def decisions_table(decisions: Sequence[UnsealedTrade]) -> pd.DataFrame:
    """A row a decision, in their order: its rank, action, best plan with its figures, failed gates and reason."""
    return pd.DataFrame([_row(one) for one in decisions])


def _row(document: UnsealedTrade) -> dict[str, object]:
    decision, plan = document["decision"], document["plan"]
    head = {"rank": document["candidates"]["rank"], "symbol": document["config"]["symbol"]}
    names = ("action", "entry_time", "entry_price", "target_time", "target_price")
    return {
        **head,
        **{name: dict(decision)[name] for name in names},
        **{name: value for name, value in plan.items() if name != "exit_step"},
        "failed_gates": " ".join(document["breakeven"]["failed_gates"]),
        "reason": decision["reason"],
    }
