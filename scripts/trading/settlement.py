"""The audit: what a sealed decision earned, by its policy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from trading.documents import Audit, Fills, Status, Trade
from trading.policies import policy_of


def closes_from(candles: pd.DataFrame, start: int, bar_ms: int, count: int) -> np.ndarray:
    """Closes [count] of the bars that open from `start` (ms) on, one each `bar_ms`; NaN where there is no bar."""
    grid = start + bar_ms * np.arange(count)
    after = candles.iloc[slice(*np.searchsorted(candles["timestamp"].to_numpy(), [start, start + count * bar_ms]))]
    return after.set_index("timestamp")["close"].reindex(grid).to_numpy(dtype=np.float64)


def settle(
    trade: Trade, path: pd.DataFrame, plans: pd.DataFrame, closes: np.ndarray, changed: Sequence[str] = ()
) -> Audit:
    """The audit of `trade`. changed: what of its inputs is another now.

    path: the ensemble forecast in prices, a row a step, with `price_fc`, `q0.05`, `q0.95`. plans: the table that was
    sealed with it. closes [steps]: realised, NaN where missing.
    """
    settled = policy_of(trade["config"]["policy"]).settle(trade, path, plans, closes)
    return {**settled, "changed": list(changed)}


def describe_result(audit: Audit) -> str:
    """The audit in a sentence or two: what was earned or lost, or what was avoided or missed."""
    return policy_of(audit["policy"]).describe(audit)


def change_pct(price: float, before: float) -> float:
    """The change from one price to another, percent."""
    return float(100 * (price / before - 1))


def audited(
    trade: Trade,
    fills: Fills,
    path: pd.DataFrame,
    closes: np.ndarray,
    place: int | None,
    status: Status,
) -> Audit:
    """The audit of `trade`, of which `fills` is what was realised.

    path, closes: as those of `settle`. place: of the close that the decision is settled at, None where there is none.
    """
    decision, config, times = trade["decision"], trade["config"], trade["forecast"]["times"]
    available = np.flatnonzero(np.isfinite(closes))
    error = None if place is None else change_pct(path["price_fc"].iloc[place], closes[place])
    return {
        **fills,
        "status": status,
        "evaluated_at": times[available[-1]] if len(available) else decision["entry_time"],
        "symbol": config["symbol"],
        "interval": config["interval"],
        "policy": config["policy"],
        "action": decision["action"],
        "entry_time": decision["entry_time"],
        "was_partial_window": status != "complete",
        "horizon_return_pct": change_pct(closes[available[-1]], decision["entry_price"]) if len(available) else None,
        "forecast_error_pct": error,
        "inside_90": _share_inside(path, closes, available),
        "simulated": trade["simulated"],
        "changed": [],
        "seal": trade["seal"],
    }


def _share_inside(path: pd.DataFrame, closes: np.ndarray, available: np.ndarray) -> float | None:
    """Share of the available closes that lie in the 90 % interval of their step."""
    if not len(available):
        return None
    low, high = path["q0.05"].to_numpy()[available], path["q0.95"].to_numpy()[available]
    return float(((low <= closes[available]) & (closes[available] <= high)).mean())
