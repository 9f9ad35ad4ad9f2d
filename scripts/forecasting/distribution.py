"""From quantiles at a few levels to a whole distribution: any quantile, its probability, density, expected shortfall,
deviation, expected price ratio, samples.

Between the levels the quantile is linear in the normal score z = Φ⁻¹(p), so a Gaussian is reproduced exactly. Beyond
the outer levels the tails are exponential, with the inner density where they start: below the lowest level p₀ at q₀,
F(x) = p₀ exp((x − q₀) / b) with b = p₀ s / φ(z₀), s the slope dq/dz of the outermost segment; above likewise. They are
heavier than a Gaussian's tails and lighter than a power law's.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import ndtr, ndtri


class Distribution:
    """One distribution for each of quantiles [..., levels], at two or more strictly increasing levels within (0, 1).

    Arguments broadcast against [...], as in scipy.stats: with several points a distribution, their axes come first.
    Equal quantiles are a point that holds the mass between their levels: `cdf` jumps there, `pdf` leaves it out.
    Raises ValueError where levels are not strictly increasing within (0, 1), or quantiles decrease.
    """

    def __init__(self, quantile_levels: Sequence[float] | np.ndarray, quantiles: np.ndarray) -> None:
        self.quantile_levels = np.asarray(quantile_levels, dtype=np.float64)
        self.quantiles = np.asarray(quantiles, dtype=np.float64)
        if len(self.quantile_levels) < 2 or (np.diff(self.quantile_levels, prepend=0, append=1) <= 0).any():
            raise ValueError(
                f"quantile levels must be two or more, strictly increasing within (0, 1): {list(quantile_levels)}"
            )
        if (np.diff(self.quantiles) < 0).any():
            raise ValueError("quantiles must not decrease from level to level")
        self._score = ndtri(self.quantile_levels)
        self._slope = np.diff(self.quantiles) / np.diff(self._score)
        # of the lower and the upper tail: its mass, and b
        self._mass = np.array([self.quantile_levels[0], 1 - self.quantile_levels[-1]])
        self._decay = self._slope[..., [0, -1]] * self._mass / _normal_density(self._score[[0, -1]])

    def quantile(self, p: float | np.ndarray) -> np.ndarray:
        """The quantile at probability p in (0, 1)."""
        p = np.asarray(p, dtype=np.float64)
        segment = np.clip(np.searchsorted(self.quantile_levels, p) - 1, 0, len(self.quantile_levels) - 2)
        inner = _take(self.quantiles, segment) + _take(self._slope, segment) * (ndtri(p) - self._score[segment])
        below = self.quantiles[..., 0] + self._decay[..., 0] * np.log(p / self._mass[0])
        above = self.quantiles[..., -1] - self._decay[..., 1] * np.log((1 - p) / self._mass[1])
        return np.select([p < self.quantile_levels[0], p > self.quantile_levels[-1]], [below, above], inner)

    def cdf(self, x: float | np.ndarray) -> np.ndarray:
        """The probability of x or less."""
        score, _ = self._interpolated(x)
        low, high = self._tails(x)
        return np.select([x < self.quantiles[..., 0], x >= self.quantiles[..., -1]], [low, 1 - high], ndtr(score))

    def pdf(self, x: float | np.ndarray) -> np.ndarray:
        """The density at x."""
        score, slope = self._interpolated(x)
        low, high = (_divide(mass, self._decay[..., side]) for side, mass in enumerate(self._tails(x)))
        inner = _divide(_normal_density(score), slope)
        return np.select([x < self.quantiles[..., 0], x >= self.quantiles[..., -1]], [low, high], inner)

    def expected_shortfall(self, p: float | np.ndarray) -> np.ndarray:
        """The mean of what is below the quantile at probability p in (0, 1): ∫ quantile(u) du / p from 0 to p.

        Acerbi and Tasche (2002), On the coherence of expected shortfall, J. Banking & Finance 26(7).
        """
        p = np.asarray(p, dtype=np.float64)
        low, high = self.quantile_levels[0], self.quantile_levels[-1]
        tail = np.minimum(p, low)
        integral = tail * (self.quantiles[..., 0] + self._decay[..., 0] * (np.log(tail / low) - 1))
        for k, (start, end) in enumerate(pairwise(self.quantile_levels)):
            upto = ndtri(np.clip(p, start, end))
            # ∫ Φ⁻¹(u) du is −φ(Φ⁻¹(u))
            mass, score = ndtr(upto) - start, _normal_density(self._score[k]) - _normal_density(upto)
            slope = self._slope[..., k]
            integral = integral + (self.quantiles[..., k] - slope * self._score[k]) * mass + slope * score
        beyond, mass = np.minimum(1 - p, 1 - high), 1 - high
        integral = integral + self.quantiles[..., -1] * (mass - beyond)
        return (integral + self._decay[..., 1] * (mass + beyond * (np.log(beyond / mass) - 1))) / p

    def deviation(self) -> np.ndarray:
        """The standard deviation [...]."""
        # from the lowest quantile on, so that equal ones have exactly none
        quantiles = self.quantiles - self.quantiles[..., :1]
        low, high = quantiles[..., 0], quantiles[..., -1]
        below, above = self._decay[..., 0], self._decay[..., 1]
        # a tail is its start plus or minus an exponential variable of mean b
        mean = self._mass[0] * (low - below) + self._mass[1] * (high + above)
        square = self._mass[0] * ((low - below) ** 2 + below**2) + self._mass[1] * ((high + above) ** 2 + above**2)
        density = _normal_density(self._score)
        for k, (start, end) in enumerate(pairwise(self._score)):
            slope = self._slope[..., k]
            level = quantiles[..., k] - slope * start
            # ∫ φ, ∫ z φ and ∫ z² φ over the segment
            mass, first = self.quantile_levels[k + 1] - self.quantile_levels[k], density[k] - density[k + 1]
            second = mass + start * density[k] - end * density[k + 1]
            mean = mean + level * mass + slope * first
            square = square + level**2 * mass + 2 * level * slope * first + slope**2 * second
        return np.sqrt(np.maximum(square - mean**2, 0))

    def mean_exponential(self) -> np.ndarray:
        """E[exp(X)] [...]: of log returns the expected price ratio. Infinite where the upper tail decays too slowly."""
        low, high = np.exp(self.quantiles[..., 0]), np.exp(self.quantiles[..., -1])
        below, above = self._decay[..., 0], self._decay[..., 1]
        # a tail is its start plus or minus an exponential variable of mean b
        mean = self._mass[0] * low / (1 + below)
        mean = mean + _divide(self._mass[1] * high, 1 - above, otherwise=np.inf)
        for k, (start, end) in enumerate(pairwise(self._score)):
            slope = self._slope[..., k]
            level = self.quantiles[..., k] - slope * start
            # ∫ exp(level + slope z) φ(z) dz over the segment
            mean = mean + np.exp(level + slope**2 / 2) * (ndtr(end - slope) - ndtr(start - slope))
        return mean

    def lower_mean_exponential(self, p: float) -> np.ndarray:
        """E[exp(X)] [...] of what is below the quantile at probability p, at most the highest level: of log returns the
        mean price ratio of the worst share p. Raises ValueError on another p."""
        low, high = self.quantile_levels[0], self.quantile_levels[-1]
        if not 0 < p <= high:
            raise ValueError(f"probability must be above 0 and at most the highest level, {high:g}: {p:g}")
        tail, decay = min(p, low), self._decay[..., 0]
        # ∫ exp(quantile(u)) du from 0 to p, tail and segments
        integral = tail * np.exp(self.quantiles[..., 0]) * (tail / low) ** decay / (1 + decay)
        for k, (start, end) in enumerate(pairwise(self.quantile_levels)):
            slope = self._slope[..., k]
            level = self.quantiles[..., k] - slope * self._score[k]
            upto = ndtri(np.clip(p, start, end))
            integral = integral + np.exp(level + slope**2 / 2) * (ndtr(upto - slope) - ndtr(self._score[k] - slope))
        return integral / p

    def sample(self, n: int, random: np.random.Generator) -> np.ndarray:
        """n independent draws [n, ...] from each distribution."""
        # 0 has no quantile
        return self.quantile(random.uniform(np.finfo(np.float64).tiny, 1, (n, *self.quantiles.shape[:-1])))

    def _interpolated(self, x: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The normal score of x on the line of the segment that it lies in, and the slope of that line."""
        count = (np.asarray(x)[..., None] >= self.quantiles).sum(axis=-1)
        segment = np.clip(count - 1, 0, len(self.quantile_levels) - 2)
        slope = _take(self._slope, segment)
        return self._score[segment] + _divide(x - _take(self.quantiles, segment), slope), slope

    def _tails(self, x: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mass below x by the lower tail, and above it by the upper one; inside of a tail's start its whole
        mass."""
        beyond = self.quantiles[..., 0] - x, x - self.quantiles[..., -1]
        lower, upper = (
            self._mass[side] * np.exp(-_divide(np.maximum(distance, 0), self._decay[..., side], otherwise=np.inf))
            for side, distance in enumerate(beyond)
        )
        return lower, upper


def _take(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """values[..., place], each axis but the last broadcast against place."""
    shape = np.broadcast_shapes(values.shape[:-1], place.shape)
    full = np.broadcast_to(values, (*shape, values.shape[-1]))
    return np.take_along_axis(full, np.broadcast_to(place, shape)[..., None], axis=-1)[..., 0]


def _divide(value: np.ndarray, slope: np.ndarray, otherwise: float = 0.0) -> np.ndarray:
    """value / slope, and `otherwise` where equal quantiles have no slope."""
    shape = np.broadcast_shapes(value.shape, slope.shape)
    return np.divide(value, slope, out=np.full(shape, otherwise), where=slope > 0)


def _normal_density(score: np.ndarray) -> np.ndarray:
    """φ, the standard normal density."""
    return np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi)
