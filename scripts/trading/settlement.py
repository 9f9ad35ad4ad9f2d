"""The audit: what a sealed decision earned, or spared, on the candles that came after it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from trading.costs import Costs, RoundTrip
from trading.decision import BUY

COMPLETE, PARTIAL, PENDING = "complete", "partial", "pending"
_NOTHING = {
    "entry_fill": None,
    "units_bought": 0.0,
    "sell_time": None,
    "sell_fill": None,
    "commission_total_usd": 0.0,
    "realized_pnl_usd": 0.0,
    "realized_return_pct": 0.0,
}


def closes_from(candles: pd.DataFrame, start: int, step: int, count: int) -> np.ndarray:
    """Closes [count] of the bars that open from `start` (ms) on, one each `step` ms; NaN where there is no bar."""
    grid = start + step * np.arange(count)
    return candles.set_index("timestamp")["close"].reindex(grid).to_numpy(dtype=np.float64)


def settle(trade: Mapping[str, Any], path: pd.DataFrame, closes: np.ndarray) -> dict[str, Any]:
    """The audit of `trade`, ready for JSON.

    path: the ensemble forecast in prices, a row a step, with `price_fc`, `q0.05`, `q0.95`. closes [steps]: what came,
    NaN where missing. A sale happens at the target's close; when that is missing, at the last close before it; when
    there is none, nothing is realised yet and what it would be is null. A HOLD realises nothing, and `missed` says what
    buying by the same plan left.
    """
    decision, config = trade["decision"], trade["config"]
    times = trade["forecast"]["times"]
    target = times.index(decision["target_time"])
    known = np.flatnonzero(np.isfinite(closes))
    sale = known[known <= target].max(initial=-1)
    status = PENDING if sale < 0 else COMPLETE if sale == target else PARTIAL
    costs = Costs(config["commission_pct"], config["commission_flat"], config["slippage_pct"])
    entry = decision["entry_price"]
    earned = None if sale < 0 else costs.round_trip(config["cash"], entry, float(closes[sale]))
    sold_at = None if sale < 0 else times[sale]
    if decision["action"] == BUY:
        fills = {
            "entry_fill": costs.buy_fill(entry),
            "units_bought": costs.units(config["cash"], entry),
            "missed": None,
        } | _sale(sold_at, earned)
    else:
        fills = _NOTHING | {"missed": _missed(sold_at, earned)}
    return {
        "status": status,
        "evaluated_at": times[known[-1]] if len(known) else decision["entry_time"],
        "symbol": config["symbol"],
        "interval": config["interval"],
        "action": decision["action"],
        "entry_time": decision["entry_time"],
        "was_partial_window": status != COMPLETE,
        "forecast_error_pct": None if sale < 0 else _error_pct(path["price_fc"].iloc[sale], closes[sale]),
        "inside_90": _share_inside(path, closes, known),
        "simulated": trade["simulated"],
        "seal": trade["seal"],
        **fills,
    }


def result(audit: Mapping[str, Any]) -> str:
    """The audit in a sentence: what was earned, or what the HOLD spared or missed."""
    if audit["status"] == PENDING:
        return "No candle up to the planned sale has come, so nothing is settled yet."
    bought = audit["action"] == BUY
    part, prefix = (audit, "realized_") if bought else (audit["missed"], "")
    pnl = part[f"{prefix}pnl_usd"]
    amount = f"{abs(pnl):.2f} USD ({part[f'{prefix}return_pct']:+.3f} %)"
    verb = "earned" if pnl > 0 else "lost"
    early = (
        f" The target's close is missing; the last known one, of {part['sell_time']}, stands in."
        if audit["status"] == PARTIAL
        else ""
    )
    if bought:
        return f"It {verb} {amount} after costs.{early}"
    judged = "Holding was right" if part["hold_was_right"] else "Holding missed out"
    return f"{judged}: the same plan would have {verb} {amount} after costs.{early}"


def _sale(sold_at: str | None, earned: RoundTrip | None) -> dict[str, Any]:
    return {
        "sell_time": sold_at,
        "sell_fill": earned.sell_fill if earned else None,
        "commission_total_usd": earned.commission if earned else None,
        "realized_pnl_usd": earned.pnl if earned else None,
        "realized_return_pct": earned.return_pct if earned else None,
    }


def _missed(sold_at: str | None, earned: RoundTrip | None) -> dict[str, Any] | None:
    if earned is None:
        return None
    return {
        "sell_time": sold_at,
        "sell_fill": earned.sell_fill,
        "pnl_usd": earned.pnl,
        "return_pct": earned.return_pct,
        "hold_was_right": earned.pnl <= 0,
    }


def _error_pct(forecast: float, close: float) -> float:
    return float(100 * (forecast / close - 1))


def _share_inside(path: pd.DataFrame, closes: np.ndarray, known: np.ndarray) -> float | None:
    """Share of the known closes that lie in the 90 % interval of their step."""
    if not len(known):
        return None
    low, high = path["q0.05"].to_numpy()[known], path["q0.95"].to_numpy()[known]
    return float(((low <= closes[known]) & (closes[known] <= high)).mean())
