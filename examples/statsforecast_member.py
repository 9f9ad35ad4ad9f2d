"""A member that wraps a model of statsforecast (https://nixtlaverse.nixtla.io/statsforecast/): ARIMA of volatility.

statsforecast is not in the lock: it asks for an older pandas, though it works with the locked one. Without its pins:
pip install --no-deps statsforecast coreforecast utilsforecast fugue triad adagio
"""

import numpy as np

from forecasting.bars import Bars, require_windows
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.task import Task

try:
    from statsforecast.models import ARIMA
except ImportError:
    needed = "statsforecast coreforecast utilsforecast fugue triad adagio"
    raise ImportError(f"statsforecast is not installed: pip install --no-deps {needed}") from None

BARS = 240  # that a forecast is made from
WINDOWS = 200  # of the history, whose standardised returns the quantiles are of


def statsforecast_arima(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """Quantiles [origins, horizon, levels]. Raises InsufficientHistoryError when there are fewer than 50 windows.

    The model is fitted once, on the last bars of the history, and applied to those before each origin.
    """
    history = series.history
    require_windows(history, task.horizon, 50)
    model = ARIMA(order=(1, 0, 1)).fit(log_variance(history, history)[-20 * BARS :])

    def deviation(bars: Bars, rows: np.ndarray) -> np.ndarray:
        logs = log_variance(bars, history)
        ahead = [model.forward(logs[max(0, row + 1 - BARS) : row + 1], h=task.horizon)["mean"] for row in rows]
        return np.sqrt(np.cumsum(np.exp(ahead), axis=1))

    rows = history.windows(0, task.horizon)
    rows = rows[np.linspace(len(rows) // 5, len(rows) - 1, WINDOWS).astype(int)]
    standardised = history.paths(rows, task.horizon) / deviation(history, rows)
    quantiles = np.quantile(standardised, task.quantile_levels, axis=0).T
    return deviation(series.bars, series.origins)[:, :, None] * quantiles


def log_variance(bars: Bars, history: Bars) -> np.ndarray:
    """Log variance of each bar, of at least a hundredth of the history's mean."""
    return np.log(bars.variance + 0.01 * history.variance.mean())
