"""A backtest by the real stage, of made-up decisions on candles that a world has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backtest import backtest
from common.files import write_csv
from forecasting.task import Task
from market.intervals import iso


def decisions_table(symbols: Sequence[str], origins: np.ndarray, bar_ms: int) -> pd.DataFrame:
    """A HOLD a symbol and origin, whose best plan would have lost its costs."""
    rows = [
        {"fold": 0, "origin": origin, "time": iso(origin + bar_ms), "symbol": name}
        for origin in origins.tolist()
        for name in symbols
    ]
    figures = {"action": "HOLD", "rank": 1, "failed_gates": "skill", "weight": np.nan, "spent": 0.0, "sell_step": 2}
    stated = {"expected_return_pct": -0.2, "probability_of_profit": 0.3, "return_pct": -0.1, "mean_plan_pct": -0.2}
    width = {f"{kind}_{name}": 0.5 for kind in ("volatility", "shortfall") for name in ("ensemble", "ewma", "oracle")}
    beyond = {
        "luckiest_plan_pct": 0.1,
        "sell_close": 1.0,
        "price_change_pct": 0.1,
        "value_at_risk": 0.01,
        "oracle_exit": 0,
    }
    return pd.DataFrame([{**row, **figures, **stated, **width, **beyond} for row in rows])


def write_backtest(
    folder: Path, candles: Mapping[str, str], cutoff: str, evaluation: str, task: Task, settings: Mapping[str, Any]
) -> Path:
    """backtest.json of decisions at the second and every third bar of the candles."""
    times = pd.read_parquet(next(iter(candles.values())))["timestamp"].to_numpy()
    table = folder / "backtest" / "0.csv"
    write_csv(table, decisions_table(sorted(candles), times[1 : -task.horizon : 3], task.bar_ms))
    output = folder / "backtest.json"
    written = str(output), str(folder / "backtest.csv"), str(folder / "backtest_equity.csv"), str(folder / "trials")
    backtest(*written, [str(table)], candles, cutoff, evaluation, task, 3, settings, "digest")
    return output
