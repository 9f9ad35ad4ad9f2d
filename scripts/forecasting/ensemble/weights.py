"""Which members the ensemble is made of, and their weights: by their losses alone, in validation and later.

Exponential weights are those of Vovk (1990), Aggregating strategies, COLT, with a discount as in Chernov and Zhdanov
(2010), Prediction with expert advice under discounted loss, ALT. Equal weights are hard to beat: Smith and Wallis
(2009), A simple explanation of the forecast combination puzzle, Oxford Bulletin of Economics and Statistics 71(3).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from forecasting.losses import covered, pinball

# forecasts that simplex weights are fitted on, at most
MOST_FITTED = 2_000
# a share of the outcomes by which the coverage of a usable member may be off, in the latest part of validation
COVERAGE_OFF, LATEST = 0.25, 0.25
# exponential weights below it are 0
SMALLEST_WEIGHT = 0.01


def identical_members(members: Mapping[str, Sequence[np.ndarray]]) -> dict[str, str]:
    """Members whose forecasts, a list of arrays each, are those of another: by name, the first of that name's twins.

    A TFT whose correction was rejected is what it corrects. Members are compared in the order given.
    """
    kept: dict[str, Sequence[np.ndarray]] = {}
    found = {}
    for name, forecasts in members.items():
        twins = (other for other, its in kept.items() if all(map(np.array_equal, forecasts, its)))
        twin = next(twins, None)
        if twin is None:
            kept[name] = forecasts
        else:
            found[name] = twin
    return found


def miscovered_members(
    members: Mapping[str, np.ndarray], realised: np.ndarray, origin: np.ndarray, quantile_levels: Sequence[float]
) -> dict[str, float]:
    """Members whose outermost interval covered far less, or more, than it should in the latest part of validation: by
    name, its coverage.

    members: quantiles [n, horizon, levels] by name; realised [n, horizon]; origin [n]. Of members that are all far off
    the one that is nearest stays.
    """
    latest = origin >= np.quantile(origin, 1 - LATEST)
    nominal = quantile_levels[-1] - quantile_levels[0]
    coverage = {
        name: float(covered(realised[latest], forecast[latest][..., 0], forecast[latest][..., -1]).mean())
        for name, forecast in members.items()
    }
    off = {name: abs(value - nominal) for name, value in coverage.items()}
    allowed = max(COVERAGE_OFF, min(off.values()))
    return {name: coverage[name] for name in members if off[name] > allowed}


def exponential_weights(
    losses: np.ndarray, moments: np.ndarray, horizon_ms: int, rate: float, halflife: float
) -> np.ndarray:
    """Weights [moments, members] at each of the `moments` [moments] (ms, increasing), of sum 1.

    w ∝ exp(−rate · Σ d L): L [moments, members] the relative losses of the forecasts made then, NaN where they are not
    realised; d the time since the moment before, at most a horizon, in horizons, so that overlapping forecasts do not
    count several times; discounted with a half-life of so many horizons. A loss counts once its horizon is over. Before
    that weights are equal.
    """
    spacing = np.minimum(np.diff(moments, prepend=moments[0] - horizon_ms), horizon_ms) / horizon_ms
    weights, total, seen = np.empty_like(losses), np.zeros(losses.shape[1]), 0
    for place, now in enumerate(moments):
        if place:
            total = total * 0.5 ** ((now - moments[place - 1]) / (halflife * horizon_ms))
        while moments[seen] + horizon_ms <= now:
            age = (now - horizon_ms - moments[seen]) / (halflife * horizon_ms)
            total = total + 0.5**age * spacing[seen] * np.nan_to_num(losses[seen])
            seen += 1
        weights[place] = np.exp(-rate * (total - total.min()))
    weights /= weights.sum(axis=1, keepdims=True)
    weights[weights < SMALLEST_WEIGHT] = 0
    return weights / weights.sum(axis=1, keepdims=True)


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
