"""What a decision is taken on: the close and the market where it is traded, and the forecasts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from trading.documents import Market
from trading.orders import UNLIMITED


@dataclass(frozen=True)
class Entry:
    """When and at which close is bought or sold, the time of each step's close, and what the exchange admits there;
    times are UTC text."""

    time: str
    close: float
    step_times: Sequence[str]
    market: Market = field(default_factory=lambda: UNLIMITED)


@dataclass(frozen=True)
class MemberForecast:
    """A member's forecast path, quantiles [steps, levels], and its weight in the ensemble."""

    path: np.ndarray
    weight: float


@dataclass(frozen=True)
class EnsembleForecast:
    """The ensemble's quantiles [steps, levels] of cumulative log returns from the entry's close, and sample paths of
    them [steps, n]."""

    quantile_levels: Sequence[float]
    quantiles: np.ndarray
    paths: np.ndarray
