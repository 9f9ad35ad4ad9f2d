"""Random walks as candles, and what features need of them."""

import numpy as np
import pandas as pd

from market.indicators import relative_returns
from market.intervals import MINUTE

SPANS = [5, 15, 60, 240]


def candles(rows: int, seed: int = 0, start: int = 1_700_000_040_000) -> pd.DataFrame:
    """A random walk as 1m candles."""
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(draw.standard_t(4, rows) * 5e-4))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = 1 + np.abs(draw.normal(0, 2e-4, (2, rows)))
    return pd.DataFrame(
        {
            "timestamp": start + MINUTE * np.arange(rows),
            "open": open_,
            "high": np.maximum(open_, close) * wick[0],
            "low": np.minimum(open_, close) / wick[1],
            "close": close,
            "volume": draw.exponential(3, rows),
        }
    )


def others(frame: pd.DataFrame) -> pd.DataFrame:
    relative = relative_of(candles(len(frame), seed=9))
    return pd.DataFrame({"timestamp": frame["timestamp"], "relative_return": relative})


def relative_of(frame: pd.DataFrame) -> np.ndarray:
    return relative_returns(frame["timestamp"].to_numpy(), frame["close"].to_numpy(), max(SPANS), MINUTE)
