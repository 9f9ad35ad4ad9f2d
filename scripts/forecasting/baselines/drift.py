"""The leverage HAR with a direction: its forecasts, shifted by the momentum and the reaction of returns."""

from collections.abc import Sequence

import numpy as np

from forecasting.baselines.har_fhs import lhar_fhs
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.baselines.momentum import fit_momentum
from forecasting.baselines.panel import Panel
from forecasting.baselines.reaction import fit_reaction
from forecasting.task import Task


def drift(series: Sequence[SymbolSeries], task: Task, settings: BaselineSettings) -> list[np.ndarray]:
    """`lhar_fhs` around the expected cumulative returns; the same bytes where no direction is significant."""
    forecasts = [lhar_fhs(one, task, settings) for one in series]
    history = Panel.of([one.history for one in series], task.horizon)
    momentum = fit_momentum(history)
    reaction = fit_reaction(history, momentum)
    if momentum is None and not any(map(len, reaction.steps)):
        return forecasts
    panel = Panel.of([one.bars for one in series], task.horizon, history.floors)
    for place, one in enumerate(series):
        rows = np.searchsorted(panel.timestamp, one.bars.timestamp[one.origins])
        shift = reaction.shifts(panel, rows, place)
        if momentum:
            shift = shift + momentum.shifts(panel, rows, place)
        forecasts[place] = forecasts[place] + shift[:, :, None]
    return forecasts
