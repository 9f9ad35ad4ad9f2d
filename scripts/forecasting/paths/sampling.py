"""Sample paths whose marginals are a forecast's and whose dependence is that of history: the Schaake shuffle.

Residual windows of history, the same moments for all symbols, become templates of the paths ahead: each bar's residual
times the season's deviation of the bar that it stands for, summed over the steps. At each step and symbol the ranks of
the templates put the forecast's quantiles in order. So the paths have the forecast's marginals exactly, and the
templates' rank dependence over steps and symbols.

Clark et al. (2004), The Schaake shuffle: a method for reconstructing space-time variability in forecasted precipitation
and temperature fields, J. Hydrometeorology 5(1); Schefzik, Thorarinsdottir and Gneiting (2013), Uncertainty
quantification in complex simulation models using ensemble copula coupling, Statistical Science 28(4).
"""

from collections.abc import Sequence

import numpy as np

from forecasting.distribution import Distribution
from forecasting.paths.history import History
from forecasting.quantiles import Forecasts
from forecasting.task import Task


def sample_paths(marginals: np.ndarray, history: History, ahead: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Cumulative log returns [symbols, horizon, n] of n joint paths, in no order.

    marginals [symbols, horizon, n]: of the function of that name. ahead [horizon]: open times (ms) of the bars ahead.
    """
    rows = drawn_moments(history, marginals.shape[-1], random)
    season = np.stack([season.at(ahead) for season in history.seasons])
    templates = history.residuals[:, rows] * np.sqrt(season)[:, None].astype(np.float32)
    return schaake_shuffle(marginals, cumulated(templates))


def paths_from(forecast: Forecasts, history: History, task: Task, count: int, seed: int) -> np.ndarray:
    """Sample paths [symbols, horizon, count] of forecasts from one origin, of the history's symbols in its order."""
    origin = int(forecast.origin[0])
    spread = marginals(forecast.quantiles, task.quantile_levels, count)
    return sample_paths(spread, history, origin + task.bar_ms * task.steps, generator(seed, origin))


def marginals(quantiles: np.ndarray, quantile_levels: Sequence[float], count: int) -> np.ndarray:
    """Of quantiles [symbols, horizon, levels] those at the levels (k − ½) / count: [symbols, horizon, count]."""
    levels = (np.arange(count) + 0.5) / count
    values = Distribution(quantile_levels, quantiles).quantile(levels[:, None, None])
    return np.ascontiguousarray(np.moveaxis(values, 0, -1))


def generator(seed: int, origin: int) -> np.random.Generator:
    """Random numbers that depend on the seed and the origin (ms) alone."""
    return np.random.default_rng([seed, origin])


def drawn_moments(history: History, count: int, random: np.random.Generator) -> np.ndarray:
    """Rows [count] of the history's moments in random order, each once where there are enough."""
    there = history.residuals.shape[1]
    return random.choice(there, count, replace=there < count)


def cumulated(moves: np.ndarray) -> np.ndarray:
    """Paths [symbols, horizon, n] of the bars' log returns [symbols, n, horizon]."""
    return np.ascontiguousarray(np.swapaxes(np.cumsum(moves, axis=2), 1, 2))


def schaake_shuffle(marginals: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """The marginals [..., n], increasing along the last axis, in the order of the templates' ranks [..., n].

    Equal templates keep their order, which is the same at all steps: what is tied stays together.
    """
    shuffled = np.empty_like(marginals)
    np.put_along_axis(shuffled, np.argsort(templates, axis=-1, kind="stable"), marginals, axis=-1)
    return shuffled
