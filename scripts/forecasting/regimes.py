"""Regimes of volatility, by which results are told apart."""

import numpy as np

REGIMES = ("low", "medium", "high")


def regimes(scale: np.ndarray, training: np.ndarray) -> np.ndarray:
    """The regime [n] of each `scale` [n]: the tercile of the symbol's `training` scales [rows] that it would lie in.

    Scale is the deviation of a bar's log return, as features hold it.
    """
    return np.array(REGIMES)[np.searchsorted(np.quantile(training, [1 / 3, 2 / 3]), scale)]
