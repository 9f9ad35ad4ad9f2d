"""What an exchange admits of an order: a step of its amount, and the least that it may be."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from trading.costs import Costs, Rebalance
from trading.documents import Market

# bars before the decision whose range tells of slippage
RECENT_BARS = 60
# exchanges of which ccxt tells an amount's significant digits, not its step
DIGITS_ALONE = ("bitfinex", "bithumb")
UNLIMITED: Market = {"amount_step": None, "least_amount": None, "least_cost": None, "recent_range_pct": 0.0}


def market_of(market: Mapping[str, Any] | None, exchange: str, bars: pd.DataFrame) -> Market:
    """A symbol's market at a decision. market: ccxt's, None where there is none; bars: candles up to the decision.

    Amounts of a contract are in units of what it is of; those of an inverse one, which are in cash, are left out.
    """
    market = market or {}
    limits, precision = (market.get(name) or {} for name in ("limits", "precision"))
    least_amount, least_cost = ((limits.get(name) or {}).get("min") for name in ("amount", "cost"))
    step = None if exchange in DIGITS_ALONE else precision.get("amount")
    size = 0.0 if market.get("inverse") else market.get("contractSize") or 1.0
    last = bars.iloc[-RECENT_BARS:]
    return {
        "amount_step": _positive(step, size),
        "least_amount": _positive(least_amount, size),
        "least_cost": _positive(least_cost),
        "recent_range_pct": round(float((100 * (last["high"] - last["low"]) / last["close"]).mean()), 7),
    }


def market_at(cutoff: Mapping[str, Any], symbol: str, candles: pd.DataFrame, origin: int) -> Market:
    """The market of a symbol (slug) at an origin (ms), of the candles up to there. cutoff: with its `exchange`,
    `symbols` and `markets`."""
    listed = cutoff.get("markets", {}).get(cutoff["symbols"].get(symbol))
    upto = int(np.searchsorted(candles["timestamp"].to_numpy(), origin, side="right"))
    return market_of(listed, cutoff["exchange"], candles.iloc[max(0, upto - RECENT_BARS) : upto])


def least_order(market: Market, close: float) -> float:
    """The least that an order may be, in cash at a close; 0 where the exchange asks nothing."""
    return max(market["least_cost"] or 0.0, (market["least_amount"] or market["amount_step"] or 0.0) * close)


def check_cash(costs: Costs, cash: float, market: Market, close: float) -> None:
    """Raise UserError where the cash is less than the least order, or no more than the flat commission."""
    costs.units(cash, close)
    least = least_order(market, close)
    if cash < least:
        raise UserError(
            f"consensus.cash: {cash:g} is less than the exchange's smallest order, {least:.6g} at a price of "
            f"{close:.6g}; give more cash"
        )


def whole_steps(units: float, market: Market, up: bool = False) -> float:
    """The units rounded down, or up, to what the exchange admits."""
    step = market["amount_step"]
    if step is None:
        return units
    # a whole number of steps is not lost to the last bit of the division
    count = np.ceil(units / step - 1e-9) if up else np.floor(units / step + 1e-9)
    return float(f"{count * step:.12g}")


def spent_in_steps(cash: float, close: float, costs: Costs, market: Market) -> float:
    """What of `cash` a purchase spends, commissions included, where units come in steps; 0 where it buys none.

    Raises UserError as `Costs.units` does.
    """
    if market["amount_step"] is None:
        return cash
    units = whole_steps(costs.units(cash, close), market)
    return min(cash, costs.price_of(units, close)) if units else 0.0


def admitted(move: Rebalance, wealth: float, held: float, close: float, costs: Costs, market: Market) -> Rebalance:
    """The move of a weight as the exchange admits it, none where it is less than the least order.

    Units are rounded down where the position grows, and up where it shrinks, to no more than all of it: limits hold.
    """
    traded = move
    if market["amount_step"] is not None and move.amount:
        shrinks = abs(move.weight) <= abs(held) and held * move.weight >= 0
        units = whole_steps(abs(move.amount) / close, market, up=shrinks)
        most = abs(held) * wealth if shrinks else np.inf
        traded = costs.traded(wealth, held, float(np.copysign(min(units * close, most), move.amount)))
    too_small = abs(traded.amount) < least_order(market, close)
    return costs.traded(wealth, held, 0.0) if too_small else traded


def _positive(value: Any, size: float = 1.0) -> float | None:
    return float(value) * size or None if value else None
