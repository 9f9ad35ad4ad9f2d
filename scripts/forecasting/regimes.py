"""Volatility regimes, by which results are grouped."""

import numpy as np

REGIMES = ("low", "medium", "high")


def regimes(volatility: np.ndarray, training: np.ndarray) -> np.ndarray:
    """The regime [n] of each volatility [n]: the tercile of the symbol's volatility in training [rows] that it lies in.

    Volatility is the deviation of a bar's log return: the features' `scale`, or `market_state`'s.
    """
    return np.array(REGIMES)[np.searchsorted(np.quantile(training, [1 / 3, 2 / 3]), volatility)]
