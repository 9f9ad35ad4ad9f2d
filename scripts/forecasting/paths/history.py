"""The windows of training that sample paths take their dependence from: the same moments for all symbols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from common.errors import UserError
from forecasting.bars import Bars, returns, smooth
from forecasting.baselines.har import Season, fit_season
from forecasting.folds import contiguous

# windows that are kept, at most, evenly spaced: more of them overlap and add little
MOMENTS = 5_000
# with fewer of them there is no dependence to speak of
FEWEST = 20


@dataclass(frozen=True)
class History:
    """Windows of the bars that follow the same moments in all symbols.

    symbols [s], sorted; seasons [s]; returns [s, moments, horizon] float32: log returns of the bars after each moment,
    without a gap; residuals: the same in units of the deviation that was forecast for their bar at the moment, √(v g),
    v the EWMA of the deseasonalised variance up to the moment with a centre of mass of half a horizon, g the season of
    the bar.
    """

    symbols: list[str]
    seasons: list[Season]
    returns: np.ndarray
    residuals: np.ndarray

    def only(self, symbols: Sequence[str]) -> "History":
        """The history of some of the symbols."""
        if list(symbols) == self.symbols:
            return self
        places = [self.symbols.index(symbol) for symbol in symbols]
        seasons = [self.seasons[place] for place in places]
        return History(list(symbols), seasons, self.returns[places], self.residuals[places])


def read_history(bars: Mapping[str, Bars], horizon: int) -> History:
    """The history of these symbols' bars, all before the end of training.

    Raises UserError where a symbol has no window of `horizon` bars, or fewer than FEWEST moments are shared.
    """
    symbols = sorted(bars)
    moments = shared_moments({symbol: bars[symbol] for symbol in symbols}, horizon)
    if len(moments) > MOMENTS:
        moments = moments[np.linspace(0, len(moments) - 1, MOMENTS).astype(np.int64)]
    windows = [_windows(bars[symbol], moments, horizon) for symbol in symbols]
    seasons, moves, residuals = zip(*windows, strict=True)
    return History(symbols, list(seasons), np.stack(moves), np.stack(residuals))


def shared_moments(bars: Mapping[str, Bars], horizon: int) -> np.ndarray:
    """Open times (ms) [n] of the bars that `horizon` bars follow without a gap, in every symbol. Raises UserError."""
    found = {name: one.timestamp[contiguous(one.segment, 0, horizon)] for name, one in bars.items()}
    for name, times in found.items():
        if len(times) < FEWEST:
            raise UserError(
                f"{name}: its training has {len(times)} windows of {horizon} bars without a gap, and sample paths need "
                f"{FEWEST}; increase days, use fewer or shorter folds, or drop it from symbols"
            )
    shared: np.ndarray = reduce(np.intersect1d, found.values())
    if len(shared) < FEWEST:
        raise UserError(
            f"{', '.join(found)}: their training shares {len(shared)} windows of {horizon} bars without a gap, and "
            f"sample paths need {FEWEST} at the same times; increase days, or drop one of them from symbols"
        )
    return shared


def _windows(bars: Bars, moments: np.ndarray, horizon: int) -> tuple[Season, np.ndarray, np.ndarray]:
    """A symbol's season, returns [moments, horizon] and residuals."""
    season, rows = fit_season(bars), np.searchsorted(bars.timestamp, moments)
    ahead = rows[:, None] + np.arange(1, horizon + 1)
    moves = returns(bars.log_close, bars.segment)[ahead]
    variance = smooth(bars.variance / season.at(bars.timestamp), horizon / 2)[rows, None]
    deviation = np.sqrt(variance * season.at(bars.timestamp[ahead]))
    # long frozen, a price has no deviation left
    residuals = np.divide(moves, deviation, out=np.zeros_like(moves), where=deviation > 0)
    return season, moves.astype(np.float32), residuals.astype(np.float32)
