"""Scores of sample paths [symbols, horizon, n] against the realised ones [symbols, horizon]: see docs/paths.md.

Joint scores are of returns in units of the forecast deviation at the horizon, so that symbols, and quiet and volatile
times, count alike; it is the same for all that is compared.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from forecasting.paths.distribution import PathDistribution
from market.intervals import DAY

# parts of the horizon over which changes are scored: of an hour of minutes 1, 2, 5, 15, 30 and 60 minutes; of a day 5
# and 30 minutes, 3 and 24 hours
SHORT, LONG = (1 / 60, 1 / 30, 1 / 12, 1 / 4, 1 / 2, 1), (1 / 288, 1 / 48, 1 / 8, 1)
# horizons from here on are scored as a day is
LONG_FROM = DAY // 4
# steps of the horizon that joint scores are of, evenly spaced
STEPS = 12
# pairs of a variogram score, at most, evenly spaced
PAIRS = 2_000
# pairs of each path in the energy score's second term
SHIFTS = 16
# deviations that are touched: those of the Brier score, and those of the reliability, close enough to fill each tenth
TOUCHED = (1.0, 2.0, 3.0)
LEVELS = (*(k / 16 for k in range(1, 15)), 1.0, 1.125, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
BASIS_POINTS = 1e4


@dataclass(frozen=True)
class Scored:
    """Scores of one origin time.

    losses: by name, smaller is better. touching: probabilities [2, levels, symbols] of touching LEVELS deviations above
    and below, and touched: whether they were. drawdown [symbols]: the PIT of the maximum drawdown.
    """

    losses: dict[str, float]
    touching: np.ndarray
    touched: np.ndarray
    drawdown: np.ndarray


def score_paths(paths: np.ndarray, realised: np.ndarray, deviation: np.ndarray, bar_ms: int) -> Scored:
    """All scores; deviation [symbols]: the forecast one at the horizon."""
    symbols, horizon, _ = paths.shape
    # single precision is exact enough for means of draws, and sorts twice as fast
    paths = (paths / deviation[:, None, None]).astype(np.float32)
    realised = (realised / deviation[:, None]).astype(np.float32)
    steps = joint_steps(horizon) - 1
    joint, outcome = paths[:, steps].reshape(symbols * len(steps), -1), realised[:, steps].ravel()
    losses = {"energy": energy_score(joint, outcome)}
    losses["variogram"] = variogram_score(joint, outcome, *variogram_pairs(symbols, len(steps)))
    by_increment = {span: crps_of_changes(paths, realised, span).mean(axis=-1) for span in increments(horizon, bar_ms)}
    by_increment |= {0: crps(paths[:, steps], realised[:, steps]).mean(axis=-1)}
    losses["crps"] = float(np.mean([values.mean() for values in by_increment.values()]))
    for span, values in by_increment.items():
        losses[crps_name(span)] = float((values * deviation).mean() * BASIS_POINTS)
    levels = np.broadcast_to(np.array(LEVELS)[:, None] * np.array([1, -1])[:, None, None], (2, len(LEVELS), symbols))
    touching = PathDistribution(paths).probability_of_touching(levels)
    touched = PathDistribution(realised[..., None]).probability_of_touching(levels)
    for level in TOUCHED:
        error = touching[:, LEVELS.index(level)] - touched[:, LEVELS.index(level)]
        losses[f"brier_{level:g}"] = float((error**2).mean())
    # further digits depend on the machine
    losses = {name: round(loss, 8) for name, loss in losses.items()}
    return Scored(losses, touching, touched, drawdown_pit(paths, realised))


def crps_name(span: int) -> str:
    """The name of the CRPS of changes over `span` bars; 0: of returns since the origin."""
    return f"crps_{span}" if span else "crps_origin"


def increments(horizon: int, bar_ms: int) -> list[int]:
    """Bars of the changes that are scored, increasing."""
    parts = LONG if horizon * bar_ms >= LONG_FROM else SHORT
    return sorted({max(1, round(horizon * part)) for part in parts})


def joint_steps(horizon: int) -> np.ndarray:
    """At most STEPS steps, evenly spaced, the horizon among them."""
    return np.unique(np.ceil(horizon * np.arange(1, STEPS + 1) / STEPS).astype(np.int64))


@lru_cache(maxsize=8)
def variogram_pairs(symbols: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of the variogram score: two steps of a symbol, or two symbols at a step; [pairs] each."""
    symbol, step = np.divmod(np.arange(symbols * steps), steps)
    one, other = np.triu_indices(symbols * steps, 1)
    kept = np.flatnonzero((symbol[one] == symbol[other]) | (step[one] == step[other]))
    kept = kept[:: max(1, -(-len(kept) // PAIRS))]
    return one[kept], other[kept]


def energy_score(paths: np.ndarray, realised: np.ndarray) -> float:
    """Energy score E‖X − y‖ − E‖X − X′‖ / 2 of n draws [d, n]; the second mean is over SHIFTS pairs of each draw.

    Gneiting and Raftery (2007), Strictly proper scoring rules, J. American Statistical Association 102(477). The draws
    must be in random order.
    """
    distance = np.sqrt(((paths - realised[:, None]) ** 2).sum(axis=0)).mean()
    shifts = range(1, min(SHIFTS, paths.shape[1] - 1) + 1)
    spread = [np.sqrt(((paths - np.roll(paths, shift, axis=1)) ** 2).sum(axis=0)).mean() for shift in shifts]
    return float(distance - np.mean(spread) / 2) if spread else float(distance)


def variogram_score(paths: np.ndarray, realised: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Variogram score of order 0.5 of draws [d, n]: mean over pairs of (|yᵢ − yⱼ|^½ − E|Xᵢ − Xⱼ|^½)²; 0 without a pair.

    Scheuerer and Hamill (2015), Variogram-based proper scoring rules for probabilistic forecasts of multivariate
    quantities, Monthly Weather Review 143(4).
    """
    if not len(one):
        return 0.0
    expected = np.sqrt(np.abs(paths[one] - paths[other])).mean(axis=1)
    return float(((np.sqrt(np.abs(realised[one] - realised[other])) - expected) ** 2).mean())


def crps(draws: np.ndarray, realised: np.ndarray) -> np.ndarray:
    """CRPS [...] of the empirical distribution of draws [..., n]: E|X − y| − E|X − X′| / 2."""
    count = draws.shape[-1]
    weights = ((2 * np.arange(count) + 1 - count) / count**2).astype(draws.dtype)
    return np.abs(draws - realised[..., None]).mean(axis=-1) - (np.sort(draws, axis=-1) * weights).sum(axis=-1)


def crps_of_changes(paths: np.ndarray, realised: np.ndarray, span: int) -> np.ndarray:
    """CRPS [symbols, changes] of the successive changes over `span` bars, from the origin on."""
    ends = np.arange(span, paths.shape[1] + 1, span) - 1
    start = paths.dtype.type(0)
    changes = np.diff(paths[:, ends], axis=1, prepend=start)
    return crps(changes, np.diff(realised[:, ends], axis=1, prepend=start))


def drawdown_pit(paths: np.ndarray, realised: np.ndarray) -> np.ndarray:
    """The share [symbols] of paths whose maximum drawdown is below the realised one; those that equal it count half."""
    expected = PathDistribution(paths).maximum_drawdown()
    actual = PathDistribution(realised[..., None]).maximum_drawdown()
    return ((expected < actual).mean(axis=-1) + (expected <= actual).mean(axis=-1)) / 2
