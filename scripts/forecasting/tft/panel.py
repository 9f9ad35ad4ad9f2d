"""Windows of a panel of symbols, sliced from contiguous arrays: what the TFT reads, and what it should have said.

A window belongs to an origin: `lookback` bars up to and with it, and `horizon` bars after it. Of the bars after the
origin the model is told only what is truly known ahead: the calendar, and the position in the window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from forecasting.tft.correction import Base
from market.features import KEYS
from market.indicators import CALENDAR, calendar
from market.intervals import iso

POSITION = "position"
KNOWN = [*CALENDAR, POSITION]
# standardised values are told apart up to so many units, either way
HALF = 256


class Chunks(NamedTuple):
    """Chunks of bars with several origins each, as forecasting.tft.forking reads them."""

    bars: torch.Tensor
    "[chunks, lookback + (forks - 1) · stride, features]"
    known: torch.Tensor
    "[chunks, forks, horizon, known]: what is known ahead"
    target: torch.Tensor
    "[chunks, forks, steps]"
    steps: torch.Tensor
    "[steps]: those of the horizon that are scored, counted from 0"
    units: tuple[torch.Tensor, torch.Tensor | None]
    "[features] and [known]: what bars and known are whole multiples of, where they are"
    used: torch.Tensor
    "[chunks, forks]: 1 where a fork's window is one, 0 where it is not to be looked at"
    weight: torch.Tensor
    "[chunks, forks, steps]: the target's unit, relative to a bar's: what a loss in it counts"
    relative: torch.Tensor | None
    "[chunks, 1, steps, levels]: the quantiles of the target that a correction begins with; None: there are none"


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation [features] of the training rows, and the unit that standardised values are rounded
    to; beyond HALF units they are cut.

    A 32nd of a deviation is far below a feature's noise, and what a network says of few values is quickly looked up.
    """

    mean: np.ndarray
    deviation: np.ndarray
    unit: np.ndarray

    def into(self, out: np.ndarray, frame: pd.DataFrame, names: list[str]) -> None:
        """Write the standardised columns `names` of `frame` into `out` [rows, features], a column at a time."""
        for column, name in enumerate(names):
            standard = (frame[name].to_numpy(dtype=np.float64) - self.mean[column]) / self.deviation[column]
            out[:, column] = np.clip(np.rint(standard / self.unit[column]), -HALF, HALF) * self.unit[column]


def fit_scaler(frames: list[pd.DataFrame], limit: float = 8.0) -> Scaler:
    """Scaler of the frames' rows, all together. A constant column keeps deviation 1; the calendar, from -1 to 1, is
    rounded alone, the same before and after an origin."""
    mean, deviation, unit = [], [], []
    for name in feature_columns(frames[0]):
        column = np.concatenate([frame[name].to_numpy() for frame in frames])
        mean.append(0.0 if name in CALENDAR else column.mean(dtype=np.float64))
        spread = 1.0 if name in CALENDAR else column.std(dtype=np.float64)
        deviation.append(spread if spread > 1e-9 else 1.0)
        unit.append((1.0 if name in CALENDAR else limit) / HALF)
    return Scaler(np.array(mean), np.array(deviation), np.array(unit))


def feature_columns(features: pd.DataFrame) -> list[str]:
    """Names of the model's inputs among a features frame's columns."""
    return [name for name in features.columns if name not in KEYS]


class Panel:
    """All symbols' rows, one under the other; an origin is a row's position in it. Memory is a copy of the rows.

    The rows lie where the model computes, on `device`; what a batch takes of them is sliced there.
    """

    def __init__(
        self,
        frames: list[pd.DataFrame],
        scaler: Scaler,
        step: int,
        lookback: int,
        horizon: int,
        device: str = "cpu",
        symbols: Sequence[str] = (),
        base: Base | None = None,
    ) -> None:
        """base: what the model corrects; None: it speaks for itself, in units of the features' scale."""
        names = feature_columns(frames[0])
        self.starts = np.cumsum([0, *(len(frame) for frame in frames)])
        values = np.empty((self.starts[-1], len(names)), dtype=np.float32)
        for frame, start in zip(frames, self.starts, strict=False):
            scaler.into(values[start : start + len(frame)], frame, names)
        self.values = torch.from_numpy(values).to(device)
        # a position is a multiple of its own
        units = scaler.unit, np.array([*[1 / HALF] * len(CALENDAR), 1 / horizon])
        past, ahead = (torch.from_numpy(unit.astype(np.float32)).to(device) for unit in units)
        self.units = past, ahead if horizon <= HALF else None
        self.timestamp = np.concatenate([frame["timestamp"].to_numpy() for frame in frames])
        self.log_close = np.log(np.concatenate([frame["close"].to_numpy() for frame in frames]))
        self.scale = np.concatenate([frame["scale"].to_numpy() for frame in frames])
        self.step, self.lookback, self.horizon, self.device = step, lookback, horizon, device
        self.root_h, self.base = np.sqrt(np.arange(1, horizon + 1)), base
        self.symbols = symbols or [f"symbol {number}" for number in range(1, len(frames) + 1)]

    def bars(self, first: np.ndarray, length: int) -> torch.Tensor:
        """Features [n, length, features] of the rows from `lookback` up to an origin of `first` [n] on.

        Beyond the panel's end its last row is repeated: that is for forks which are not used.
        """
        rows = np.minimum(
            first[:, None] + np.arange(1 - self.lookback, 1 - self.lookback + length), self.starts[-1] - 1
        )
        return self.values[torch.from_numpy(rows).to(self.device)]

    def known(self, origins: np.ndarray) -> torch.Tensor:
        """What is known ahead of `origins` [...]: KNOWN [..., horizon, known], the calendar and the position."""
        ahead = np.arange(1, self.horizon + 1)
        known = np.empty((*origins.shape, self.horizon, len(KNOWN)), dtype=np.float32)
        future = self.timestamp[origins][..., None] + ahead * self.step
        known[..., :-1] = np.rint(calendar(future.ravel(), self.step).reshape(*future.shape, -1) * HALF) / HALF
        known[..., -1] = ahead / self.horizon
        return torch.from_numpy(known).to(self.device)

    def deviation(self, origins: np.ndarray) -> np.ndarray:
        """The unit [..., horizon] of the cumulative log returns after each origin [...]: the base's, or scale · √h."""
        if self.base is None:
            return self.scale[origins][..., None] * self.root_h
        deviation = np.empty((*origins.shape, self.horizon))
        symbol = self.symbol(origins)
        for own in np.unique(symbol):
            rows = origins[symbol == own]
            deviation[symbol == own] = self.base.deviation(own, rows, self.timestamp[rows], self.step)
        return deviation

    def symbol(self, rows: np.ndarray) -> np.ndarray:
        """Number of the symbol that each row is of."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def targets(self, origins: np.ndarray) -> np.ndarray:
        """Cumulative log returns [..., horizon] after each origin [...], in units of `deviation`, float32."""
        return (self._paths(origins) / self.deviation(origins)).astype(np.float32)

    def _paths(self, origins: np.ndarray) -> np.ndarray:
        path = self.log_close[np.minimum(origins[..., None] + np.arange(1, self.horizon + 1), self.starts[-1] - 1)]
        return path - self.log_close[origins][..., None]

    def returns(self, origins: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Cumulative log returns [n, horizon, levels] of what the model says in units of `deviation`."""
        return units * self.deviation(origins)[..., None]

    def chunks(self, origins: np.ndarray, used: np.ndarray, steps: np.ndarray | None = None) -> Chunks:
        """The chunks of origins [n, forks], evenly spaced along a chunk; `used` [n, forks] says which count.

        steps: those of the horizon to score, counted from 0; None: all.
        """
        within = np.minimum(origins, self.starts[-1] - 1)
        scored = np.arange(self.horizon) if steps is None else steps
        deviation = self.deviation(within)[..., scored]
        symbol = self.symbol(within[:, 0])
        bar = self.scale[within][..., None] if self.base is None else self.base.unit[symbol][:, None, None]
        relative = None if self.base is None else self.base.relative[symbol][:, None, scored]
        return Chunks(
            self.bars(origins[:, 0], self.lookback + int(origins[0, -1] - origins[0, 0])),
            self.known(within),
            self._tensor(self._paths(within)[..., scored] / deviation),
            torch.from_numpy(scored).to(self.device),
            self.units,
            self._tensor(used),
            self._tensor(deviation / bar),
            None if relative is None else self._tensor(relative),
        )

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device)

    def windows(self, origins: np.ndarray) -> dict[str, torch.Tensor]:
        """The windows at `origins` [n] as pytorch-forecasting's own forward, and what builds on it, reads them."""
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

    def where(self, row: int) -> str:
        """Which symbol and time a row is of."""
        return f"{self.symbols[int(self.symbol(np.array(row)))]} at {iso(self.timestamp[row])}"
