"""Small TFTs, and the arguments of their training on random walks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from scipy.signal import lfilter

from common.files import write_json, write_parquet
from forecasting.folds import Fold, FoldScheme
from forecasting.members import MEMBERS
from forecasting.task import Task
from forecasting.tft.datasets import TrainingOrigins, training_windows
from forecasting.tft.network import QuantileTFT, build_network, hyperparameters
from forecasting.tft.panel import feature_columns
from market.features import compute_features
from market.intervals import MINUTE, iso
from support.candles import candles

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
LOOKBACK, HORIZON = 16, 8
TASK = Task("1m", LOOKBACK, HORIZON, LEVELS)
SCHEME = FoldScheme(count=1, test_bars=200, embargo=HORIZON, validation_fraction=0.2)
SPANS = [5, 30]
SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "steps_per_epoch": 6,
    "batch_size": 16,
    "forks": 4,
    "stride": 8,
    "loss_steps": 3,
    "ema_decay": 0.8,
    "learning_rate": 0.01,
    "hidden_size": 8,
    "hidden_continuous_size": 4,
    "attention_heads": 2,
    "lstm_layers": 1,
    "dropout": 0.1,
    "gradient_clip": 1.0,
    "patience": 3,
    "device": "cpu",
}


def hyper_for(frames: list[pd.DataFrame]) -> dict[str, Any]:
    """Hyperparameters of a network that reads these features and forecasts directly."""
    return hyperparameters(feature_columns(frames[0]), len(LEVELS), SETTINGS, LOOKBACK)


def network_for(frames: list[pd.DataFrame], seed: int = 0) -> QuantileTFT:
    """An untrained network that reads these features."""
    torch.manual_seed(seed)
    return build_network(hyper_for(frames), LEVELS)


def cut(frames: list[pd.DataFrame], train_end: int) -> TrainingOrigins:
    """Origins to fit on and to validate at, before `train_end`."""
    first = min(int(frame["timestamp"].iloc[0]) for frame in frames)
    validation = SCHEME.validation(Fold("0", train_end, train_end, train_end), first, MINUTE)
    return training_windows(frames, validation, TASK)


def learnable() -> list[pd.DataFrame]:
    """Features of a market with autocorrelated returns."""
    frame = candles(1500)
    drift = lfilter([1], [1, -0.97], np.random.default_rng(5).normal(0, 2e-4, len(frame)))
    frame[["open", "high", "low", "close"]] *= np.exp(np.cumsum(drift))[:, None]
    return [compute_features(frame, None, SPANS, MINUTE)]


def train_files(folder: Path, frames: list[pd.DataFrame], member: str = "tft_raw") -> dict[str, Any]:
    """Arguments of train_tft on the frames, written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, frame in enumerate(frames):
        write_parquet(folder / f"S{k}.parquet", frame)
        write_parquet(folder / "candles" / f"S{k}.parquet", bars_of(frame))
    as_of = int(frames[0]["timestamp"].iloc[-1]) + MINUTE
    write_json(folder / "cutoff.json", {"as_of": as_of, "as_of_iso": iso(as_of)})
    return {
        "output": str(folder / "seed1.ckpt"),
        "curve": str(folder / "metrics.csv"),
        "features": [str(folder / f"S{k}.parquet") for k in range(len(frames))],
        "candles": [str(folder / "candles" / f"S{k}.parquet") for k in range(len(frames))],
        "member": member,
        "corrects": bool(MEMBERS[member].needs),
        "cutoff": str(folder / "cutoff.json"),
        "fold": "0",
        "seed": 1,
        "task": TASK,
        "scheme": SCHEME,
        "settings": SETTINGS,
        "threads": 1,
    }


class Spoil(Callback):
    """Sets a weight to NaN when the second epoch starts."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            with torch.no_grad():
                pl_module.output_layer.weight[0, 0] = torch.nan


def bars_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Candles with the closes of a features frame."""
    close = frame["close"].to_numpy()
    before = np.concatenate([close[:1], close[:-1]])
    return pd.DataFrame(
        {
            "timestamp": frame["timestamp"],
            "open": before,
            "high": 1.0001 * np.maximum(before, close),
            "low": 0.9999 * np.minimum(before, close),
            "close": close,
            "volume": 1.0,
        }
    )
