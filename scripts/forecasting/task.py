"""What is forecast, and from how much history: the settings that every stage of forecasting shares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.intervals import season_bars, step_ms


@dataclass(frozen=True)
class Task:
    """A forecasting task: quantiles of the cumulative log returns of the next `horizon` bars.

    interval: a bar's length as ccxt writes it. lookback, horizon: in bars. quantile_levels: strictly increasing within
    (0, 1), 0.5 among them.
    """

    interval: str
    lookback: int
    horizon: int
    quantile_levels: Sequence[float]

    @property
    def bar_ms(self) -> int:
        """A bar's length in milliseconds. Raises UserError on an interval that is none."""
        return step_ms(self.interval)

    @property
    def season(self) -> int:
        """Bars of a season: a day, or a week where a bar lasts a day or more."""
        return season_bars(self.bar_ms)

    @property
    def steps(self) -> np.ndarray:
        """Steps ahead [horizon], from 1."""
        return np.arange(1, self.horizon + 1)
