"""The audit: the realised return of a sealed decision, or that of the plan that a HOLD did not take."""

import numpy as np
import pandas as pd

from trading.costs import Costs, RoundTrip
from trading.decision import BUY
from trading.documents import Audit, Fills, MissedTrade, Trade


def closes_from(candles: pd.DataFrame, start: int, bar_ms: int, count: int) -> np.ndarray:
    """Closes [count] of the bars that open from `start` (ms) on, one each `bar_ms`; NaN where there is no bar."""
    grid = start + bar_ms * np.arange(count)
    return candles.set_index("timestamp")["close"].reindex(grid).to_numpy(dtype=np.float64)


def settle(trade: Trade, path: pd.DataFrame, closes: np.ndarray) -> Audit:
    """The audit of `trade`.

    path: the ensemble forecast in prices, a row a step, with `price_fc`, `q0.05`, `q0.95`. closes [steps]: realised,
    NaN where missing. The sale is at the target's close; when that is missing, at the last close before it; when there
    is none, nothing is realised yet and the fields of the sale are null. A HOLD realises nothing, and `missed` is what
    its plan would have returned.
    """
    decision, config, times = trade["decision"], trade["config"], trade["forecast"]["times"]
    target = times.index(decision["target_time"])
    available = np.flatnonzero(np.isfinite(closes))
    sale = int(available[available <= target].max(initial=-1))
    costs = Costs(config["commission_pct"], config["commission_flat"], config["slippage_pct"])
    entry = decision["entry_price"]
    earned = None if sale < 0 else costs.round_trip(config["cash"], entry, float(closes[sale]))
    if decision["action"] == BUY:
        units = costs.units(config["cash"], entry)
        fills = _bought(costs.buy_fill(entry), units, None if sale < 0 else times[sale], earned)
    else:
        fills = _held(times[sale], earned)
    return {
        **fills,
        "status": "pending" if sale < 0 else "complete" if sale == target else "partial",
        "evaluated_at": times[available[-1]] if len(available) else decision["entry_time"],
        "symbol": config["symbol"],
        "interval": config["interval"],
        "action": decision["action"],
        "entry_time": decision["entry_time"],
        "was_partial_window": sale != target,
        "forecast_error_pct": None if sale < 0 else _error_pct(path["price_fc"].iloc[sale], closes[sale]),
        "inside_90": _share_inside(path, closes, available),
        "simulated": trade["simulated"],
        "seal": trade["seal"],
    }


def describe_result(audit: Audit) -> str:
    """The audit in a sentence: what was earned or lost, or what the HOLD avoided or missed."""
    if audit["status"] == "pending":
        return "No close up to the planned sale is available yet, so nothing is settled."
    missed = audit["missed"]
    pnl = missed["pnl_usd"] if missed else audit["realized_pnl_usd"]
    return_pct = missed["return_pct"] if missed else audit["realized_return_pct"]
    sold_at = missed["sell_time"] if missed else audit["sell_time"]
    subject = "It"
    if missed:
        judgement = "Holding was right" if missed["hold_was_right"] else "Holding missed out"
        subject = f"{judgement}: the same plan would have"
    assert pnl is not None and return_pct is not None  # these are null only while the audit is pending
    sentence = f"{subject} {'earned' if pnl > 0 else 'lost'} {abs(pnl):.2f} USD ({return_pct:+.3f} %) after costs."
    if audit["status"] == "partial":
        sentence += f" The close at the planned sale is missing; the last one before it, of {sold_at}, is used instead."
    return sentence


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


def _held(sold_at: str, earned: RoundTrip | None) -> Fills:
    missed: MissedTrade | None = None
    if earned:
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


def _error_pct(forecast: float, close: float) -> float:
    return float(100 * (forecast / close - 1))


def _share_inside(path: pd.DataFrame, closes: np.ndarray, available: np.ndarray) -> float | None:
    """Share of the available closes that lie in the 90 % interval of their step."""
    if not len(available):
        return None
    low, high = path["q0.05"].to_numpy()[available], path["q0.95"].to_numpy()[available]
    return float(((low <= closes[available]) & (closes[available] <= high)).mean())
