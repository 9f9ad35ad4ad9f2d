"""Gradient-boosted quantiles (LightGBM) of returns in units of the HAR's deviation: what trees add to it.

Ke et al. (2017), LightGBM: a highly efficient gradient boosting decision tree, NeurIPS 30.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np

from forecasting.bars import Bars, returns
from forecasting.baselines.fhs import relative_quantiles
from forecasting.baselines.har import SCALES, Har, fit_har, smooth
from forecasting.baselines.interface import Settings, Track
from market.intervals import DAY

# windows of a symbol that are learned from: more of them overlap, and say the same
ROWS = 6_000
ROUNDS = 100
# shallow and slow: nearly all that there is to say, the HAR has said
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
    """A symbol's HAR, the quantiles [horizon, levels] relative to it, and the features [rows, features] of its bars."""

    har: Har
    relative: np.ndarray
    features: np.ndarray


def lightgbm_quantiles(tracks: Sequence[Track], settings: Settings) -> list[np.ndarray]:
    """Quantiles of all symbols together; see `baselines.Member`. Raises TooShortError.

    A tree ensemble a level gives the factor on the LHAR-FHS quantile, at a few steps of the horizon; between them it is
    interpolated. It learns |return| at the level |2p − 1|, so that p and 1 − p are mirror images.
    """
    symbols = _symbols(tracks, settings)
    steps = np.unique(np.maximum(1, np.array([settings.horizon // part for part in (12, 4, 2, 1)])))
    rows, sizes = zip(
        *(_learned(own, track, settings) for own, track in zip(symbols, tracks, strict=True)), strict=True
    )
    design = np.concatenate([_with_steps(own.features[at], steps) for own, at in zip(symbols, rows, strict=True)])
    forecasts = [
        own.har.deviation(t.bars, t.origins)[:, :, None] * own.relative for own, t in zip(symbols, tracks, strict=True)
    ]
    centred = 2 * np.array(settings.quantile_levels) - 1
    for level in np.unique(np.round(np.abs(centred[centred != 0]), 9)):
        sides = np.flatnonzero(np.isclose(np.abs(centred), level))
        spreads = [np.abs(own.relative[steps - 1, sides[0]]) for own in symbols]
        target = np.concatenate(
            [_relative(size[:, steps - 1], s).ravel() for size, s in zip(sizes, spreads, strict=True)]
        )
        trees = _fit(design, target, float(level))
        for forecast, own, track in zip(forecasts, symbols, tracks, strict=True):
            said = 1 + np.asarray(trees.predict(_with_steps(own.features[track.origins], steps))).reshape(
                -1, len(steps)
            )
            factor = np.stack([np.interp(settings.ahead, steps, row) for row in said])
            forecast[:, :, sides] *= np.maximum(factor, 0.2)[:, :, None]
    return forecasts


def _symbols(tracks: Sequence[Track], settings: Settings) -> list[_Symbol]:
    hars = [fit_har(track.history, settings.horizon, leverage=True) for track in tracks]
    scales = max(len(har.scales) for har in hars)
    inputs = [har.inputs(track.bars, scales) for har, track in zip(hars, tracks, strict=True)]
    quantile_levels = [own[:, :3] for own in inputs]
    found = []
    for place, (har, track) in enumerate(zip(hars, tracks, strict=True)):
        own = np.column_stack([inputs[place], _features(track, settings.horizon)])
        others = [_at(track.bars, tracks[k].bars, quantile_levels[k]) for k in range(len(tracks)) if k != place]
        wide = np.column_stack([own, np.mean(others, axis=0) - quantile_levels[place]]) if others else own
        relative = relative_quantiles(har.deviation, track.history, settings.horizon, settings.quantile_levels)
        found.append(_Symbol(har, relative, wide))
    return found


def _features(track: Track, horizon: int) -> np.ndarray:
    """Volume and trend over the HAR's scales, time of the day and day of the week [rows of the bars, features]."""
    bars, scales = track.bars, [scale * horizon for scale in SCALES[:5]]
    floor = 1e-6 * float(track.history.volume.mean()) + 1e-12
    volume = [np.log(smooth(bars.volume, scale) + floor) for scale in scales]
    moves = np.nan_to_num(returns(bars.log_close, bars.segment))
    deviation = np.sqrt(smooth(bars.variance, scales[-1])) + 1e-12
    trend = [smooth(moves, scale) * np.sqrt(scale) / deviation for scale in scales[:4]]
    clock = bars.timestamp % DAY / DAY, (bars.timestamp // DAY + 3) % 7
    return np.column_stack([*(part - volume[-1] for part in volume[:-1]), *trend, *clock])


def _at(bars: Bars, other: Bars, values: np.ndarray) -> np.ndarray:
    """Another symbol's values [its rows, k] at the time of each bar, its latest where it has none then; 0 before it."""
    place = np.searchsorted(other.timestamp, bars.timestamp, side="right") - 1
    return np.where((place >= 0)[:, None], values[np.maximum(place, 0)], 0.0)


def _learned(own: _Symbol, track: Track, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the bars to learn from, and sizes [rows, horizon] of the returns after them, in the HAR's deviations."""
    rows = track.history.windows(0, settings.horizon)
    rows = rows[:: 1 + len(rows) // ROWS]
    sizes = np.abs(track.history.paths(rows, settings.horizon) / own.har.deviation(track.history, rows))
    # fetched anew, bars may hold what was missing from the history
    return np.searchsorted(track.bars.timestamp, track.history.timestamp[rows]), sizes


def _relative(sizes: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Sizes [rows, steps] in units of a spread [steps]; 1 where that is zero: no factor changes it."""
    return np.divide(sizes, spread, out=np.ones_like(sizes), where=spread > 0)


def _with_steps(features: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A row for each row of features and each step, the step its last column."""
    # a split must not hang on the last bits of a regressor
    return np.round(np.column_stack([np.repeat(features, len(steps), axis=0), np.tile(steps, len(features))]), 6)


def _fit(design: np.ndarray, target: np.ndarray, level: float) -> lightgbm.Booster:
    """Trees for the quantile `level` of the target, beginning at 1."""
    data = lightgbm.Dataset(design, np.round(target, 6), init_score=np.ones(len(target)))
    parameters = PARAMETERS | {"alpha": level, "min_data_in_leaf": max(20, len(target) // 100)}
    return lightgbm.train(parameters, data, ROUNDS)
