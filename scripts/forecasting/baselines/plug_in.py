"""A function of a user's file as a baseline: what it is given, and what is checked of what it returns."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from common.errors import UserError
from common.plug_ins import PlugIn
from forecasting.baselines.interface import Baseline, BaselineSettings, SymbolSeries, for_each_symbol
from forecasting.task import Task
from market.intervals import iso


def load_plug_in(plug_in: PlugIn, twice: bool) -> Baseline:
    """The function as a baseline of several symbols. twice: call it again, and compare.

    The baseline raises UserError in one line where the function fails, or returns what is no forecast, or another one
    when it is called again.
    """
    function = plug_in.load()
    whole = function if getattr(function, "all_symbols", False) else for_each_symbol(function)

    def baseline(series: Sequence[SymbolSeries], task: Task, settings: BaselineSettings) -> list[np.ndarray]:
        # it may do with its arrays what it likes
        first, *again = [plug_in.call(whole, deepcopy(list(series)), task, settings) for _ in range(1 + twice)]
        quantiles = _checked(plug_in, first, series, task)
        for other in again:
            _check_equal(plug_in, quantiles, _checked(plug_in, other, series, task), series)
        return quantiles

    return baseline


def _checked(plug_in: PlugIn, returned: Any, series: Sequence[SymbolSeries], task: Task) -> list[np.ndarray]:
    """What it returned, as quantiles [origins, horizon, levels] of each symbol. Raises UserError when it is no such."""
    if not isinstance(returned, list | tuple) or len(returned) != len(series):
        given = f"{len(returned)} items" if isinstance(returned, list | tuple) else type(returned).__name__
        raise UserError(f"{plug_in}: returned {given}; it must return a list of {len(series)} arrays, one a symbol")
    quantiles = []
    for one, values in zip(series, returned, strict=True):
        shape = (len(one.origins), task.horizon, len(task.quantile_levels))
        array = plug_in.array(values, shape, "origins, horizon, levels", np.float64)
        _check_finite(plug_in, array, one, task)
        _check_order(plug_in, array, one, task)
        quantiles.append(array)
    return quantiles


def _check_finite(plug_in: PlugIn, quantiles: np.ndarray, one: SymbolSeries, task: Task) -> None:
    wrong = np.argwhere(~np.isfinite(quantiles))
    if len(wrong):
        origin, step, level = wrong[0]
        raise UserError(
            f"{plug_in}: its forecast of {_at(one, origin)}, step {step + 1}, level {task.quantile_levels[level]:g} is "
            f"{quantiles[origin, step, level]}; return finite numbers, or raise InsufficientHistoryError to be skipped"
        )


def _check_order(plug_in: PlugIn, quantiles: np.ndarray, one: SymbolSeries, task: Task) -> None:
    wrong = np.argwhere(np.diff(quantiles, axis=2) < 0)
    if len(wrong):
        origin, step, level = wrong[0]
        low, high = (f"q{task.quantile_levels[level + k]:g} {quantiles[origin, step, level + k]:.4g}" for k in (0, 1))
        raise UserError(
            f"{plug_in}: its quantiles of {_at(one, origin)}, step {step + 1} cross: {low} is above {high}; "
            "sort them: np.sort(quantiles, axis=-1)"
        )


def _check_equal(
    plug_in: PlugIn, first: Sequence[np.ndarray], again: Sequence[np.ndarray], series: Sequence[SymbolSeries]
) -> None:
    for one, before, after in zip(series, first, again, strict=True):
        wrong = np.argwhere(before.view(np.int64) != after.view(np.int64))
        if len(wrong):
            origin, step, _ = wrong[0]
            raise plug_in.differs(f"{_at(one, origin)}, step {step + 1}")


def _at(one: SymbolSeries, origin: int) -> str:
    return f"{one.symbol} at {iso(int(one.bars.timestamp[one.origins[origin]]))}"
