"""Realised returns after an origin, from candles."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_parquet
from forecasting.quantiles import Forecasts
from market.candles import continued
from market.intervals import iso


def log_closes(candles: Sequence[str], later: Sequence[str] = ()) -> dict[str, pd.Series]:
    """Log closes by open time (ms) of each symbol, from files <symbol>.parquet; the files `later` continue them."""
    closes = {}
    for path in candles:
        name = Path(path).stem
        files = [file for file in (path, *later) if Path(file).stem == name]
        frames = [read_parquet(file, ["timestamp", "close"]) for file in files]
        frame = continued(*frames) if len(frames) > 1 else frames[0]
        closes[name] = pd.Series(np.log(frame["close"].to_numpy()), index=frame["timestamp"])
    return closes


def realised_returns(closes: pd.Series, origin: np.ndarray, bar_ms: int, horizon: int) -> np.ndarray:
    """Realised cumulative log returns [n, horizon] after each origin [n] (ms); NaN where a bar is missing."""
    times = origin[:, None] + bar_ms * np.arange(horizon + 1)
    path = closes.reindex(times.ravel()).to_numpy().reshape(times.shape)
    return path[:, 1:] - path[:, :1]


def realised_of(
    forecasts: Forecasts, closes: Mapping[str, pd.Series], bar_ms: int, complete: bool = False
) -> np.ndarray:
    """Realised cumulative log returns [n, horizon] of the forecasts, in their order; NaN where a bar is missing.

    Raises UserError when a symbol has no candles, and with `complete` when a bar is missing.
    """
    horizon = forecasts.quantiles.shape[1]
    realised = np.empty((len(forecasts.origin), horizon))
    for symbol, rows in forecasts.rows().items():
        if symbol not in closes:
            raise UserError(f"{symbol}: has forecasts but no candles; delete its forecasts and run again")
        realised[rows] = realised_returns(closes[symbol], forecasts.origin[rows], bar_ms, horizon)
        if complete and np.isnan(realised[rows]).any():
            times = (forecasts.origin[rows, None] + bar_ms * np.arange(horizon + 1)).ravel()
            missing = iso(int(times[~np.isin(times, closes[symbol].index)][0]))
            raise UserError(
                f"{symbol}: the candles lack the bar at {missing} that forecasts are compared with; "
                "delete the forecasts and run again"
            )
    return realised
