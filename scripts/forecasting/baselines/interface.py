"""What every baseline is given, and what it returns; and the baseline that a name of the registry stands for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from forecasting.bars import Bars
from forecasting.members import MEMBERS
from forecasting.task import Task


@dataclass(frozen=True)
class BaselineSettings:
    """The config's section `baselines`, in bars: half-lives, and how often a baseline is refitted (None: never)."""

    ewma_halflife: float
    drift_halflife: float
    refit_bars: int | None


# eq: told apart by identity, so that what several members need of one can be kept
@dataclass(frozen=True, eq=False)
class SymbolSeries:
    """One symbol's bars to fit on, its bars to forecast from, the rows [origins] of the origins in these, its name, and
    the features of the user's own at the rows of `bars`, [rows, columns], NaN where they have no value; None without.
    """

    history: Bars
    bars: Bars
    origins: np.ndarray
    symbol: str = ""
    features: np.ndarray | None = None


# Quantiles [origins, horizon, levels] of the cumulative log return from the close at each origin. For an origin a
# baseline uses only rows of `bars` up to it. Raises InsufficientHistoryError when it cannot be fitted on `history`.
SymbolBaseline = Callable[[SymbolSeries, Task, BaselineSettings], np.ndarray]
# the same of several symbols at once, one item a symbol
Baseline = Callable[[Sequence[SymbolSeries], Task, BaselineSettings], list[np.ndarray]]


def all_symbols(baseline: Baseline) -> Baseline:
    """Decorator of a plug-in's function that forecasts all symbols together."""
    vars(baseline)["all_symbols"] = True
    return baseline


def load_baseline(name: str) -> Baseline:
    """The baseline of that name in the registry. Its module is imported now: some take a second."""
    member = MEMBERS[name]
    function = getattr(import_module(member.module), member.function)
    return function if member.all_symbols else for_each_symbol(function)


def for_each_symbol(baseline: SymbolBaseline) -> Baseline:
    """The baseline of several symbols that forecasts each of them alone."""
    return lambda series, task, settings: [baseline(one, task, settings) for one in series]
