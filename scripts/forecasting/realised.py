"""What came after an origin, from candles."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.files import read_parquet
from market.candles import continued


def log_closes(candles: Sequence[str], later: Sequence[str] = ()) -> dict[str, pd.Series]:
    """Log closes by open time of each symbol, from files named <symbol>.parquet; `later` ones go on with them."""
    closes = {}
    for path in candles:
        name = Path(path).stem
        frames = [read_parquet(own, ["timestamp", "close"]) for own in (path, *later) if Path(own).stem == name]
        frame = continued(*frames) if len(frames) > 1 else frames[0]
        closes[name] = pd.Series(np.log(frame["close"].to_numpy()), index=frame["timestamp"])
    return closes


def realised_returns(closes: pd.Series, origin: np.ndarray, step: int, horizon: int) -> np.ndarray:
    """Realised cumulative log returns [n, horizon] after each origin [n] (ms); NaN where a bar is not there."""
    times = origin[:, None] + step * np.arange(horizon + 1)
    path = closes.reindex(times.ravel()).to_numpy().reshape(times.shape)
    return path[:, 1:] - path[:, :1]
