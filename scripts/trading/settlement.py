"""The audit: the realised return of a sealed decision, or that of the plan that a HOLD did not take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trading.costs import Costs, RoundTrip, costs_of
from trading.documents import BUY, Audit, Fills, MissedTrade, PlanResult, Trade
from trading.plans import Plans, fills


@dataclass(frozen=True)
class Sale:
    """When a plan sold: the place of that close in the horizon, its close or level, and whether it was as planned."""

    place: int
    price: float
    as_planned: bool


def closes_from(candles: pd.DataFrame, start: int, bar_ms: int, count: int) -> np.ndarray:
    """Closes [count] of the bars that open from `start` (ms) on, one each `bar_ms`; NaN where there is no bar."""
    grid = start + bar_ms * np.arange(count)
    return candles.set_index("timestamp")["close"].reindex(grid).to_numpy(dtype=np.float64)


def sales(plans: Plans, closes: np.ndarray, entry: float) -> list[Sale | None]:
    """When and at which price each plan sells, its levels being prices; None where no close up to there is available.

    closes [steps]: realised, NaN where missing. A missing exit is sold at the last close before it.
    """
    known = np.isfinite(closes)
    # a missing close touches no level that the one before it did not
    filled = pd.Series(closes).ffill().fillna(entry).to_numpy()
    steps, prices = fills(plans, filled[:, None])
    last = np.maximum.accumulate(np.where(known, np.arange(len(closes)), -1))
    found: list[Sale | None] = []
    for step, price in zip(steps[:, 0].tolist(), prices[:, 0].tolist(), strict=True):
        place = int(last[step - 1])
        found.append(None if place < 0 else Sale(place, price, place == step - 1))
    return found


def settle(
    trade: Trade, path: pd.DataFrame, plans: pd.DataFrame, closes: np.ndarray, changed: Sequence[str] = ()
) -> Audit:
    """The audit of `trade`. changed: what of its code, config and image is another now.

    path: the ensemble forecast in prices, a row a step, with `price_fc`, `q0.05`, `q0.95`. plans: those that were
    compared, `trading.decision.plan_table`. closes [steps]: realised, NaN where missing. The sale is at the planned
    exit's close, or at a level that is touched before; when that close is missing, at the last one before it; when
    there is none, nothing is realised yet and the fields of the sale are null. A HOLD realises nothing, and `missed` is
    what its best plan would have returned.
    """
    decision, config, times = trade["decision"], trade["config"], trade["forecast"]["times"]
    available = np.flatnonzero(np.isfinite(closes))
    costs, entry, cash = costs_of(config), decision["entry_price"], config["cash"]
    (sale,) = sales(_planned(trade), closes, entry)
    earned = costs.round_trip(cash, entry, sale.price) if sale else None
    sold_at = times[sale.place] if sale else None
    if decision["action"] == BUY:
        sold = _bought(costs.buy_fill(entry), costs.units(cash, entry), sold_at, earned)
    else:
        sold = _held(sold_at, earned)
    error = _change_pct(path["price_fc"].iloc[sale.place], closes[sale.place]) if sale else None
    return {
        **sold,
        "status": "pending" if sale is None else "complete" if sale.as_planned else "partial",
        "evaluated_at": times[available[-1]] if len(available) else decision["entry_time"],
        "symbol": config["symbol"],
        "interval": config["interval"],
        "action": decision["action"],
        "entry_time": decision["entry_time"],
        "was_partial_window": sale is None or not sale.as_planned,
        "horizon_return_pct": _change_pct(closes[available[-1]], entry) if len(available) else None,
        "plans": plan_results(plans, times, closes, entry, costs, cash),
        "forecast_error_pct": error,
        "inside_90": _share_inside(path, closes, available),
        "simulated": trade["simulated"],
        "changed": list(changed),
        "seal": trade["seal"],
    }


def plan_results(
    plans: pd.DataFrame, times: list[str], closes: np.ndarray, entry: float, costs: Costs, cash: float
) -> list[PlanResult]:
    """What each plan left, or would have, as far as closes are available."""
    upper, lower = plans["take_profit_price"].fillna(np.inf), plans["stop_price"].fillna(0)
    step, profit, stop = (plans[name].to_numpy() for name in ("exit_step", "take_profit", "stop"))
    grid = Plans(step, profit, stop, upper.to_numpy(), lower.to_numpy())
    results: list[PlanResult] = []
    for row, sale in zip(plans.to_dict("records"), sales(grid, closes, entry), strict=True):
        if sale:
            results.append(
                {
                    "exit_time": row["exit_time"],
                    "take_profit_price": _or_null(row["take_profit_price"]),
                    "stop_price": _or_null(row["stop_price"]),
                    "sell_time": times[sale.place],
                    "return_pct": costs.round_trip(cash, entry, sale.price).return_pct,
                }
            )
    return results


def describe_result(audit: Audit) -> str:
    """The audit in a sentence or two: what was earned or lost, or what the HOLD avoided or missed."""
    if audit["status"] == "pending":
        return "No close up to the planned sale is available yet, so nothing is settled."
    missed = audit["missed"]
    pnl = missed["pnl_usd"] if missed else audit["realized_pnl_usd"]
    return_pct = missed["return_pct"] if missed else audit["realized_return_pct"]
    sold_at = missed["sell_time"] if missed else audit["sell_time"]
    subject = "It"
    if missed:
        judgement = "Holding was right" if missed["hold_was_right"] else "Holding missed out"
        subject = f"{judgement}: the best plan would have"
    assert pnl is not None and return_pct is not None  # these are null only while the audit is pending
    sentence = f"{subject} {'earned' if pnl > 0 else 'lost'} {abs(pnl):.2f} USD ({return_pct:+.3f} %) after costs."
    if audit["status"] == "partial":
        sentence += f" The close at the planned sale is missing; the last one before it, of {sold_at}, is used instead."
    return f"{sentence} {_alternatives(audit)}" if missed else sentence


def _alternatives(audit: Audit) -> str:
    """What the price did, and how many of the plans would have earned something."""
    returns = [plan["return_pct"] for plan in audit["plans"]]
    earning = sum(value > 0 for value in returns)
    return (
        f"The price changed by {audit['horizon_return_pct'] or 0:+.3f} % up to {audit['evaluated_at']}; {earning} of "
        f"{len(returns)} plans would have earned something, the luckiest {max(returns):+.3f} %."
    )


def _planned(trade: Trade) -> Plans:
    """The best plan alone, its levels being prices."""
    plan = trade["plan"]
    levels = plan["take_profit_price"] or np.inf, plan["stop_price"] or 0.0
    told = plan["take_profit_price"] or np.nan, plan["stop_price"] or np.nan
    return Plans(np.array([plan["exit_step"]]), *(np.array([value]) for value in (*told, *levels)))


def _or_null(price: float) -> float | None:
    return price if np.isfinite(price) else None


def _bought(entry_fill: float, units: float, sold_at: str | None, earned: RoundTrip | None) -> Fills:
    return {
        "entry_fill": entry_fill,
        "units_bought": units,
        "sell_time": sold_at,
        "sell_fill": earned.sell_fill if earned else None,
        "commission_total_usd": earned.commission if earned else None,
        "realized_pnl_usd": earned.pnl if earned else None,
        "realized_return_pct": earned.return_pct if earned else None,
        "missed": None,
    }


def _held(sold_at: str | None, earned: RoundTrip | None) -> Fills:
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
    }


def _change_pct(price: float, before: float) -> float:
    return float(100 * (price / before - 1))


def _share_inside(path: pd.DataFrame, closes: np.ndarray, available: np.ndarray) -> float | None:
    """Share of the available closes that lie in the 90 % interval of their step."""
    if not len(available):
        return None
    low, high = path["q0.05"].to_numpy()[available], path["q0.95"].to_numpy()[available]
    return float(((low <= closes[available]) & (closes[available] <= high)).mean())
