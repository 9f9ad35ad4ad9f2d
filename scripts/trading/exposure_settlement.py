"""The audit of the policy `exposure`: what the weight earned over the holding period, and what others would have."""

import numpy as np
import pandas as pd

from trading.costs import costs_of
from trading.documents import BUY, HOLD, SELL, Alternative, Audit, Fills, Held, Status, Trade, exposure_of
from trading.settlement import audited


def settle(trade: Trade, path: pd.DataFrame, plans: pd.DataFrame, closes: np.ndarray) -> Audit:
    """The audit of `trade`: `trading.settlement.settle`.

    plans: the weights that were compared, `trading.exposure_policy.weight_table`. The position is marked at the close
    of the last step, or where it is missing at the last one before; where there is none, nothing is settled yet.
    """
    available = np.flatnonzero(np.isfinite(closes))
    place = int(available[-1]) if len(available) else None
    held = None if place is None else _held(trade, plans, closes, place)
    status: Status = "pending" if place is None else "complete" if place == len(closes) - 1 else "partial"
    return audited(trade, _fills(trade, held), path, closes, place, status)


def _held(trade: Trade, plans: pd.DataFrame, closes: np.ndarray, place: int) -> Held:
    """What each of the weights left at a close."""
    decision, cash = trade["decision"], trade["config"]["cash"]
    costs = costs_of(trade["config"], trade["market"])
    ratio = closes[place] / decision["entry_price"]
    left = {
        str(name): float((1 - cost / cash) * costs.growth(weight, ratio, place + 1)) - 1
        for name, weight, cost in zip(plans["alternative"], plans["weight"], plans["cost_usd"], strict=True)
    }
    others: list[Alternative] = [
        {"name": str(name), "weight": float(weight), "return_pct": 100 * left[str(name)]}
        for name, weight in zip(plans["alternative"], plans["weight"], strict=True)
        if name != "decided"
    ]
    return {
        "weight": exposure_of(trade)["weight"],
        "marked_at": trade["forecast"]["times"][place],
        "mark_price": float(closes[place]),
        "pnl_usd": cash * left["decided"],
        "return_pct": 100 * left["decided"],
        "alternatives": others,
    }


def _fills(trade: Trade, held: Held | None) -> Fills:
    """The move, and what the weight earned; what is held is not sold."""
    decision, exposure = trade["decision"], exposure_of(trade)
    costs, entry = costs_of(trade["config"], trade["market"]), decision["entry_price"]
    sells = decision["action"] == SELL
    return {
        "entry_fill": costs.buy_fill(entry) if decision["action"] == BUY else None,
        "units_bought": exposure["traded_usd"] / entry,
        "sell_time": decision["entry_time"] if sells else None,
        "sell_fill": costs.sell_fill(entry) if sells else None,
        "commission_total_usd": 0.0 if decision["action"] == HOLD else decision["commission_total_usd"],
        "realized_pnl_usd": held["pnl_usd"] if held else None,
        "realized_return_pct": held["return_pct"] if held else None,
        "missed": None,
        "plans": [],
        "exposure": held,
    }
