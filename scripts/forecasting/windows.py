"""Windows of a panel of symbols, sliced from contiguous arrays: what the TFT reads, and what it should have said.

A window belongs to an origin: `lookback` bars up to and with it, and `horizon` bars after it. Of the bars after the
origin the model is told only what is truly known ahead: the calendar, and the position in the window.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from forecasting.folds import training_origins
from market.indicators import CALENDAR, calendar

KEYS = ["timestamp", "segment", "close", "scale"]
POSITION = "position"
KNOWN = [*CALENDAR, POSITION]

Batch = tuple[dict[str, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation [features] of the training rows; values beyond `limit` deviations are cut there."""

    mean: np.ndarray
    deviation: np.ndarray
    limit: float = 8.0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Standardised float32 values [rows, features]."""
        standard = (values - self.mean) / self.deviation
        return np.clip(standard, -self.limit, self.limit).astype(np.float32)


def fit_scaler(values: np.ndarray) -> Scaler:
    """Scaler of rows [rows, features] float32, the calendar last: it is left as it is, the same before and after an
    origin. A constant column keeps deviation 1."""
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    mean[-len(CALENDAR) :], deviation[-len(CALENDAR) :] = 0.0, 1.0
    return Scaler(mean, np.where(deviation > 1e-9, deviation, 1.0))


def feature_columns(features: pd.DataFrame) -> list[str]:
    """Names of the model's inputs among a features frame's columns."""
    return [name for name in features.columns if name not in KEYS]


class Panel:
    """All symbols' rows, one under the other; an origin is a row's position in it. Memory is a copy of the rows."""

    def __init__(self, frames: list[pd.DataFrame], scaler: Scaler, step: int, lookback: int, horizon: int) -> None:
        names = feature_columns(frames[0])
        self.starts = np.cumsum([0, *(len(frame) for frame in frames)])
        self.values = np.concatenate([scaler(frame[names].to_numpy()) for frame in frames])
        self.timestamp = np.concatenate([frame["timestamp"].to_numpy() for frame in frames])
        self.log_close = np.log(np.concatenate([frame["close"].to_numpy() for frame in frames]))
        self.scale = np.concatenate([frame["scale"].to_numpy() for frame in frames])
        self.step, self.lookback, self.horizon = step, lookback, horizon
        self.root_h = np.sqrt(np.arange(1, horizon + 1))

    def inputs(self, origins: np.ndarray) -> dict[str, torch.Tensor]:
        """What pytorch-forecasting's models read of the windows at `origins` [n]: reals are features, then POSITION."""
        count, reals = len(origins), self.values.shape[1] + 1
        encoder = np.zeros((count, self.lookback, reals), dtype=np.float32)
        encoder[..., :-1] = self.values[origins[:, None] + np.arange(1 - self.lookback, 1)]
        ahead = np.arange(1, self.horizon + 1)
        decoder = np.zeros((count, self.horizon, reals), dtype=np.float32)
        future = self.timestamp[origins][:, None] + ahead * self.step
        decoder[..., -1 - len(CALENDAR) : -1] = calendar(future.ravel(), self.step).reshape(count, self.horizon, -1)
        decoder[..., -1] = ahead / self.horizon
        return {
            "encoder_cont": torch.from_numpy(encoder),
            "decoder_cont": torch.from_numpy(decoder),
            "encoder_cat": torch.zeros(count, self.lookback, 0, dtype=torch.long),
            "decoder_cat": torch.zeros(count, self.horizon, 0, dtype=torch.long),
            "encoder_lengths": torch.full((count,), self.lookback),
            "decoder_lengths": torch.full((count,), self.horizon),
            "target_scale": torch.ones(count, 2),
        }

    def targets(self, origins: np.ndarray) -> np.ndarray:
        """Cumulative log returns [n, horizon] after each origin, in units of scale · √h, float32."""
        path = self.log_close[origins[:, None] + np.arange(1, self.horizon + 1)]
        returns = path - self.log_close[origins][:, None]
        return (returns / (self.scale[origins][:, None] * self.root_h)).astype(np.float32)

    def returns(self, origins: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Cumulative log returns [n, horizon, levels] of what the model says in units of scale · √h."""
        return units * (self.scale[origins][:, None] * self.root_h)[..., None]

    def batch(self, origins: np.ndarray) -> Batch:
        """Inputs and targets of the windows at `origins`."""
        return self.inputs(origins), torch.from_numpy(self.targets(origins))


@dataclass(frozen=True)
class Split:
    """Origins for fitting and for validation, as row positions of a panel; rows before `fit_end` may fit scalers."""

    fit: np.ndarray
    validation: np.ndarray
    fit_end: int


def split(frames: list[pd.DataFrame], train_end: int, share: float, step: int, lookback: int, horizon: int) -> Split:
    """The last `share` of the time before `train_end` validates; no window fitted on reaches into it.

    Positions count through `frames` one under the other, as in Panel. Validation origins stand a quarter horizon apart.
    """
    first = min((int(frame["timestamp"].iloc[0]) for frame in frames if len(frame)), default=train_end)
    fit_end = train_end - round((train_end - first) * share / step) * step
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    fit, validation = [], []
    for frame, start in zip(frames, starts, strict=False):
        fit.append(start + training_origins(frame, fit_end, step, lookback, horizon))
        after = training_origins(frame, train_end, step, lookback, horizon)
        times = frame["timestamp"].to_numpy()[after]
        spaced = (times - fit_end) % (max(1, horizon // 4) * step) == 0
        validation.append(start + after[(times >= fit_end) & spaced])
    return Split(np.concatenate(fit), np.concatenate(validation), fit_end)
