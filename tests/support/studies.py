"""Arguments of a tuning on random walks."""

from pathlib import Path
from typing import Any

import numpy as np

from common.files import write_json, write_parquet
from forecasting.folds import FoldScheme
from forecasting.task import Task
from market.features import compute_features
from market.intervals import MINUTE, iso
from support import networks
from support.candles import candles

TASK = Task("1m", lookback=16, horizon=8, quantile_levels=[0.05, 0.25, 0.5, 0.75, 0.95])
SCHEME = FoldScheme(count=4, test_bars=100, embargo=8, validation_fraction=0.2)
BARS = 1500
SETTINGS = networks.SETTINGS | {"epochs": 2, "steps_per_epoch": 5, "learning_rate": 0.003}
SPACE = {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}, "hidden_size": {"choices": [4, 8]}}


def files(folder: Path, poison_from: int | None = None, **changed: Any) -> dict[str, Any]:
    """Arguments of tune on two random walks; from `poison_from` (ms) on, every value is another."""
    features, candle_files = [], []
    for seed in (1, 2):
        frame = candles(BARS, seed=seed)
        as_of = int(frame["timestamp"].iloc[-1]) + MINUTE
        if poison_from is not None:
            after = frame["timestamp"] >= poison_from
            draw = np.random.default_rng(seed)
            factor = draw.uniform(0.2, 5, int(after.sum()))
            frame.loc[after, ["open", "high", "low", "close"]] *= factor[:, None]
            frame.loc[after, "volume"] = 1e6
        candle_files.append(str(folder / "candles" / f"S{seed}.parquet"))
        features.append(str(folder / "features" / f"S{seed}.parquet"))
        write_parquet(candle_files[-1], frame)
        write_parquet(features[-1], compute_features(frame, None, [5, 30], MINUTE))
    write_json(folder / "cutoff.json", {"as_of": as_of, "as_of_iso": iso(as_of)})
    return {
        "output": str(folder / "tuned.yaml"),
        "table": str(folder / "tuning.csv"),
        "features": features,
        "candles": candle_files,
        "cutoff": str(folder / "cutoff.json"),
        "seed": 1,
        "task": TASK,
        "scheme": SCHEME,
        "settings": SETTINGS,
        "space": SPACE,
        "trials": 3,
        "previous_trials": 0,
        "threads": 1,
    } | changed
