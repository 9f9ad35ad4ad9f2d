"""Windows of a panel of symbols, sliced from contiguous arrays: the TFT's inputs and targets.

A window belongs to an origin: `lookback` bars up to and with it, and `horizon` bars after it. Of the bars after the
origin the model gets only what is known in advance: the calendar, and the position in the window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from forecasting.task import Task
from forecasting.tft.correction import Base
from market.features import KEYS
from market.indicators import CALENDAR, calendar
from market.intervals import iso

POSITION = "position"
KNOWN = [*CALENDAR, POSITION]
# a standardised value is rounded to a multiple of its resolution, between -HALF and HALF of them
HALF = 256


class Chunks(NamedTuple):
    """Chunks of bars with several origins each, as forecasting.tft.forking reads them."""

    bars: torch.Tensor
    "[chunks, lookback + (forks - 1) · stride, features]"
    known: torch.Tensor
    "[chunks, forks, horizon, known]: inputs known in advance"
    target: torch.Tensor
    "[chunks, forks, steps]"
    steps: torch.Tensor
    "[steps]: those of the horizon that the loss is taken at, counted from 0"
    resolutions: tuple[torch.Tensor, torch.Tensor | None]
    "[features] and [known]: what bars and known are multiples of; None where they are not"
    used: torch.Tensor
    "[chunks, forks]: 1 where a fork's window counts, 0 where it is padding"
    weight: torch.Tensor
    "[chunks, forks, steps]: the target's unit relative to a bar's deviation, which weights its loss"
    base_quantiles: torch.Tensor | None
    "[chunks, 1, steps, levels]: the quantiles of the target that are corrected; None: the network forecasts directly"


@dataclass(frozen=True)
class Scaler:
    """Standardises features: mean and standard deviation [features] of the training rows, and the resolution [features]
    that standardised values are rounded to; beyond HALF multiples of it they are clipped.

    A 32nd of a deviation is far below a feature's noise, and a network's outputs for few values can be looked up.
    """

    mean: np.ndarray
    deviation: np.ndarray
    resolution: np.ndarray

    def into(self, out: np.ndarray, frame: pd.DataFrame, names: list[str]) -> None:
        """Write the standardised columns `names` of `frame` into `out` [rows, features], a column at a time."""
        for column, name in enumerate(names):
            standard = (frame[name].to_numpy(dtype=np.float64) - self.mean[column]) / self.deviation[column]
            multiple = np.clip(np.rint(standard / self.resolution[column]), -HALF, HALF)
            out[:, column] = multiple * self.resolution[column]


def fit_scaler(frames: list[pd.DataFrame], limit: float = 8.0) -> Scaler:
    """Scaler of all rows of the frames. limit: deviations that values are clipped at. A constant column keeps deviation
    1; the calendar, from -1 to 1, is only rounded, in the same way before and after an origin."""
    mean, deviation, resolution = [], [], []
    for name in feature_columns(frames[0]):
        column = np.concatenate([frame[name].to_numpy() for frame in frames])
        mean.append(0.0 if name in CALENDAR else column.mean(dtype=np.float64))
        spread = 1.0 if name in CALENDAR else column.std(dtype=np.float64)
        deviation.append(spread if spread > 1e-9 else 1.0)
        resolution.append((1.0 if name in CALENDAR else limit) / HALF)
    return Scaler(np.array(mean), np.array(deviation), np.array(resolution))


def feature_columns(features: pd.DataFrame) -> list[str]:
    """Names of the model's inputs among a features frame's columns."""
    return [name for name in features.columns if name not in KEYS]


class Panel:
    """All symbols' rows, one symbol after the other; an origin is a row's position. Memory is a copy of the rows.

    The rows lie where the model computes, on `device`; batches are sliced there.
    """

    def __init__(
        self,
        frames: list[pd.DataFrame],
        scaler: Scaler,
        task: Task,
        device: str = "cpu",
        symbols: Sequence[str] = (),
        base: Base | None = None,
        consume: bool = False,
    ) -> None:
        """frames: features, one a symbol; `consume`: taken from the list one by one, so that they are not in memory
        twice. base: what the model corrects; None: it forecasts directly, in units of volatility · √h, the volatility
        being the features' `scale`."""
        names = feature_columns(frames[0])
        self.starts = np.cumsum([0, *(len(frame) for frame in frames)])
        # exact in half precision: multiples of a power of two, HALF of them at most
        values = np.empty((self.starts[-1], len(names)), dtype=np.float16)
        self.timestamp = np.concatenate([frame["timestamp"].to_numpy() for frame in frames])
        self.log_close = np.log(np.concatenate([frame["close"].to_numpy() for frame in frames]))
        self.volatility = np.concatenate([frame["scale"].to_numpy() for frame in frames])
        self.symbols = symbols or [f"symbol {number}" for number in range(1, len(frames) + 1)]
        for place, start in enumerate(self.starts[:-1]):
            frame = frames.pop(0) if consume else frames[place]
            scaler.into(values[start : start + len(frame)], frame, names)
        self.values = torch.from_numpy(values).to(device)
        # a position is a multiple of the first one
        resolutions = scaler.resolution, np.array([*[1 / HALF] * len(CALENDAR), 1 / task.horizon])
        past, known = (torch.from_numpy(resolution.astype(np.float32)).to(device) for resolution in resolutions)
        self.resolutions = past, known if task.horizon <= HALF else None
        self.task, self.device, self.base = task, device, base
        self.lookback, self.horizon, self.bar_ms = task.lookback, task.horizon, task.bar_ms

    def bars(self, first: np.ndarray, length: int) -> torch.Tensor:
        """Features [n, length, features] of the rows from the first of the lookback of an origin in `first` [n] on.

        Beyond the panel's end its last row is repeated: that is for forks that are not used.
        """
        rows = np.minimum(
            first[:, None] + np.arange(1 - self.lookback, 1 - self.lookback + length), self.starts[-1] - 1
        )
        return self.values[torch.from_numpy(rows).to(self.device)].float()

    def known(self, origins: np.ndarray) -> torch.Tensor:
        """KNOWN [..., horizon, known], the calendar and the position, after the `origins` [...]."""
        known = np.empty((*origins.shape, self.horizon, len(KNOWN)), dtype=np.float32)
        future = self.timestamp[origins][..., None] + self.task.steps * self.bar_ms
        known[..., :-1] = np.rint(calendar(future.ravel(), self.bar_ms).reshape(*future.shape, -1) * HALF) / HALF
        known[..., -1] = self.task.steps / self.horizon
        return torch.from_numpy(known).to(self.device)

    def deviation(self, origins: np.ndarray) -> np.ndarray:
        """The unit [..., horizon] of the cumulative log returns after each origin [...]: the deviation that the base
        forecasts, or volatility · √h."""
        if self.base is None:
            return self.volatility[origins][..., None] * np.sqrt(self.task.steps)
        deviation = np.empty((*origins.shape, self.horizon))
        symbol = self.symbol(origins)
        for number in np.unique(symbol):
            rows = origins[symbol == number]
            place = rows - self.starts[number]
            deviation[symbol == number] = self.base.deviation(number, place, self.timestamp[rows], self.bar_ms)
        return deviation

    def symbol(self, rows: np.ndarray) -> np.ndarray:
        """Number of the symbol that each row belongs to."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def targets(self, origins: np.ndarray) -> np.ndarray:
        """Cumulative log returns [..., horizon] after each origin [...], in units of `deviation`, float32."""
        return (self._paths(origins) / self.deviation(origins)).astype(np.float32)

    def _paths(self, origins: np.ndarray) -> np.ndarray:
        path = self.log_close[np.minimum(origins[..., None] + self.task.steps, self.starts[-1] - 1)]
        return path - self.log_close[origins][..., None]

    def returns(self, origins: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Cumulative log returns [n, horizon, levels] of outputs [n, horizon, levels] in units of `deviation`."""
        return outputs * self.deviation(origins)[..., None]

    def chunks(self, origins: np.ndarray, used: np.ndarray, steps: np.ndarray | None = None) -> Chunks:
        """The chunks of origins [n, forks], evenly spaced along a chunk, of which the `used` [n, forks] count.

        steps: those of the horizon that the loss is taken at, counted from 0; None: all.
        """
        rows = np.minimum(origins, self.starts[-1] - 1)
        steps = np.arange(self.horizon) if steps is None else steps
        deviation = self.deviation(rows)[..., steps]
        symbol = self.symbol(rows[:, 0])
        base = self.base
        bar = self.volatility[rows][..., None] if base is None else base.bar_deviation[symbol][:, None, None]
        return Chunks(
            self.bars(origins[:, 0], self.lookback + int(origins[0, -1] - origins[0, 0])),
            self.known(rows),
            self._tensor(self._paths(rows)[..., steps] / deviation),
            torch.from_numpy(steps).to(self.device),
            self.resolutions,
            self._tensor(used),
            self._tensor(deviation / bar),
            None if base is None else self._tensor(base.quantiles[symbol][:, None, steps]),
        )

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device)

    def windows(self, origins: np.ndarray) -> dict[str, torch.Tensor]:
        """The windows at `origins` [n] in the form of pytorch-forecasting's forward and `interpret_output`."""
        count, known = len(origins), self.known(origins)
        encoder = torch.cat([self.bars(origins, self.lookback), known.new_zeros(count, self.lookback, 1)], dim=-1)
        decoder = known.new_zeros(count, self.horizon, encoder.shape[-1])
        decoder[..., -len(KNOWN) :] = known
        return {
            "encoder_cont": encoder,
            "decoder_cont": decoder,
            "encoder_cat": known.new_zeros(count, self.lookback, 0, dtype=torch.long),
            "decoder_cat": known.new_zeros(count, self.horizon, 0, dtype=torch.long),
            "encoder_lengths": known.new_full((count,), self.lookback, dtype=torch.long),
            "decoder_lengths": known.new_full((count,), self.horizon, dtype=torch.long),
            "target_scale": known.new_ones(count, 2),
        }

    def locate(self, row: int) -> str:
        """Which symbol and time a row belongs to, in words."""
        return f"{self.symbols[int(self.symbol(np.array(row)))]} at {iso(self.timestamp[row])}"
