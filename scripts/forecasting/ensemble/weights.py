"""The ensemble forecast: which members are heard, and with what weight, by their losses in validation alone.

Quantiles are averaged level by level; equal weights are hard to beat: Smith and Wallis (2009), A simple explanation of
the forecast combination puzzle, Oxford Bulletin of Economics and Statistics 71(3).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from forecasting.losses import pinball

# forecasts that simplex weights are fitted on, at most
FITTED = 2_000


def selected(losses: Mapping[str, float], tolerance: float) -> list[str]:
    """Members whose validation loss exceeds the smallest by at most `tolerance`, relative to it; by name."""
    best = min(losses.values())
    return sorted(name for name, loss in losses.items() if loss <= best * (1 + tolerance))


def equal_weights(members: Sequence[str]) -> dict[str, float]:
    """The same weight for each."""
    return {name: 1 / len(members) for name in members}


def simplex_weights(
    forecasts: Mapping[str, np.ndarray], actual: np.ndarray, unit: np.ndarray, quantile_levels: Sequence[float]
) -> dict[str, float]:
    """Weights, positive and of sum 1, with the smallest pinball loss of the weighted quantiles.

    forecasts: [n, horizon, levels] a member; actual: [n, horizon]; unit [n]: what a loss is measured in. The loss is
    convex in the weights.
    """
    # equal weights need none of it, and it takes a third of a second to import
    from scipy.optimize import minimize

    every = 1 + len(actual) // FITTED
    stack = np.stack([forecasts[name][::every] for name in forecasts], axis=-1) / unit[::every, None, None, None]
    truth = actual[::every] / unit[::every, None]
    share = np.asarray(quantile_levels)[:, None]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        said = stack @ weights
        slope = ((truth[..., None] < said)[..., None] - share) * stack
        return float(pinball(truth, said, quantile_levels).mean()), slope.mean(axis=(0, 1, 2))

    count = stack.shape[-1]
    found = minimize(
        loss,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
    ).x
    # the solver's last bits differ between machines
    rounded = np.round(np.clip(found, 0, None), 3)
    return {name: float(weight) for name, weight in zip(forecasts, rounded / rounded.sum(), strict=True) if weight > 0}


def weighted(forecasts: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Level by level mean of the members' quantiles (Vincent averaging); order within a row is kept."""
    return np.sum([weight * forecasts[name] for name, weight in weights.items()], axis=0)
