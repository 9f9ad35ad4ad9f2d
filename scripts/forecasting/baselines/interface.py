"""What every baseline is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from forecasting.bars import Bars


@dataclass(frozen=True)
class Settings:
    """What all members share: steps ahead, quantile levels, bars of a season, half-lives in bars."""

    horizon: int
    quantile_levels: tuple[float, ...]
    season: int
    ewma_halflife: float
    drift_halflife: float

    @property
    def ahead(self) -> np.ndarray:
        """Steps ahead [horizon], from 1."""
        return np.arange(1, self.horizon + 1)


class Track(NamedTuple):
    """A symbol's bars to fit on, its bars to forecast from, and the rows of the origins in these."""

    history: Bars
    bars: Bars
    origins: np.ndarray


Member = Callable[[Bars, Bars, np.ndarray, Settings], np.ndarray]
