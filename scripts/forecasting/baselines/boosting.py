"""Gradient-boosted quantiles (LightGBM): trees correct the LHAR-FHS quantiles.

Ke et al. (2017), LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 30.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np

from forecasting.bars import Bars, returns, smooth
from forecasting.baselines.har import SCALES
from forecasting.baselines.har_fhs import HarForecast, har_forecast
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.task import Task
from market.intervals import DAY

# training windows of a symbol, and of all symbols, at most: more of them overlap and add little
ROWS, ALL_ROWS = 6_000, 100_000
ROUNDS = 100
# shallow and slow: the HAR explains nearly all that can be explained
PARAMETERS = {
    "objective": "quantile",
    "num_leaves": 7,
    "learning_rate": 0.04,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "max_bin": 63,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True)
class _Symbol:
    """What the trees are given of a symbol: its LHAR-FHS, their features at the origins [origins, features] and at the
    training windows [n, features], and the absolute returns [n, horizon] after these, standardised by the HAR."""

    base: HarForecast
    origins: np.ndarray
    training: np.ndarray
    sizes: np.ndarray


def lightgbm_quantiles(series: Sequence[SymbolSeries], task: Task, settings: BaselineSettings) -> list[np.ndarray]:
    """Quantiles [origins, horizon, levels] of each symbol, from trees of all symbols. Raises InsufficientHistoryError.

    A tree ensemble a level gives the factor on the LHAR-FHS quantile, at a few steps of the horizon; between them it is
    interpolated. Its target is |return| at the level |2p − 1|, so that p and 1 − p are mirror images.
    """
    steps = np.unique(np.maximum(1, np.array([task.horizon // part for part in (12, 4, 2, 1)])))
    symbols = _symbols(series, task, steps)
    data = lightgbm.Dataset(np.concatenate([_with_steps(symbol.training, steps) for symbol in symbols]))
    origins = [_with_steps(symbol.origins, steps) for symbol in symbols]
    forecasts = [symbol.base.forecast() for symbol in symbols]
    centred = 2 * np.array(task.quantile_levels) - 1
    for level in np.unique(np.round(np.abs(centred[centred != 0]), 9)):
        sides = np.flatnonzero(np.isclose(np.abs(centred), level))
        spreads = [np.abs(symbol.base.quantiles[steps - 1, sides[0]]) for symbol in symbols]
        target = np.concatenate(
            [_relative(symbol.sizes, spread).ravel() for symbol, spread in zip(symbols, spreads, strict=True)]
        )
        trees = _fit(data, target, float(level))
        for forecast, design in zip(forecasts, origins, strict=True):
            forecast[:, :, sides] *= _factor(trees, design, steps, task)[:, :, None]
    return forecasts


def _symbols(series: Sequence[SymbolSeries], task: Task, steps: np.ndarray) -> list[_Symbol]:
    """Of all rows no more than three columns are kept, since the others need them."""
    bases = [har_forecast(one, task, extended=True) for one in series]
    scales = max(len(base.har.scales) for base in bases)
    most = min(ROWS, ALL_ROWS // len(series))
    trained = [_training_rows(one.history, task, most) for one in series]
    # bars that are fetched again may hold some that the history lacks
    rows = [
        np.concatenate([one.origins, np.searchsorted(one.bars.timestamp, one.history.timestamp[at])])
        for one, at in zip(series, trained, strict=True)
    ]
    levels, own, sizes = [], [], []
    for base, one, at, windows in zip(bases, series, rows, trained, strict=True):
        regressors = base.har.regressors(one.bars)
        levels.append(regressors[:, :3].copy())
        own.append(np.column_stack([base.har.padded(regressors[at], scales), _features(one, task.horizon)[at]]))
        deviation = base.har.deviation(one.history, windows)[:, steps - 1]
        sizes.append(np.abs(one.history.paths(windows, task.horizon)[:, steps - 1] / deviation))
    symbols = []
    for place, one in enumerate(series):
        features = own[place]
        if one.features is not None:
            features = np.column_stack([features, one.features[rows[place]]])
        others = [
            _at(one.bars.timestamp[rows[place]], series[k].bars, levels[k]) for k in range(len(series)) if k != place
        ]
        if others:
            features = np.column_stack([features, np.mean(others, axis=0) - levels[place][rows[place]]])
        count = len(one.origins)
        symbols.append(_Symbol(bases[place], features[:count], features[count:], sizes[place]))
    return symbols


def _features(series: SymbolSeries, horizon: int) -> np.ndarray:
    """Volume and trend over the HAR's scales, time of the day and day of the week [rows of the bars, features]."""
    bars, scales = series.bars, [scale * horizon for scale in SCALES[:5]]
    floor = 1e-6 * float(series.history.volume.mean()) + 1e-12
    volume = [np.log(smooth(bars.volume, scale) + floor) for scale in scales]
    log_returns = np.nan_to_num(returns(bars.log_close, bars.segment))
    deviation = np.sqrt(smooth(bars.variance, scales[-1])) + 1e-12
    trend = [smooth(log_returns, scale) * np.sqrt(scale) / deviation for scale in scales[:4]]
    clock = bars.timestamp % DAY / DAY, (bars.timestamp // DAY + 3) % 7
    return np.column_stack([*(part - volume[-1] for part in volume[:-1]), *trend, *clock])


def _at(timestamp: np.ndarray, other: Bars, values: np.ndarray) -> np.ndarray:
    """Another symbol's values [its rows, k] at the times [n] (ms), its latest where it has no bar then; 0 before its
    first."""
    place = np.searchsorted(other.timestamp, timestamp, side="right") - 1
    return np.where((place >= 0)[:, None], values[np.maximum(place, 0)], 0.0)


def _training_rows(history: Bars, task: Task, most: int) -> np.ndarray:
    """Rows [n] of the history that trees are trained on, about `most` at most."""
    rows = history.windows(0, task.horizon)
    return rows[:: 1 + len(rows) // most]


def _relative(sizes: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Sizes [rows, steps] divided by a spread [steps]; 1 where that is zero, since no factor changes it."""
    return np.divide(sizes, spread, out=np.ones_like(sizes), where=spread > 0)


def _factor(trees: lightgbm.Booster, design: np.ndarray, steps: np.ndarray, task: Task) -> np.ndarray:
    """The trees' factor [origins, horizon] on a quantile, interpolated between the `steps`."""
    predicted = 1 + np.asarray(trees.predict(design)).reshape(-1, len(steps))
    return np.maximum(np.stack([np.interp(task.steps, steps, row) for row in predicted]), 0.2)


def _with_steps(features: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A row for each row of features and each step, the step its last column."""
    # a split must not depend on the last bits of a regressor
    return np.round(np.column_stack([np.repeat(features, len(steps), axis=0), np.tile(steps, len(features))]), 6)


def _fit(data: lightgbm.Dataset, target: np.ndarray, level: float) -> lightgbm.Booster:
    """Trees for the quantile `level` of the target, starting at 1. The data, binned once, is that of all levels."""
    data.set_label(np.round(target, 6))
    data.set_init_score(np.ones(len(target)))
    parameters = PARAMETERS | {"alpha": level, "min_data_in_leaf": max(20, len(target) // 100)}
    return lightgbm.train(parameters, data, ROUNDS)
