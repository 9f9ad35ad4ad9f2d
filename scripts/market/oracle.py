"""True quantiles of the simulated market's future returns: Monte Carlo over the data-generating process itself."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from market.coins import Coin
from market.data_generating_process import (
    FAST,
    FAST_SD,
    JUMP_IDIOSYNCRATIC,
    JUMP_SHARED,
    MEMORY,
    ORACLE,
    SHOCK_SHARED,
    SLOW,
    SLOW_SD,
    WEEK,
    Array,
    DataGeneratingProcess,
    ar1,
    blend,
    jumps,
    season,
    student,
    unit_volatility,
)


def true_quantiles(
    process: DataGeneratingProcess,
    coin: Coin,
    minutes: NDArray[np.int64],
    bar_minutes: int,
    horizon: int,
    quantile_levels: Sequence[float],
    paths: int,
) -> Array:
    """Quantiles [origins, horizon, levels] of the cumulative log return, given the process' full state at each origin.

    minutes: [origins], from the start of the data to the origin's close. bar_minutes: length of a bar. paths: simulated
    futures, the same for all origins.
    With shocks shared by all origins, a minute's return is G·N + K·E, where only G and K depend on the origin
    (its volatility and drift, were no shock to come) and only N and E on the future: a bar is a matrix product.
    """
    fast, slow, signal = process.state_at(coin, minutes - 1)
    futures = _Futures(process.stream(ORACLE, coin, 0), paths // 4, process.trend)
    total = np.zeros((len(minutes), 4 * (paths // 4)))
    result = np.empty((len(minutes), horizon, len(quantile_levels)))
    for step in range(horizon):
        ahead = np.arange(1, bar_minutes + 1) + step * bar_minutes
        moves, scales = futures.draw(bar_minutes)
        seasonal = season()[(minutes[:, None] + ahead - 1) % WEEK]
        log_volatility = FAST_SD * np.outer(fast, FAST**ahead) + SLOW_SD * np.outer(slow, SLOW**ahead)
        volatility = unit_volatility(coin, process.trend) * seasonal * np.exp(log_volatility)
        drift = volatility * process.trend * np.outer(signal, MEMORY ** (ahead - 1))
        total += np.hstack([volatility, drift]) @ np.vstack([moves, scales])
        result[:, step] = _quantiles(total, quantile_levels)
    # the last bits of a matrix product depend on the number of threads
    return np.round(result, 10)


class _Futures:
    """Futures of the process without what an origin adds: bar after bar, [minutes, 4 × quarter].

    A quarter is drawn; the rest are its mirrors in log-volatility, in shocks, and in both (antithetic variates).
    """

    def __init__(self, random: np.random.Generator, quarter: int, trend: float) -> None:
        self.random, self.trend = random, trend
        self.fast = self.slow = self.signal = np.zeros(quarter)

    def draw(self, minutes: int) -> tuple[Array, Array]:
        """The next bar: N = E·(drift from new shocks + shock + jumps), and E = exp(new log-volatility)."""
        shape = (minutes, len(self.signal))
        fast = ar1(self.random.standard_normal(shape), FAST, self.fast)
        slow = ar1(self.random.standard_normal(shape), SLOW, self.slow)
        shock = blend(student(self.random, shape)[0], student(self.random, shape)[0], SHOCK_SHARED)
        signal = ar1(shock, MEMORY, self.signal)
        before = np.concatenate([self.signal[None], signal[:-1]])
        jump = jumps(self.random, shape, JUMP_SHARED) + jumps(self.random, shape, JUMP_IDIOSYNCRATIC)
        move = self.trend * before + shock + jump
        self.fast, self.slow, self.signal = fast[-1], slow[-1], signal[-1]
        scale = np.exp(FAST_SD * fast + SLOW_SD * slow)
        scales = np.hstack([scale, 1 / scale, scale, 1 / scale])
        return scales * np.hstack([move, move, -move, -move]), scales


def _quantiles(values: Array, quantile_levels: Sequence[float]) -> Array:
    """Quantiles of each row, [rows, levels], linear between order statistics; a sort beats numpy's own by far here."""
    ordered = np.sort(values, axis=1)
    position = np.asarray(quantile_levels) * (values.shape[1] - 1)
    below = np.minimum(position.astype(int), values.shape[1] - 2)
    return ordered[:, below] + (position - below) * (ordered[:, below + 1] - ordered[:, below])
