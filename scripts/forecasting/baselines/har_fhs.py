"""FHS of a seasonal HAR's deviations (forecasting.baselines.har), which several members are made from: fitted once."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from forecasting.baselines.fhs import window_quantiles
from forecasting.baselines.har import Har, fit_har_deviation
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.task import Task


@dataclass(frozen=True)
class HarForecast:
    """A symbol's HAR, the quantiles [horizon, levels] of the history's returns standardised by it, and its deviation
    [origins, horizon] after the origins."""

    har: Har
    quantiles: np.ndarray
    deviation: np.ndarray

    def forecast(self) -> np.ndarray:
        """Quantiles [origins, horizon, levels]."""
        return self.deviation[:, :, None] * self.quantiles


# of a series, by what else a forecast depends on
_KEPT: WeakKeyDictionary[SymbolSeries, dict[tuple, HarForecast]] = WeakKeyDictionary()


def har_forecast(series: SymbolSeries, task: Task, extended: bool) -> HarForecast:
    """The forecast by the HAR of a symbol; the same series is fitted once. Raises InsufficientHistoryError."""
    kept, key = _KEPT.setdefault(series, {}), (task.horizon, *task.quantile_levels, extended)
    if key not in kept:
        har, deviation = fit_har_deviation(series.history, task.horizon, extended)
        quantiles = window_quantiles(deviation, series.history, task.quantile_levels)
        kept[key] = HarForecast(har, quantiles, har.deviation(series.bars, series.origins))
    return kept[key]


def har_fhs(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """FHS of a seasonal HAR's deviations."""
    return har_forecast(series, task, extended=False).forecast()


def lhar_fhs(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """FHS of the deviations of a seasonal HAR with absolute variation, leverage, volume and shape."""
    return har_forecast(series, task, extended=True).forecast()
