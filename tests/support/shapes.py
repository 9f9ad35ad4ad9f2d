"""Candles for tests of readers: hours of a walk, of prices and volumes that text holds exactly."""

import numpy as np
import pandas as pd

from market.candles import COLUMNS
from market.intervals import MINUTE

HOUR = 60 * MINUTE
START = 1_704_067_200_000  # 2024-01-01


def bars(count: int) -> np.ndarray:
    """Hours [n, 6] from START: each opens at the close before it."""
    draw, level = np.random.default_rng(5), 40_000.0
    close = np.round(level * np.exp(np.cumsum(draw.normal(0, 0.005, count))), 2)
    opened = np.r_[level, close[:-1]]
    high, low = np.round(np.maximum(opened, close) * 1.002, 2), np.round(np.minimum(opened, close) * 0.998, 2)
    volume = np.round(draw.uniform(2, 8, count), 3)
    return np.stack([START + np.arange(count) * HOUR, opened, high, low, close, volume], axis=1)


def table(rows: np.ndarray) -> pd.DataFrame:
    """Rows as a frame of `COLUMNS`."""
    return pd.DataFrame(rows, columns=COLUMNS).astype({"timestamp": "int64"})
