"""Volatility of bars: its season, its EWMAs over several time scales, and a HAR regression on these.

All of it is causal: a row's value uses that row and earlier ones. Parameters are fitted on the bars that are given.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecasting.bars import Bars, InsufficientHistoryError, require_windows, returns, smooth, typical_variance
from forecasting.baselines.shape import shape_regressors
from market.intervals import DAY

# non-overlapping windows that a HAR is fitted on, at least
HAR_WINDOWS = 20
# time scales of the HAR, in horizons: for an hour of minutes, from 5 minutes to a week
SCALES = (1 / 12, 1 / 4, 1, 4, 24, 168)
# a variance is at least this share of its typical value: a frozen bar has none, and its logarithm would dominate
FLOOR = 1e-3
# a volume is at least this share of the mean one
VOLUME_FLOOR = 1e-3
# a forecast variance is at least this share of that of the latest bars: a history without a break tells nothing of one
RECENT = 0.25
# penalty of the HAR's coefficients, in mean squares of the standardised regressors: of scales alone, and of all
RIDGE, RIDGE_OF_ALL = 1e-3, 0.1


@dataclass(frozen=True)
class Season:
    """Relative variance by time of day [slots] and by day of the week [7], each of mean 1."""

    slots: np.ndarray
    days: np.ndarray

    def at(self, timestamp: np.ndarray) -> np.ndarray:
        """Relative variance of the bars that open at `timestamp` (ms), of any shape."""
        # numpy takes a quotient much faster than a remainder; 1970 began on a Thursday
        day = timestamp // DAY
        slot = (timestamp - day * DAY) * len(self.slots) // DAY
        weekday = day + 3 - (day + 3) // 7 * 7
        return self.slots[slot] * self.days[weekday]

    def ahead(self, timestamp: np.ndarray, bar_ms: int, horizon: int) -> np.ndarray:
        """Cumulative relative variance [..., horizon] of the bars after those that open at `timestamp` [...] (ms)."""
        return np.cumsum(self.at(timestamp[..., None] + bar_ms * np.arange(1, horizon + 1)), axis=-1)


def fit_season(bars: Bars) -> Season:
    """The season of these bars: of slots of at least a quarter of an hour, smoothed, and of weekends.

    Each bar counts relative to its day's mean, so that a volatile day weighs as much as a quiet one.
    """
    count = int(np.clip(DAY // bars.bar_ms, 1, 96))
    day = bars.timestamp // DAY
    mean = pd.Series(bars.variance).groupby(day).transform("mean").to_numpy()
    # a bar beyond 50 times its day's mean is news, not a season
    relative = np.minimum(np.divide(bars.variance, mean, out=np.ones_like(mean), where=mean > 0), 50.0)
    slot = bars.timestamp % DAY * count // DAY
    slots = _smooth_around_clock(pd.Series(relative).groupby(slot).mean().reindex(range(count)).fillna(1.0).to_numpy())
    # a bar of several days covers weekdays and weekends
    days = _fit_days(bars.variance, day) if bars.bar_ms <= DAY else np.ones(7)
    return Season(slots / slots.mean(), days)


def _smooth_around_clock(profile: np.ndarray) -> np.ndarray:
    """A daily profile smoothed over two neighbours on each side, or one where slots are hours."""
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) if len(profile) >= 48 else np.array([1.0, 2.0, 1.0])
    reach = len(kernel) // 2
    if len(profile) <= 2 * reach:
        return profile
    return np.convolve(np.concatenate([profile[-reach:], profile, profile[:reach]]), kernel / kernel.sum(), "valid")


def _fit_days(variance: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Relative variance by day of the week, Monday first: one value for weekdays, one for weekends, of mean 1.

    In logarithms of the days' means, so that no single day dominates; 1 where there are fewer than two weekends.
    """
    means = pd.Series(variance).groupby(day).mean()
    means = means[means > 0]
    weekend = (means.index.to_numpy() + 3) % 7 >= 5
    if weekend.sum() < 4 or (~weekend).sum() < 4:
        return np.ones(7)
    logs = np.log(means.to_numpy())
    days = np.where(np.arange(7) >= 5, np.exp(logs[weekend].mean() - logs[~weekend].mean()), 1.0)
    return days / days.mean()


@dataclass(frozen=True)
class Har:
    """A seasonal heterogeneous autoregression of log volatility, one equation a step ahead.

    log of the mean variance over the next h bars = β₀ₕ + Σ βₖₕ xₖ, xₖ the log of the EWMA of the variance over scale k,
    all of them deseasonalised; the season of the h bars ahead is put back. Corsi (2009), A simple approximate
    long-memory model of realized volatility, J. Financial Econometrics 7(2); on logarithms of range-based variances.

    With `extended`, xₖ is of the bars' deviations instead, in which a jump, which does not last, weighs less (Forsberg
    and Ghysels 2007, Why do absolute returns predict volatility so well?, J. Financial Econometrics 5(1)), and the
    share of falls in the squared returns over three scales is a regressor too (Corsi and Renò 2012, Discrete-time
    volatility forecasting with persistent leverage effect, J. Business & Economic Statistics 30(3); Patton and Sheppard
    2015, Good volatility, bad volatility, Review of Economics and Statistics 97(3)), and so are volume and the shape of
    the moves (forecasting.baselines.shape).

    scales: time scales in bars. floor, volume_floor: added to variances and volumes before a logarithm is taken.
    centre, spread [regressors]: mean and standard deviation that regressors are standardised by. coefficients: [1 +
    regressors, horizon].
    """

    season: Season
    floor: float
    volume_floor: float
    scales: tuple[float, ...]
    extended: bool
    centre: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray

    def regressors(self, bars: Bars, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Standardised regressors [n, regressors] at the `rows` [n], or at all: log variance over each scale, the
        shortest first; extended also falls' shares, volume and shape."""
        return (self._raw(bars, rows) - self.centre) / self.spread

    def _raw(self, bars: Bars, rows: np.ndarray | slice) -> np.ndarray:
        """The regressors [n, regressors] at the rows before they are standardised."""
        columns = _log_variances(bars, self.season, self.scales, self.floor, self.extended)
        if self.extended:
            shape = shape_regressors(bars, self.scales, self.floor, self.volume_floor)
            columns = [*columns, *_falls(bars, self.scales, self.floor), *shape]
        return np.stack([column[rows] for column in columns], axis=1)

    def padded_regressors(self, bars: Bars, scales: int) -> np.ndarray:
        """The regressors, with 0 for those of `scales` scales that this HAR's history is too short for: a column is
        then the same scale's in all HARs of several symbols."""
        return self.padded(self.regressors(bars), scales)

    def padded(self, regressors: np.ndarray, scales: int) -> np.ndarray:
        """`padded_regressors` of `regressors` [n, regressors]."""
        missing = [len(self.scales)] * (scales - len(self.scales))
        return np.insert(regressors, missing, 0.0, axis=1)

    def deviation(self, bars: Bars, rows: np.ndarray) -> np.ndarray:
        """Forecast deviation [n, horizon] of the cumulative log returns after the `rows` [n] of the bars.

        It is right up to a factor a step, which FHS divides out.
        """
        return self.deviation_from(self.regressors(bars, rows), bars.timestamp[rows], bars.bar_ms)

    def deviation_from(self, regressors: np.ndarray, timestamp: np.ndarray, bar_ms: int) -> np.ndarray:
        """`deviation` after the bars that open at `timestamp` [n] (ms), from their `regressors` [n, regressors]."""
        mean = np.exp(self.coefficients[0] + regressors @ self.coefficients[1:])
        horizon = min(SCALES.index(1), len(self.scales) - 1)
        latest = np.exp(regressors[:, horizon] * self.spread[horizon] + self.centre[horizon])
        mean = np.maximum(mean, RECENT * latest[:, None])
        return np.sqrt(mean * self.season.ahead(timestamp, bar_ms, mean.shape[1]))


# centre, spread and coefficients of a HAR that only gives its regressors
_UNFITTED = (np.zeros(1), np.ones(1), np.zeros((0, 0)))


def fit_har(bars: Bars, horizon: int, extended: bool) -> Har:
    """The HAR of these bars. Raises InsufficientHistoryError when they hold fewer than HAR_WINDOWS non-overlapping
    windows, or no price change."""
    return fit_har_deviation(bars, horizon, extended)[0]


def fit_har_deviation(bars: Bars, horizon: int, extended: bool) -> tuple[Har, np.ndarray]:
    """`fit_har`, and its deviation [n, horizon] after the windows `bars.windows(0, horizon)` that it is fitted on."""
    require_windows(bars, horizon, HAR_WINDOWS)
    rows = bars.windows(0, horizon)
    season = fit_season(bars)
    variance = bars.variance / season.at(bars.timestamp)
    floor = FLOOR * typical_variance(variance, bars.bar_ms)
    if not floor:
        raise InsufficientHistoryError("the price never changes")
    scales = tuple(k * horizon for k in SCALES if k * horizon <= len(bars.timestamp) / 4)
    har = Har(season, floor, VOLUME_FLOOR * float(bars.volume.mean()) + 1e-12, scales, extended, *_UNFITTED)
    raw = har._raw(bars, rows)
    centre, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-6)
    total = np.cumsum(np.concatenate([[0.0], variance]))
    steps = np.arange(1, horizon + 1)
    mean = (total[rows[:, None] + 1 + steps] - total[rows + 1, None]) / steps
    ridge = RIDGE_OF_ALL if extended else RIDGE
    regressors = (raw - centre) / spread
    coefficients = _ridge(regressors, np.log(mean + floor), ridge)
    har = replace(har, centre=centre, spread=spread, coefficients=coefficients)
    return har, har.deviation_from(regressors, bars.timestamp[rows], bars.bar_ms)


def _log_variances(
    bars: Bars, season: Season, scales: tuple[float, ...], floor: float, of_deviations: bool
) -> list[np.ndarray]:
    """Log of the deseasonalised variance [rows] over each scale, or that of the deviations' mean."""
    variance = bars.variance / season.at(bars.timestamp)
    if not of_deviations:
        return [np.log(smooth(variance, scale) + floor) for scale in scales]
    deviation = np.sqrt(variance)
    return [2 * np.log(smooth(deviation, scale) + np.sqrt(floor)) for scale in scales]


def _falls(bars: Bars, scales: tuple[float, ...], floor: float) -> list[np.ndarray]:
    """Log of the falls' share [rows] of the squared returns, over the second to fourth scale."""
    log_returns = np.nan_to_num(returns(bars.log_close, bars.segment))
    squares, falls = log_returns**2, np.where(log_returns < 0, log_returns**2, 0.0)
    return [np.log((smooth(falls, scale) + floor) / (smooth(squares, scale) + floor)) for scale in scales[1:4]]


def _ridge(regressors: np.ndarray, targets: np.ndarray, ridge: float) -> np.ndarray:
    """Ridge regression [1 + regressors, targets] with a small penalty: neighbouring scales are nearly collinear."""
    design = np.column_stack([np.ones(len(regressors)), regressors])
    penalty = ridge * len(design) * np.diag([0.0, *np.ones(regressors.shape[1])])
    # the last bits of a matrix product depend on the machine
    return np.round(np.linalg.solve(design.T @ design + penalty, design.T @ targets), 8)
