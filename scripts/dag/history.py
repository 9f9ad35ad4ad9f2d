"""How much history a run takes, and how much of it tests: what null stands for, and whether it is enough."""

import math
from typing import NamedTuple

from common.errors import UserError
from dag.config import Config
from forecasting.baselines.har import HAR_WINDOWS
from forecasting.members import TFT
from market.intervals import DAY, season_bars
from market.warmup import warm_up

# the whole history and a fold's test set: in horizons, and bars that they are where those are fewer
HISTORY, LEAST_HISTORY = 720, 10_000
TEST, LEAST_TEST = 24, 240
# a month has each hour of the week four times; the simulated market's data is 1,247 days long
LEAST_DAYS, MOST_DAYS = 30, 1200
# one of so many parts of the history is in all test sets together, at most
PARTS = 3


class History(NamedTuple):
    """days: before the cutoff. test_bars: of a fold. bars: to fetch, for `train` the whole history before the cutoff,
    for `live` those before the training cutoff that one origin there needs."""

    days: float
    test_bars: int
    bars: dict[str, int]


def history_of(config: Config) -> History:
    """The history that the config gives or, where that is null, its interval and horizon.

    Raises UserError where the first fold's windows do not fit into it, or a test set holds no forecast.
    """
    bar_ms, count, horizon = config.bar_ms, config.folds.count, config.horizon
    needed = _needed(config)
    ready = max(LEAST_DAYS, min(MOST_DAYS, max(HISTORY * horizon, LEAST_HISTORY) * bar_ms / DAY), needed * bar_ms / DAY)
    days = config.days or float(math.ceil(ready))
    bars = int(days * DAY // bar_ms)
    test_bars = config.folds.test_bars or max(horizon + 1, min(_most_tested(horizon), bars // (PARTS * count)))
    if test_bars <= horizon:
        raise UserError(
            f"folds.test_bars: {test_bars} bars hold no whole forecast; it must be more than horizon, {horizon}"
        )
    if bars < _untested(config) + count * test_bars:
        raise UserError(
            f"days: {days:g} of {config.interval} bars are {bars}; "
            f"warm-up, lookback, horizon, folds and embargo need {needed}; "
            f"give days={math.ceil(needed * bar_ms / DAY)} or more, or fewer or shorter folds"
        )
    before = warm_up(config.spans) + config.embargo + count * test_bars
    _check_chunk(config, math.floor((bars - before) * (1 - config.folds.validation_fraction)))
    return History(days, test_bars, {"train": bars, "live": _live_bars(config, bars)})


def _live_bars(config: Config, train: int) -> int:
    # after ten half-lives a thousandth of the weight is left: an EWMA of the live bars is that of the whole history
    decayed = math.ceil(10 * max(config.ewma_halflife, config.drift_halflife))
    least = warm_up(config.spans) + config.lookback + 1
    return max(least, min(train, max(season_bars(config.bar_ms) + 1, decayed)))


def _needed(config: Config) -> int:
    """Bars of history from which on the folds fit into it."""
    untested, count = _untested(config), config.folds.count
    if config.folds.test_bars:
        return untested + count * config.folds.test_bars
    # the test sets grow with the history: to their least, to their most, or to their share of it
    shared = math.ceil(untested * PARTS / (PARTS - 1))
    return max(untested + count * (config.horizon + 1), min(untested + count * _most_tested(config.horizon), shared))


def _most_tested(horizon: int) -> int:
    """Bars of a fold's test set where the history is long."""
    return max(TEST * horizon, LEAST_TEST)


def _untested(config: Config) -> int:
    """Bars of the first fold before its test set, at least: warm-up, training windows, embargo."""
    lookback, horizon, share = config.lookback, config.horizon, config.folds.validation_fraction
    # the fitting part must hold a batch of windows, and the validation part one whole forecast
    fit = (lookback + horizon + config.tft.batch_size) / (1 - share)
    validate = (horizon + max(1, horizon // 4)) / share
    if TFT in config.members:
        fit = max(fit, (HAR_WINDOWS + 1) * horizon / (1 - share))
    return warm_up(config.spans) + config.embargo + math.ceil(max(fit, validate))


def _check_chunk(config: Config, bars: int) -> None:
    """Do the first fold's `bars` to fit on hold a whole chunk?"""
    forks = min(config.tft.forks, config.tft.batch_size)
    needed = config.lookback + (forks - 1) * config.origin_stride + config.horizon
    if bars < needed:
        raise UserError(
            f"tft.forks: a chunk of {forks} windows, {config.origin_stride} bars apart, takes {needed} bars, "
            f"and the first fold has {bars} to fit on; give fewer forks, a smaller tft.stride, or more days"
        )
