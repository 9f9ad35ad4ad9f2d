"""Long-run variances of overlapping forecasts: heteroskedasticity and autocorrelation consistent (HAC)."""

import numpy as np


def hac_sum(series: np.ndarray, lags: int) -> float:
    """Long-run variance of the sum of a centred series [n], with Bartlett weights up to `lags`; never negative.

    Σ x² + 2 Σₗ (1 − l / (lags + 1)) Σₜ xₜ xₜ₊ₗ. Newey and West (1987), Econometrica 55(3).
    """
    near = range(1, min(lags, len(series) - 1) + 1)
    # sums, since the last bits of a dot product depend on the BLAS kernel
    overlap = sum((1 - lag / (lags + 1)) * np.sum(series[:-lag] * series[lag:]) for lag in near)
    return float(np.sum(series**2) + 2 * overlap)


def hac_lags(horizon: int, stride: int, n: int) -> int:
    """Lags for losses of `n` origin times, `stride` bars apart: twice those that overlap, at least Newey and West's.

    Twice, as Bartlett's weights count the furthest overlap for next to nothing. Theirs are 4 (n / 100)^(2/9): Newey and
    West (1994), Review of Economic Studies 61(4).
    """
    return max(2 * -(-(horizon - 1) // stride), int(4 * (n / 100) ** (2 / 9)))
