"""Which members the ensemble is made of, and their weights: by their losses in validation alone.

Equal weights are hard to beat: Smith and Wallis (2009), A simple explanation of the forecast combination puzzle, Oxford
Bulletin of Economics and Statistics 71(3).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from forecasting.losses import pinball

# forecasts that simplex weights are fitted on, at most
MOST_FITTED = 2_000


def select_members(losses: Mapping[str, float], tolerance: float) -> list[str]:
    """Members whose validation loss exceeds the smallest by at most `tolerance`, relative to it; sorted by name."""
    best = min(losses.values())
    return sorted(name for name, loss in losses.items() if loss <= best * (1 + tolerance))


def equal_weights(members: Sequence[str]) -> dict[str, float]:
    """The same weight for each member."""
    return {name: 1 / len(members) for name in members}


def simplex_weights(
    forecasts: Mapping[str, np.ndarray],
    realised: np.ndarray,
    reference_loss: np.ndarray,
    quantile_levels: Sequence[float],
) -> dict[str, float]:
    """Weights, positive and of sum 1, with the smallest pinball loss of the weighted quantiles.

    forecasts: [n, horizon, levels] a member. realised: [n, horizon]. reference_loss [n]: what each forecast's loss is
    divided by. The loss is convex in the weights.
    """
    # equal weights need none of it, and it takes a third of a second to import
    from scipy.optimize import minimize

    every = 1 + len(realised) // MOST_FITTED
    relative = reference_loss[::every]
    stack = np.stack([forecasts[name][::every] for name in forecasts], axis=-1) / relative[:, None, None, None]
    target = realised[::every] / relative[:, None]
    levels = np.asarray(quantile_levels)[:, None]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        quantiles = stack @ weights
        gradient = ((target[..., None] < quantiles)[..., None] - levels) * stack
        return float(pinball(target, quantiles, quantile_levels).mean()), gradient.mean(axis=(0, 1, 2))

    count = stack.shape[-1]
    found = minimize(
        loss,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
    ).x
    # the solver's last bits depend on the machine
    rounded = np.round(np.clip(found, 0, None), 3)
    return {name: float(weight) for name, weight in zip(forecasts, rounded / rounded.sum(), strict=True) if weight > 0}
