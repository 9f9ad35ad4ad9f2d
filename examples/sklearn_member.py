"""A member that wraps a regressor of scikit-learn: gradient-boosted trees of the volatility ahead, per symbol.

The regressor forecasts the logarithm of the deviation of the returns over the horizon, from volatility and volume over
several spans. Quantiles are those of past returns divided by the deviation that was forecast then (filtered historical
simulation).
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from forecasting.bars import Bars, require_windows
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.task import Task

SPANS = (0.25, 1, 4, 24)  # in horizons


def sklearn_trees(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """Quantiles [origins, horizon, levels]. Raises InsufficientHistoryError when there are fewer than 50 windows."""
    history = series.history
    require_windows(history, task.horizon, 50)
    rows = history.windows(0, task.horizon)[:: max(1, task.horizon // 4)]
    paths = history.paths(rows, task.horizon)
    size = np.log(np.sqrt((np.diff(paths, axis=1, prepend=0) ** 2).mean(axis=1)) + 1e-8)
    trees = HistGradientBoostingRegressor(max_iter=100, learning_rate=0.05, min_samples_leaf=50, random_state=0)
    trees.fit(inputs(history, task)[rows], size)

    # the deviation of one bar; that of h bars is √h times as large
    past = np.exp(trees.predict(inputs(history, task)[rows]))
    standardised = paths / (past[:, None] * np.sqrt(task.steps))
    quantiles = np.quantile(standardised, task.quantile_levels, axis=0).T * np.sqrt(task.steps)[:, None]
    now = np.exp(trees.predict(inputs(series.bars, task)[series.origins]))
    return now[:, None, None] * quantiles


def inputs(bars: Bars, task: Task) -> np.ndarray:
    """Inputs [rows, 2 · spans] of the regressor: each row uses its bar and earlier ones alone."""
    variance, volume = pd.Series(bars.variance), pd.Series(bars.volume)
    spans = [max(2, round(span * task.horizon)) for span in SPANS]
    columns = [np.log(part.ewm(span=span).mean() + 1e-12) for span in spans for part in (variance, volume)]
    return np.round(np.column_stack(columns), 6)
