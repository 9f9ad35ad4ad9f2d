"""The audit of the policy `trade`: the realised return of a BUY, or that of the plan that a HOLD did not take."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading.costs import Costs, RoundTrip, costs_of
from trading.documents import BUY, Audit, Fills, MissedTrade, PlanResult, Status, Trade, UnsealedTrade, plan_of
from trading.plans import Plans, fills
from trading.settlement import audited


@dataclass(frozen=True)
class Sale:
    """When a plan sold: the place of that close in the horizon, its close or level, whether it was as planned, and
    whether as maker."""

    place: int
    price: float
    as_planned: bool
    maker: bool


def sales(plans: Plans, closes: np.ndarray, entry: float) -> list[Sale | None]:
    """When and at which price each plan sells, its levels being prices; None where no close up to there is available.

    closes [steps]: realised, NaN where missing. A missing exit is sold at the last close before it.
    """
    known = np.isfinite(closes)
    # a missing close touches no level that the one before it did not
    filled = pd.Series(closes).ffill().fillna(entry).to_numpy()
    steps, prices, taken = fills(plans, filled[:, None])
    last = np.maximum.accumulate(np.where(known, np.arange(len(closes)), -1))
    found: list[Sale | None] = []
    for step, price, maker in zip(steps[:, 0].tolist(), prices[:, 0].tolist(), taken[:, 0].tolist(), strict=True):
        place = int(last[step - 1])
        found.append(None if place < 0 else Sale(place, price, place == step - 1, maker))
    return found


def plan_sales(plans: pd.DataFrame, closes: np.ndarray, entry: float) -> list[Sale | None]:
    """`sales` of a table of plans, `trading.trade_policy.plan_table`."""
    upper, lower = plans["take_profit_price"].fillna(np.inf), plans["stop_price"].fillna(0)
    step, profit, stop = (plans[name].to_numpy() for name in ("exit_step", "take_profit", "stop"))
    return sales(Plans(step, profit, stop, upper.to_numpy(), lower.to_numpy()), closes, entry)


def settle(trade: Trade, path: pd.DataFrame, plans: pd.DataFrame, closes: np.ndarray) -> Audit:
    """The audit of `trade`: `trading.settlement.settle`.

    plans: those that were compared, `trading.trade_policy.plan_table`. The sale is at the planned exit's close, or at a
    level that is touched before; when that close is missing, at the last one before it; when there is none, nothing is
    realised yet and the fields of the sale are null. A HOLD realises nothing, and `missed` is what its best plan would
    have returned.
    """
    decision, config, times = trade["decision"], trade["config"], trade["forecast"]["times"]
    costs, entry, spent = costs_of(config, trade["market"]), decision["entry_price"], decision["spent_usd"]
    (sale,) = sales(planned(trade), closes, entry)
    earned = costs.round_trip(spent, entry, sale.price, sale.place + 1, sale.maker) if sale else None
    sold_at = times[sale.place] if sale else None
    results = plan_results(plans, times, closes, entry, costs, config["cash"])
    if decision["action"] == BUY:
        sold = _bought(costs.buy_fill(entry), costs.units(spent, entry), sold_at, earned, results)
    else:
        sold = _held(sold_at, earned, results)
    status: Status = "pending" if sale is None else "complete" if sale.as_planned else "partial"
    return audited(trade, sold, path, closes, sale.place if sale else None, status)


def plan_results(
    plans: pd.DataFrame, times: list[str], closes: np.ndarray, entry: float, costs: Costs, cash: float
) -> list[PlanResult]:
    """What each plan left, or would have, as far as closes are available."""
    results: list[PlanResult] = []
    for row, sale in zip(plans.to_dict("records"), plan_sales(plans, closes, entry), strict=True):
        if sale:
            results.append(
                {
                    "exit_time": row["exit_time"],
                    "take_profit_price": _or_null(row["take_profit_price"]),
                    "stop_price": _or_null(row["stop_price"]),
                    "sell_time": times[sale.place],
                    "return_pct": costs.round_trip(cash, entry, sale.price, sale.place + 1, sale.maker).return_pct,
                }
            )
    return results


def planned(trade: UnsealedTrade) -> Plans:
    """The best plan alone, its levels being prices."""
    plan = plan_of(trade)
    levels = plan["take_profit_price"] or np.inf, plan["stop_price"] or 0.0
    told = plan["take_profit_price"] or np.nan, plan["stop_price"] or np.nan
    return Plans(np.array([plan["exit_step"]]), *(np.array([value]) for value in (*told, *levels)))


def _or_null(price: float) -> float | None:
    return price if np.isfinite(price) else None


def _bought(
    entry_fill: float, units: float, sold_at: str | None, earned: RoundTrip | None, plans: list[PlanResult]
) -> Fills:
    return {
        "entry_fill": entry_fill,
        "units_bought": units,
        "sell_time": sold_at,
        "sell_fill": earned.sell_fill if earned else None,
        "commission_total_usd": earned.commission if earned else None,
        "realized_pnl_usd": earned.pnl if earned else None,
        "realized_return_pct": earned.return_pct if earned else None,
        "missed": None,
        "plans": plans,
        "exposure": None,
    }


def _held(sold_at: str | None, earned: RoundTrip | None, plans: list[PlanResult]) -> Fills:
    missed: MissedTrade | None = None
    if earned and sold_at:
        missed = {
            "sell_time": sold_at,
            "sell_fill": earned.sell_fill,
            "pnl_usd": earned.pnl,
            "return_pct": earned.return_pct,
            "hold_was_right": earned.pnl <= 0,
        }
    return {
        "entry_fill": None,
        "units_bought": 0.0,
        "sell_time": None,
        "sell_fill": None,
        "commission_total_usd": 0.0,
        "realized_pnl_usd": 0.0,
        "realized_return_pct": 0.0,
        "missed": missed,
        "plans": plans,
        "exposure": None,
    }
