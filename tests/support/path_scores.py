"""Scores of sample paths of a market that is known: a Gaussian walk of correlated symbols."""

from functools import cache

import numpy as np

from forecasting.members import ENSEMBLE
from forecasting.paths.comparison import Record
from forecasting.paths.documents import PathScores
from forecasting.paths.rivals import correlated, gaussian_walk
from forecasting.paths.scores import score_paths
from forecasting.task import Task
from score_paths import summarised

COUNT = 200
RIVALS = ("independent", "gaussian_walk", "correlated_walk", "garch_fhs", "block_bootstrap")


@cache
def path_scores(
    symbols: tuple[str, ...], interval: str, horizon: int, simulated: bool = True, times: int = 60
) -> PathScores:
    """The document of `times` origins a horizon apart, where the ensemble's paths have the law of the market, and each
    rival's are the wider the later it stands in RIVALS."""
    random, record = np.random.default_rng(1), Record()
    task = Task(interval, lookback=1, horizon=horizon, quantile_levels=[0.05, 0.25, 0.5, 0.75, 0.95])
    correlation = np.full((len(symbols), len(symbols)), 0.5) + 0.5 * np.eye(len(symbols))
    deviation = np.full(len(symbols), 1e-3)

    def walk(width: float, count: int) -> np.ndarray:
        shocks = correlated(random.standard_normal((len(symbols), horizon, count)), correlation)
        return gaussian_walk(width * deviation, shocks)

    for time in range(times):
        realised = walk(1.0, 1)[..., 0]
        methods = {ENSEMBLE: 1.0} | {name: 1.4 + 0.2 * place for place, name in enumerate(RIVALS)}
        paths = {name: walk(width, COUNT) for name, width in methods.items()}
        scored = {name: score_paths(one, realised, deviation, task.bar_ms) for name, one in paths.items()}
        record.add(0, time * horizon * task.bar_ms, scored)
    document = summarised(record, task, horizon)
    return document | {"simulated": simulated, "symbols": list(symbols), "count": COUNT}
