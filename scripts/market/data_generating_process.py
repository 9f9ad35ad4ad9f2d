"""The simulated market's data-generating process: log prices, minute by minute, of every coin.

docs/simulated-market.md states it. Every value is a function of (seed, coin, minute) alone: time is cut into blocks,
and each (seed, component, coin, block) has its random stream.
"""

from collections.abc import Callable
from functools import lru_cache
from math import exp, sqrt
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from market.coins import Coin

Array = NDArray[np.float64]

DATA_START = 1_609_459_200_000  # 2021-01-01T00:00:00Z, a Friday
WEEK = 7 * 1440  # minutes
BLOCK = 4 * WEEK  # minutes simulated at once; a multiple of every timeframe and of the season
BLOCKS_KEPT = 64

# --- parameters at one minute; docs/simulated-market.md explains each ---
FAST, FAST_SD = 0.5 ** (1 / 90), 0.40  # log-volatility, fast component: decay a minute, standard deviation
SLOW, SLOW_SD = 0.5 ** (1 / (4 * 1440)), 0.35  # log-volatility, slow component
VOLATILITY_SHARED = 0.6  # share of the log-volatility's variance that all coins have in common
SHOCK_SHARED = 0.6  # the same of the shocks: the correlation between two coins
DOF = 6  # degrees of freedom of the Student-t shocks
JUMP_SHARED, JUMP_IDIOSYNCRATIC = 1 / 2880, 1 / 720  # probability of a jump a minute
JUMP_SIZE = 6.0  # standard deviation of a jump, in volatilities of its minute
MEMORY = 0.5 ** (1 / 30)  # decay a minute of the signal, an average of past shocks
TREND = 0.02  # drift, in volatilities of the minute, at a signal of 1, unless another is chosen

_JUMP_VARIANCE = (JUMP_SHARED + JUMP_IDIOSYNCRATIC) * JUMP_SIZE**2
_GAIN = sqrt(1 - MEMORY**2)  # weight of the newest shock in the signal
# components with a random stream each
SHARED_PATH, COIN_PATH, BARS, ORACLE, START = range(5)


class Path(NamedTuple):
    """A coin's block, a value a minute."""

    fast: Array
    "fast component of the log-volatility, shared and idiosyncratic together, of unit variance"
    slow: Array
    "slow component, likewise"
    signal: Array
    volatility: Array
    deviation: Array
    "of the Brownian motion within the bar"
    returns: Array
    log_price: Array
    "[BLOCK + 1]: the first is that at the block's start"
    end: "_State"


class _State(NamedTuple):
    """A coin's state at the end of a minute; both volatility components idiosyncratic."""

    fast: float
    slow: float
    signal: float
    log_price: float


class _Shared(NamedTuple):
    """What all coins have in common in one block, a value a minute."""

    fast: Array
    slow: Array
    shock: Array
    mixture: Array
    jump: Array


class DataGeneratingProcess:
    """The process of one seed (>= 0), from `DATA_START` on; trend: the drift in volatilities at a signal of 1."""

    def __init__(self, seed: int, trend: float = TREND) -> None:
        self.seed, self.trend = seed, trend
        self._states: dict[Coin, list[_State]] = {}  # at the start of each block simulated so far
        self._shared_states: list[tuple[float, float]] = []
        self._shared: Callable[[int], _Shared] = lru_cache(maxsize=BLOCKS_KEPT)(self._simulate_shared)

    def path(self, coin: Coin, block: int) -> Path:
        """One block of a coin's path; the blocks before it are simulated once and only their end states kept."""
        states = self._states.setdefault(coin, [])
        if not states:
            fast, slow, signal = self.stream(START, coin, 0).standard_normal(3).tolist()
            states.append(_State(fast, slow, signal, float(np.log(coin.price))))
        while len(states) <= block:
            states.append(self._simulate(coin, len(states) - 1, states[-1]).end)
        return self._simulate(coin, block, states[block])

    def state_at(self, coin: Coin, minutes: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Both components of the log-volatility and the signal, at the end of each minute, counted from 0."""
        state = np.empty((3, len(minutes)))
        for block in np.unique(minutes // BLOCK).tolist():
            path = self.path(coin, block)
            inside = minutes // BLOCK == block
            state[:, inside] = np.stack([path.fast, path.slow, path.signal])[:, minutes[inside] % BLOCK]
        return state[0], state[1], state[2]

    def stream(self, component: int, coin: Coin | None, block: int) -> np.random.Generator:
        """The random numbers of a (seed, component, coin, block)."""
        name = crc32(coin.base.encode()) if coin else 0
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, component, name, block])))

    def _simulate(self, coin: Coin, block: int, start: _State) -> Path:
        """The process over one block, from the state before it."""
        random = self.stream(COIN_PATH, coin, block)
        shared = self._shared(block)
        coin_fast = ar1(random.standard_normal(BLOCK), FAST, start.fast)
        coin_slow = ar1(random.standard_normal(BLOCK), SLOW, start.slow)
        fast = blend(shared.fast, coin_fast, VOLATILITY_SHARED)
        slow = blend(shared.slow, coin_slow, VOLATILITY_SHARED)
        volatility = (
            unit_volatility(coin, self.trend) * repeated_weekly(season()) * np.exp(FAST_SD * fast + SLOW_SD * slow)
        )
        coin_shock, mixture = student(random, (BLOCK,))
        shock = blend(shared.shock, coin_shock, SHOCK_SHARED)
        signal = ar1(shock, MEMORY, start.signal)
        before = np.concatenate([[start.signal], signal[:-1]])
        jump = shared.jump + jumps(random, (BLOCK,), JUMP_IDIOSYNCRATIC)
        returns = volatility * (self.trend * before + shock + jump)
        log_price = np.cumsum(np.concatenate([[start.log_price], returns]))
        deviation = volatility * np.sqrt(SHOCK_SHARED * shared.mixture + (1 - SHOCK_SHARED) * mixture)
        end = _State(float(coin_fast[-1]), float(coin_slow[-1]), float(signal[-1]), float(log_price[-1]))
        return Path(fast, slow, signal, volatility, deviation, returns, log_price, end)

    def _simulate_shared(self, block: int) -> _Shared:
        """What the coins share in one block. Blocks are simulated in order, from the first."""
        if not self._shared_states:
            fast, slow = self.stream(START, None, 0).standard_normal(2).tolist()
            self._shared_states.append((fast, slow))
        random = self.stream(SHARED_PATH, None, block)
        start_fast, start_slow = self._shared_states[block]
        fast = ar1(random.standard_normal(BLOCK), FAST, start_fast)
        slow = ar1(random.standard_normal(BLOCK), SLOW, start_slow)
        if len(self._shared_states) == block + 1:
            self._shared_states.append((float(fast[-1]), float(slow[-1])))
        shock, mixture = student(random, (BLOCK,))
        return _Shared(fast, slow, shock, mixture, jumps(random, (BLOCK,), JUMP_SHARED))


def predictable_share(minutes: int, trend: float = TREND) -> float:
    """R² of the best forecast of a return over `minutes`, at a constant volatility.

    The return is a sum of drift known at the start, trend·Σ MEMORY^k·signal, and of shocks, each of which also moves
    the later signal; the variances of both follow from the parameters.
    """
    reach = (1 - MEMORY ** np.arange(minutes + 1)) / (1 - MEMORY)
    explained = (trend * reach[-1]) ** 2
    unexplained = np.sum((1 + trend * _GAIN * reach[:-1]) ** 2) + minutes * _JUMP_VARIANCE
    return float(explained / (explained + unexplained))


def ar1(noise: Array, decay: float, before: float | Array) -> Array:
    """AR(1) of unit variance along the first axis, from its value `before` the first noise.

    By doubling: once each value holds the sum of its last n shocks, with their decay, the one n before it gives it the
    n before these. So a path is a few sums of arrays.
    """
    path = sqrt(1 - decay**2) * noise
    path[0] += decay * before
    reach = 1
    while reach < len(path):
        path[reach:] += decay**reach * path[:-reach]
        reach *= 2
    return path


def student(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Student-t shocks of unit variance, as normal shocks of a random variance (mean 1), and that variance."""
    mixture = (DOF / 2 - 1) / random.standard_gamma(DOF / 2, shape)
    return random.standard_normal(shape) * np.sqrt(mixture), mixture


def jumps(random: np.random.Generator, shape: tuple[int, ...], probability: float) -> Array:
    """Mostly zero; where there is a jump, its size in volatilities of the minute."""
    sizes = np.zeros(shape)
    where = random.random(shape) < probability
    sizes[where] = JUMP_SIZE * random.standard_normal(np.count_nonzero(where))
    return sizes


def blend(shared: Array, idiosyncratic: Array, share: float) -> Array:
    """Two independent series of unit variance as one, of which `share` of the variance is the first's."""
    return sqrt(share) * shared + sqrt(1 - share) * idiosyncratic


def unit_volatility(coin: Coin, trend: float) -> float:
    """Volatility of a minute at log-volatility 0 and season 1, so that a day's comes out as the coin's."""
    spread = exp(2 * (FAST_SD**2 + SLOW_SD**2))  # E[volatility²] of the lognormal
    momentum = (1 + trend * _GAIN / (1 - MEMORY)) ** 2  # a shock and all that follows it through the signal
    return coin.volatility / 100 / sqrt(1440 * spread * (momentum + _JUMP_VARIANCE))


@lru_cache
def season() -> Array:
    """Volatility by minute of the week, mean square 1."""
    waves = _waves(day=0.35, half_day=0.10, weekend=0.25)
    return waves / np.sqrt(np.mean(waves**2))


@lru_cache
def volume_season() -> Array:
    """Volume by minute of the week, mean 1."""
    waves = _waves(day=0.50, half_day=0.15, weekend=0.35)
    return waves / np.mean(waves)


def repeated_weekly(week: Array) -> Array:
    """A pattern of the week over a block."""
    return np.tile(week, BLOCK // WEEK)


def _waves(day: float, half_day: float, weekend: float) -> Array:
    """A positive pattern over the minutes of a week from `DATA_START`: exp(two waves a day, weekend)."""
    minute = np.arange(WEEK)
    hour = minute % 1440 / 60
    is_weekend = (minute // 1440 + 4) % 7 >= 5  # DATA_START is a Friday
    wave = day * np.cos(2 * np.pi * (hour - 15) / 24) + half_day * np.cos(4 * np.pi * (hour - 14) / 24)
    return np.exp(wave - weekend * is_weekend)
