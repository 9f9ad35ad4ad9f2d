"""Quantiles at prices that can occur: a price lies on a grid of ticks, and so do its quantiles.

The p-quantile of a continuous price rounded to the nearest tick is the p-quantile rounded so.
"""

import numpy as np

# prices are exchanges' numbers, of at most so many digits
DIGITS = 9
# the latest closes that tell the tick, and how many different prices they hold at least
LATEST, DISTINCT = 10_000, 50


def tick_size(closes: np.ndarray) -> float | None:
    """The greatest price of which all of the latest `closes` [n] are multiples; None where they do not tell."""
    prices = np.unique(closes[-LATEST:])
    if len(prices) < DISTINCT:
        return None
    unit = 10.0 ** (np.ceil(np.log10(prices[-1])) - DIGITS)
    counts = np.rint(prices / unit).astype(np.int64)
    if np.abs(prices / unit - counts).max() > 1e-3:
        return None
    return float(np.gcd.reduce(counts) * unit)


def round_to_ticks(quantiles: np.ndarray, close: np.ndarray, tick: float) -> np.ndarray:
    """Quantiles [n, ...] of log returns from the prices `close` [n], at the nearest price that is a multiple of `tick`,
    and at least one. No change stays exactly 0."""
    start = close.reshape(-1, *[1] * (quantiles.ndim - 1))
    ticks = np.maximum(np.rint(start * np.exp(quantiles) / tick), 1.0)
    return np.log(ticks / np.maximum(np.rint(start / tick), 1.0))
