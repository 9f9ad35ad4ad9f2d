"""Which windows a TFT is trained and validated on, and how windows share chunks of bars."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch.utils.data import Dataset

from forecasting.folds import Fold, test_origins, training_origins
from forecasting.task import Task
from forecasting.tft.panel import Chunks, Panel


@dataclass(frozen=True)
class TrainingOrigins:
    """Origins to fit on and to validate at, as row positions of a panel; rows before `fit_end` (ms) may fit scalers."""

    fit: np.ndarray
    validation: np.ndarray
    fit_end: int


def training_windows(frames: list[pd.DataFrame], validation: Fold, task: Task) -> TrainingOrigins:
    """A training span cut by its validation fold; no window that is fitted on reaches into that.

    Positions count through `frames` one after the other, as in Panel. Validation origins are a quarter horizon apart.
    """
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    stride = max(1, task.horizon // 4)
    fit, validated = [], []
    for frame, start in zip(frames, starts, strict=False):
        fit.append(start + training_origins(frame, validation.train_end, task))
        validated.append(start + test_origins(frame, validation, task, stride))
    return TrainingOrigins(np.concatenate(fit), np.concatenate(validated), validation.train_end)


def last_of_segment(origins: np.ndarray) -> np.ndarray:
    """For each of the increasing `origins` [n], the last of those that follow it without a missing one."""
    ends = np.flatnonzero(np.diff(origins, append=-1) != 1)
    return origins[ends[np.searchsorted(ends, np.arange(len(origins)))]]


def grouped(origins: np.ndarray, starts: np.ndarray, lookback: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Increasing `origins` as chunks of at most `most`, evenly spaced within a symbol's contiguous segment: the origins
    [n, forks], and which of them were given [n, forks].

    starts: of the panel's symbols. The spacing is the commonest; an origin at another one starts a chunk.
    """
    gaps = np.diff(origins)
    stride = int(np.bincount(gaps).argmax()) if len(gaps) else 0
    symbol = np.searchsorted(starts, origins, side="right")
    # there is no gap between an origin and another within its lookback
    follows = (gaps == stride) & (np.diff(symbol) == 0) & (stride <= lookback)
    first_of_run = np.concatenate([[0], np.flatnonzero(~follows) + 1])
    run = np.searchsorted(first_of_run, np.arange(len(origins)), side="right") - 1
    place = np.arange(len(origins)) - first_of_run[run]
    forks = min(most, int(place.max()) + 1)
    first = np.flatnonzero(place % forks == 0)
    counts = np.diff(first, append=len(origins))
    slots = np.arange(forks)
    return origins[first][:, None] + slots * stride, slots < counts[:, None]


def thinned(origins: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the origins, evenly spaced."""
    return origins[:: max(1, -(-len(origins) // most))]


class RandomChunks(Dataset):
    """Batches of random chunks. Each depends on (seed, epoch, index) alone, so that a resumed training repeats them.

    The chunks of a batch are drawn from as many equal parts of all origins: from all symbols and times. The loss of its
    windows is taken at a few steps of the horizon, drawn from as many parts of it: cumulative returns overlap, so a few
    steps carry nearly all the information.
    """

    def __init__(self, panel: Panel, origins: np.ndarray, settings: dict[str, Any], seed: int) -> None:
        """settings: the config's section `tft`."""
        self.panel, self.origins, self.last = panel, origins, last_of_segment(origins)
        forks = min(settings["forks"], settings["batch_size"])
        self.count, self.slots = settings["batch_size"] // forks, settings["stride"] * np.arange(forks)
        self.loss_steps = min(settings["loss_steps"] or panel.horizon, panel.horizon)
        self.batches, self.seed, self.epoch = settings["steps_per_epoch"], seed, 0

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> Chunks:
        return self.panel.chunks(*self.draw(index))

    def draw(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A batch's origins [chunks, forks], which of them lie in the contiguous segment that their chunk starts in,
        and the steps of the loss."""
        draw = np.random.default_rng([self.seed, self.epoch, index])
        picked = ((np.arange(self.count) + draw.random(self.count)) / self.count * len(self.origins)).astype(np.int64)
        parts = (np.arange(self.loss_steps) + draw.random()) / self.loss_steps
        origins = self.origins[picked][:, None] + self.slots
        return origins, origins <= self.last[picked][:, None], (parts * self.panel.horizon).astype(np.int64)


class AllWindows(Dataset):
    """Batches of the same windows in the same order, evenly thinned to at most `most`."""

    def __init__(self, panel: Panel, origins: np.ndarray, size: int = 32, forks: int = 8, most: int = 1024) -> None:
        """size: chunks in a batch. forks: windows in a chunk, at most."""
        self.panel, self.origins = panel, thinned(origins, most)
        grid = grouped(self.origins, panel.starts, panel.lookback, forks)
        self.groups = [tuple(part[at : at + size] for part in grid) for at in range(0, len(grid[0]), size)]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Chunks:
        return self.panel.chunks(*self.groups[index])
