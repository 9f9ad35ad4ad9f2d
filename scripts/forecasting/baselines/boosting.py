"""Gradient-boosted quantiles (LightGBM): trees correct the LHAR-FHS quantiles.

Ke et al. (2017), LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 30.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np

from forecasting.bars import Bars, returns
from forecasting.baselines.fhs import standardised_quantiles
from forecasting.baselines.har import SCALES, Har, fit_har, smooth
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.task import Task
from market.intervals import DAY

# training windows of a symbol, at most: more of them overlap and add little
ROWS = 6_000
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
    """A symbol's series and HAR, the quantiles [horizon, levels] of its returns standardised by the HAR, and the trees'
    features [rows, features] of its bars."""

    series: SymbolSeries
    har: Har
    quantiles: np.ndarray
    features: np.ndarray


def lightgbm_quantiles(series: Sequence[SymbolSeries], task: Task, settings: BaselineSettings) -> list[np.ndarray]:
    """Quantiles [origins, horizon, levels] of each symbol, from trees of all symbols. Raises InsufficientHistoryError.

    A tree ensemble a level gives the factor on the LHAR-FHS quantile, at a few steps of the horizon; between them it is
    interpolated. Its target is |return| at the level |2p − 1|, so that p and 1 − p are mirror images.
    """
    symbols = _symbols(series, task)
    steps = np.unique(np.maximum(1, np.array([task.horizon // part for part in (12, 4, 2, 1)])))
    rows, sizes = zip(*(_training_rows(symbol, task) for symbol in symbols), strict=True)
    design = np.concatenate([_with_steps(s.features[at], steps) for s, at in zip(symbols, rows, strict=True)])
    forecasts = [
        symbol.har.deviation(one.bars, one.origins)[:, :, None] * symbol.quantiles
        for symbol, one in zip(symbols, series, strict=True)
    ]
    centred = 2 * np.array(task.quantile_levels) - 1
    for level in np.unique(np.round(np.abs(centred[centred != 0]), 9)):
        sides = np.flatnonzero(np.isclose(np.abs(centred), level))
        spreads = [np.abs(symbol.quantiles[steps - 1, sides[0]]) for symbol in symbols]
        target = np.concatenate(
            [_relative(size[:, steps - 1], spread).ravel() for size, spread in zip(sizes, spreads, strict=True)]
        )
        trees = _fit(design, target, float(level))
        for forecast, symbol in zip(forecasts, symbols, strict=True):
            forecast[:, :, sides] *= _factor(trees, symbol, steps, task)[:, :, None]
    return forecasts


def _symbols(series: Sequence[SymbolSeries], task: Task) -> list[_Symbol]:
    hars = [fit_har(one.history, task.horizon, extended=True) for one in series]
    scales = max(len(har.scales) for har in hars)
    regressors = [har.padded_regressors(one.bars, scales) for har, one in zip(hars, series, strict=True)]
    log_variances = [columns[:, :3] for columns in regressors]
    symbols = []
    for place, (har, one) in enumerate(zip(hars, series, strict=True)):
        features = np.column_stack([regressors[place], _features(one, task.horizon)])
        if one.features is not None:
            features = np.column_stack([features, one.features])
        others = [_at(one.bars, series[k].bars, log_variances[k]) for k in range(len(series)) if k != place]
        if others:
            features = np.column_stack([features, np.mean(others, axis=0) - log_variances[place]])
        quantiles = standardised_quantiles(har.deviation, one.history, task.horizon, task.quantile_levels)
        symbols.append(_Symbol(one, har, quantiles, features))
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


def _at(bars: Bars, other: Bars, values: np.ndarray) -> np.ndarray:
    """Another symbol's values [its rows, k] at the time of each bar, its latest where it has no bar then; 0 before its
    first."""
    place = np.searchsorted(other.timestamp, bars.timestamp, side="right") - 1
    return np.where((place >= 0)[:, None], values[np.maximum(place, 0)], 0.0)


def _training_rows(symbol: _Symbol, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the bars to train on, and the absolute returns [rows, horizon] after them, standardised by the HAR."""
    history = symbol.series.history
    rows = history.windows(0, task.horizon)
    rows = rows[:: 1 + len(rows) // ROWS]
    sizes = np.abs(history.paths(rows, task.horizon) / symbol.har.deviation(history, rows))
    # bars that are fetched again may hold some that the history lacks
    return np.searchsorted(symbol.series.bars.timestamp, history.timestamp[rows]), sizes


def _relative(sizes: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Sizes [rows, steps] divided by a spread [steps]; 1 where that is zero, since no factor changes it."""
    return np.divide(sizes, spread, out=np.ones_like(sizes), where=spread > 0)


def _factor(trees: lightgbm.Booster, symbol: _Symbol, steps: np.ndarray, task: Task) -> np.ndarray:
    """The trees' factor [origins, horizon] on a quantile, interpolated between the `steps`."""
    design = _with_steps(symbol.features[symbol.series.origins], steps)
    predicted = 1 + np.asarray(trees.predict(design)).reshape(-1, len(steps))
    return np.maximum(np.stack([np.interp(task.steps, steps, row) for row in predicted]), 0.2)


def _with_steps(features: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A row for each row of features and each step, the step its last column."""
    # a split must not depend on the last bits of a regressor
    return np.round(np.column_stack([np.repeat(features, len(steps), axis=0), np.tile(steps, len(features))]), 6)


def _fit(design: np.ndarray, target: np.ndarray, level: float) -> lightgbm.Booster:
    """Trees for the quantile `level` of the target, starting at 1."""
    data = lightgbm.Dataset(design, np.round(target, 6), init_score=np.ones(len(target)))
    parameters = PARAMETERS | {"alpha": level, "min_data_in_leaf": max(20, len(target) // 100)}
    return lightgbm.train(parameters, data, ROUNDS)
