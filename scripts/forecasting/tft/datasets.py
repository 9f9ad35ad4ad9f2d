"""Which windows a TFT is trained on, validated on and asked for, and how they share chunks of bars."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch.utils.data import Dataset

from forecasting.folds import Fold, test_origins, training_origins
from forecasting.tft.panel import Chunks, Panel


@dataclass(frozen=True)
class Split:
    """Origins for fitting and for validation, as row positions of a panel; rows before `fit_end` may fit scalers."""

    fit: np.ndarray
    validation: np.ndarray
    fit_end: int


def split(frames: list[pd.DataFrame], inner: Fold, step: int, lookback: int, horizon: int) -> Split:
    """A training span cut by its validation fold (folds.validation_fold); no window fitted on reaches into that.

    Positions count through `frames` one under the other, as in Panel. Validation origins stand a quarter horizon apart.
    """
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    fit, validation = [], []
    for frame, start in zip(frames, starts, strict=False):
        fit.append(start + training_origins(frame, inner.train_end, step, lookback, horizon))
        validation.append(start + test_origins(frame, inner, step, lookback, horizon, max(1, horizon // 4)))
    return Split(np.concatenate(fit), np.concatenate(validation), inner.train_end)


def last_of_run(origins: np.ndarray) -> np.ndarray:
    """For each of the rising `origins` [n], the last one of its unbroken run: what lies between has no gap."""
    ends = np.flatnonzero(np.diff(origins, append=-1) != 1)
    return origins[ends[np.searchsorted(ends, np.arange(len(origins)))]]


def grouped(origins: np.ndarray, starts: np.ndarray, lookback: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Rising `origins` as chunks of at most `most`, evenly spaced within a symbol and unbroken: [n, forks] each, the
    origins, and which of them were asked for.

    starts: of the panel's symbols. The spacing is the commonest; an origin that does not follow at it begins a chunk.
    """
    gaps = np.diff(origins)
    stride = int(np.bincount(gaps).argmax()) if len(gaps) else 0
    symbol = np.searchsorted(starts, origins, side="right")
    # an origin within a lookback of another has no gap between
    follows = (gaps == stride) & (np.diff(symbol) == 0) & (stride <= lookback)
    run = np.concatenate([[0], np.flatnonzero(~follows) + 1])
    place = np.arange(len(origins)) - run[np.searchsorted(run, np.arange(len(origins)), side="right") - 1]
    forks = min(most, int(place.max()) + 1)
    first = np.flatnonzero(place % forks == 0)
    counts = np.diff(first, append=len(origins))
    slots = np.arange(forks)
    return origins[first][:, None] + slots * stride, slots < counts[:, None]


class RandomChunks(Dataset):
    """Batches of random chunks. Each depends on (seed, epoch, index) alone, so a resumed training sees the same.

    The chunks of a batch are drawn from as many equal parts of all origins: from all symbols and times. Its windows are
    scored at a few steps of the horizon, drawn from as many parts of it: cumulative returns overlap, so a few say
    nearly all.
    """

    def __init__(self, panel: Panel, origins: np.ndarray, model: dict[str, Any], seed: int) -> None:
        self.panel, self.origins, self.last = panel, origins, last_of_run(origins)
        forks = min(model["forks"], model["batch_size"])
        self.count, self.slots = model["batch_size"] // forks, model["stride"] * np.arange(forks)
        self.scored = min(model["loss_steps"] or panel.horizon, panel.horizon)
        self.steps, self.seed, self.epoch = model["steps_per_epoch"], seed, 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Chunks:
        return self.panel.chunks(*self.draw(index))

    def draw(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A batch's origins [chunks, forks], which of them end in the unbroken run that their chunk begins in, and the
        scored steps."""
        draw = np.random.default_rng([self.seed, self.epoch, index])
        picked = ((np.arange(self.count) + draw.random(self.count)) / self.count * len(self.origins)).astype(np.int64)
        steps = ((np.arange(self.scored) + draw.random()) / self.scored * self.panel.horizon).astype(np.int64)
        origins = self.origins[picked][:, None] + self.slots
        return origins, origins <= self.last[picked][:, None], steps


class AllWindows(Dataset):
    """Batches of the same windows in the same order, evenly thinned to `most` when they are more."""

    def __init__(self, panel: Panel, origins: np.ndarray, size: int = 32, forks: int = 8, most: int = 1024) -> None:
        self.panel, self.origins = panel, origins[:: -(-len(origins) // most)]
        grid = grouped(self.origins, panel.starts, panel.lookback, forks)
        self.groups = [tuple(part[at : at + size] for part in grid) for at in range(0, len(grid[0]), size)]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Chunks:
        return self.panel.chunks(*self.groups[index])
