"""Simpler sample paths, which those of the ensemble should beat: [symbols, horizon, n] cumulative log returns each."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from forecasting.bars import Bars, returns, typical_variance
from forecasting.baselines.garch import excess_variance, fit_garch
from forecasting.paths.history import History
from forecasting.paths.sampling import cumulated, drawn_moments

# a GARCH variance is at least this share of its mean
LEAST = 1e-3


def independent(marginals: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same marginals, each step and symbol in an order of its own."""
    return random.permuted(marginals, axis=-1)


def gaussian_walk(deviation: np.ndarray, shocks: np.ndarray) -> np.ndarray:
    """Random walks of shocks [symbols, horizon, n] of variance 1; `deviation` [symbols] is theirs at the horizon."""
    return np.cumsum(shocks * (deviation / np.sqrt(shocks.shape[1]))[:, None, None], axis=1)


def correlated(shocks: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Independent shocks [symbols, horizon, n] with a correlation [symbols, symbols]."""
    # the last bits of a matrix product depend on the machine
    factor = np.round(np.linalg.cholesky(correlation), 6)
    return sum((factor[:, k, None, None] * shocks[k] for k in range(len(shocks))), np.zeros(shocks.shape))


def block_bootstrap(history: History, count: int, random: np.random.Generator) -> np.ndarray:
    """Windows of history as they were."""
    return cumulated(history.returns[:, drawn_moments(history, count, random)])


def residual_correlation(history: History) -> np.ndarray:
    """Correlation [symbols, symbols] of the symbols' residuals bar by bar; positive definite."""
    flat = history.residuals.reshape(len(history.symbols), -1)
    return np.atleast_2d(np.round(np.corrcoef(flat), 6)) * (1 - 1e-4) + 1e-4 * np.eye(len(flat))


@dataclass(frozen=True)
class GarchPaths:
    """GARCH(1,1)-t of each symbol, simulated by its standardised returns (FHS), drawn for all symbols at once.

    symbols [s]; parameters [3, s]: mean variance, α, β; variance: of each symbol's next bar [rows], by row; shocks
    [s, n]: standardised returns of training at the same bars, of mean square 1; timestamp: of each symbol's rows.
    """

    symbols: list[str]
    parameters: np.ndarray
    variance: list[np.ndarray]
    shocks: np.ndarray
    timestamp: list[np.ndarray]

    @classmethod
    def fit(cls, bars: Mapping[str, Bars], train_end: int) -> "GarchPaths":
        """Fitted on the bars before `train_end` (ms). Raises InsufficientHistoryError when a price never changes."""
        symbols = sorted(bars)
        fitted, variances, shocks = [], [], []
        shared = reduce(np.intersect1d, [bars[name].before(train_end).timestamp for name in symbols])
        for one in (bars[name] for name in symbols):
            log_returns = returns(one.log_close, one.segment)
            past = log_returns[one.timestamp < train_end]
            mean, alpha, beta = fit_garch(past, typical_variance(past**2, one.bar_ms))
            squares = np.nan_to_num(log_returns**2, nan=mean)
            variance = np.maximum(mean + excess_variance(squares, mean, alpha, beta), LEAST * mean)
            standardised = log_returns / np.sqrt(np.concatenate([[mean], variance[:-1]]))
            fitted.append((mean, alpha, beta))
            variances.append(variance)
            shocks.append(standardised[np.searchsorted(one.timestamp, shared)])
        pool = np.stack(shocks)
        pool = pool[:, np.isfinite(pool).all(axis=0)]
        pool /= np.sqrt((pool**2).mean(axis=1, keepdims=True))
        return cls(symbols, np.array(fitted).T, variances, pool, [bars[name].timestamp for name in symbols])

    def paths(self, symbols: list[str], origin: int, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
        """Paths of some of the symbols from the bar that opens at `origin` (ms); shape: (horizon, n)."""
        horizon, count = shape
        places = [self.symbols.index(name) for name in symbols]
        mean, alpha, beta = self.parameters[:, places, None]
        rows = [int(np.searchsorted(self.timestamp[place], origin)) for place in places]
        variance = np.array([self.variance[place][row] for place, row in zip(places, rows, strict=True)])[:, None]
        drawn = self.shocks[places][:, random.integers(0, self.shocks.shape[1], (horizon, count))]
        moves = np.empty((len(symbols), horizon, count))
        for step in range(horizon):
            moves[:, step] = np.sqrt(variance) * drawn[:, step]
            variance = np.maximum(
                mean * (1 - alpha - beta) + alpha * moves[:, step] ** 2 + beta * variance, LEAST * mean
            )
        return np.cumsum(moves, axis=1)
