"""Volatility of bars: its season, its level over several time scales, and what a HAR regression makes of them.

All of it is causal: a row's value uses that row and earlier ones. What is fitted is fitted on the rows it is given.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.bars import Bars, TooShortError, enough, returns
from market.intervals import DAY

# windows without overlap that a HAR is fitted on, at least
HAR_WINDOWS = 20
# time scales of the HAR, in horizons: for an hour of minutes, from 5 minutes to a week
SCALES = (1 / 12, 1 / 4, 1, 4, 24, 168)
# a variance is never taken for less than this share of its mean: a frozen bar has none, and its logarithm would rule
FLOOR = 1e-3
# penalty of the HAR's coefficients, in mean squares of the standardised regressors
RIDGE = 1e-3


@dataclass(frozen=True)
class Season:
    """Variance by time of day [slots] and by day of the week [7], each of mean 1."""

    slots: np.ndarray
    days: np.ndarray

    def at(self, timestamp: np.ndarray) -> np.ndarray:
        """Relative variance of the bars that open then, of any shape."""
        slot = timestamp % DAY * len(self.slots) // DAY
        # 1970 began on a Thursday
        return self.slots[slot] * self.days[(timestamp // DAY + 3) % 7]

    def ahead(self, timestamp: np.ndarray, step: int, horizon: int) -> np.ndarray:
        """Cumulative relative variance [..., horizon] of the bars after those that open at `timestamp` [...]."""
        return np.cumsum(self.at(timestamp[..., None] + step * np.arange(1, horizon + 1)), axis=-1)


def fit_season(bars: Bars) -> Season:
    """The season of these bars: of slots of at least a quarter of an hour, smoothed, and of weekends.

    Each bar counts relative to its day's mean, so that a wild day says no more than a calm one.
    """
    count = int(np.clip(DAY // bars.step, 1, 96))
    day = bars.timestamp // DAY
    mean = pd.Series(bars.variance).groupby(day).transform("mean").to_numpy()
    # a share of a day's variance in one bar beyond 50 times the mean is news, not a season
    relative = np.minimum(np.divide(bars.variance, mean, out=np.ones_like(mean), where=mean > 0), 50.0)
    slot = bars.timestamp % DAY * count // DAY
    slots = _circular(pd.Series(relative).groupby(slot).mean().reindex(range(count)).fillna(1.0).to_numpy())
    # a bar of several days is of weekdays and weekends
    days = _weekend(bars.variance, day) if bars.step <= DAY else np.ones(7)
    return Season(slots / slots.mean(), days)


def _circular(profile: np.ndarray) -> np.ndarray:
    """A profile smoothed around the clock over two neighbours either way, or one where slots are hours."""
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) if len(profile) >= 48 else np.array([1.0, 2.0, 1.0])
    reach = len(kernel) // 2
    if len(profile) <= 2 * reach:
        return profile
    return np.convolve(np.concatenate([profile[-reach:], profile, profile[:reach]]), kernel / kernel.sum(), "valid")


def _weekend(variance: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Relative variance by day of the week, Monday first: one figure for weekdays, one for weekends, of mean 1.

    In logarithms of the days' means, so that no single day decides; 1 where there are not two weekends to learn from.
    """
    means = pd.Series(variance).groupby(day).mean()
    means = means[means > 0]
    rest = (means.index.to_numpy() + 3) % 7 >= 5
    if rest.sum() < 4 or (~rest).sum() < 4:
        return np.ones(7)
    logs = np.log(means.to_numpy())
    days = np.where(np.arange(7) >= 5, np.exp(logs[rest].mean() - logs[~rest].mean()), 1.0)
    return days / days.mean()


def smooth(values: np.ndarray, com: float) -> np.ndarray:
    """Exponentially weighted mean [rows] of centre of mass `com` rows, over gaps too: the market goes on in them."""
    return pd.Series(values).ewm(com=com).mean().to_numpy()


@dataclass(frozen=True)
class Har:
    """A seasonal heterogeneous autoregression of log volatility, one equation a step ahead.

    log of the mean variance over the next h bars = β₀ₕ + Σ βₖₕ xₖ, xₖ the log of the EWMA of the variance over scale k,
    all of them deseasonalised; the season of the h bars ahead is put back. Corsi (2009), A simple approximate
    long-memory model of realized volatility, J. Financial Econometrics 7(2); on logarithms of range-based variances.

    With `leverage`, xₖ is of the bars' deviations instead, in which a jump, which does not last, weighs less (Forsberg
    and Ghysels 2007, Why do absolute returns predict volatility so well?, J. Financial Econometrics 5(1)), and falls'
    share of the squared returns over three scales is regressed on too (Corsi and Renò 2012, Discrete-time volatility
    forecasting with persistent leverage effect, J. Business & Economic Statistics 30(3); Patton and Sheppard 2015, Good
    volatility, bad volatility, Review of Economics and Statistics 97(3)).
    """

    season: Season
    floor: float
    scales: tuple[float, ...]
    leverage: bool
    centre: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray
    "[1 + regressors, horizon]"

    def regressors(self, bars: Bars) -> np.ndarray:
        """Standardised regressors [rows, regressors]: log variance over each scale, the shortest first, then falls."""
        return (_regressors(bars, self.season, self.scales, self.floor, self.leverage) - self.centre) / self.spread

    def inputs(self, bars: Bars, scales: int) -> np.ndarray:
        """The regressors with 0 for those of `scales` scales that this HAR's history was too short for: where several
        HARs are read together, a column is the same scale's of all."""
        missing = [len(self.scales)] * (scales - len(self.scales))
        return np.insert(self.regressors(bars), missing, 0.0, axis=1)

    def deviation(self, bars: Bars, rows: np.ndarray) -> np.ndarray:
        """Deviation [n, horizon] of the cumulative log returns after the `rows` [n] of the bars."""
        return self.scale(self.regressors(bars)[rows], bars.timestamp[rows], bars.step)

    def scale(self, regressors: np.ndarray, timestamp: np.ndarray, step: int) -> np.ndarray:
        """`deviation` after the bars that open at `timestamp` [n], of which `regressors` [n, regressors] are known.

        The unit is FHS's to find: it divides by the same.
        """
        mean = np.exp(self.coefficients[0] + regressors @ self.coefficients[1:])
        return np.sqrt(mean * self.season.ahead(timestamp, step, mean.shape[1]))


def fit_har(bars: Bars, horizon: int, leverage: bool) -> Har:
    """The HAR of these bars. Raises TooShortError when they hold fewer than HAR_WINDOWS windows without overlap, or no
    move."""
    enough(bars, horizon, HAR_WINDOWS)
    rows = bars.windows(0, horizon)
    season = fit_season(bars)
    calm = bars.variance / season.at(bars.timestamp)
    floor = FLOOR * float(calm.mean())
    if not floor:
        raise TooShortError("the price never moves")
    scales = tuple(k * horizon for k in SCALES if k * horizon <= len(bars.timestamp) / 4)
    raw = _regressors(bars, season, scales, floor, leverage)
    centre, spread = raw[rows].mean(axis=0), np.maximum(raw[rows].std(axis=0), 1e-6)
    total = np.cumsum(np.concatenate([[0.0], calm]))
    ahead = np.arange(1, horizon + 1)
    mean = (total[rows[:, None] + 1 + ahead] - total[rows + 1, None]) / ahead
    coefficients = _ridge((raw[rows] - centre) / spread, np.log(mean + floor))
    return Har(season, floor, scales, leverage, centre, spread, coefficients)


def _regressors(bars: Bars, season: Season, scales: tuple[float, ...], floor: float, leverage: bool) -> np.ndarray:
    calm = bars.variance / season.at(bars.timestamp)
    if not leverage:
        return np.stack([np.log(smooth(calm, scale) + floor) for scale in scales], axis=1)
    deviation = np.sqrt(calm)
    levels = [2 * np.log(smooth(deviation, scale) + np.sqrt(floor)) for scale in scales]
    moves = np.nan_to_num(returns(bars.log_close, bars.segment))
    squares, falls = moves**2, np.where(moves < 0, moves**2, 0.0)
    shares = [np.log((smooth(falls, scale) + floor) / (smooth(squares, scale) + floor)) for scale in scales[1:4]]
    return np.stack([*levels, *shares], axis=1)


def _ridge(regressors: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Least squares with a little ridge, [1 + k, targets]: neighbouring scales say nearly the same."""
    design = np.column_stack([np.ones(len(regressors)), regressors])
    penalty = RIDGE * len(design) * np.diag([0.0, *np.ones(regressors.shape[1])])
    # the last bits of a matrix product are the machine's
    return np.round(np.linalg.solve(design.T @ design + penalty, design.T @ targets), 8)
