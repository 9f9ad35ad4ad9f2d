"""Plans of a trade: buy now, sell at the close of an exit step, or before at a take-profit or a stop level.

A level is touched by the first close at or beyond it. A take-profit is filled at its level, though the close is better;
a stop at that close, which is worse than its level. Were both touched by one close, the stop would come first. Between
closes nothing is filled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plans:
    """Plans [p], by exit and then from no levels to the farthest.

    step: the exit, from 1. take_profit, stop: levels in deviations of the forecast at the exit, NaN where there is
    none. upper, lower: the same as log returns from the entry, ±∞ where there is none.
    """

    step: np.ndarray
    take_profit: np.ndarray
    stop: np.ndarray
    upper: np.ndarray
    lower: np.ndarray

    def __len__(self) -> int:
        return len(self.step)

    @property
    def simple(self) -> np.ndarray:
        """Which plans have no levels [p]."""
        return np.isnan(self.take_profit) & np.isnan(self.stop)

    def take(self, place: int) -> "Plans":
        """One plan alone."""
        at = slice(place, place + 1)
        return Plans(self.step[at], self.take_profit[at], self.stop[at], self.upper[at], self.lower[at])


def exit_steps(steps: int, count: int) -> np.ndarray:
    """At most `count` steps, evenly spread up to the last of `steps`, which is among them."""
    return np.unique(np.ceil(np.linspace(0, steps, min(count, steps) + 1)[1:] - 1e-9).astype(np.int64))


def make_plans(deviation: np.ndarray, exits: int, take_profit: Sequence[float], stop: Sequence[float]) -> Plans:
    """Every exit with every pair of levels, none among them. deviation [steps]: of the forecast's log return.

    exits: how many, at most; take_profit, stop: levels in deviations, above 0.
    """
    steps = exit_steps(len(deviation), exits)
    profits, stops = (np.array([np.nan, *levels]) for levels in (take_profit, stop))
    step, profit, loss = (part.ravel() for part in np.meshgrid(steps, profits, stops, indexing="ij"))
    scale = deviation[step - 1]
    upper = np.where(np.isnan(profit), np.inf, profit * scale)
    lower = np.where(np.isnan(loss), -np.inf, -loss * scale)
    return Plans(step, profit, loss, upper, lower)


def fills(plans: Plans, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When and at which price each plan sells on each path: the step [p, n], from 1, the log return [p, n], and whether
    it is a take-profit [p, n].

    paths [steps, n]: log returns of the closes from the entry.
    """
    taken = _first_at_or_beyond(np.maximum.accumulate(paths), plans.upper)
    stopped = _first_at_or_beyond(-np.minimum.accumulate(paths), -plans.lower)
    step = np.minimum(np.minimum(taken, stopped), plans.step[:, None])
    closes = paths[step - 1, np.arange(paths.shape[1])]
    is_taken = (taken == step) & (taken < stopped)
    return step, np.where(is_taken, plans.upper[:, None], closes), is_taken


def _first_at_or_beyond(highest: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The step [p, n], from 1, at which the running maximum [steps, n] reaches each level [p]; later than the last
    where it never does."""
    values, place = np.unique(levels, return_inverse=True)
    first = np.stack([(highest < value).sum(axis=0) for value in values]) + 1
    return np.where(np.isfinite(levels)[:, None], first[place], len(highest) + 1)
