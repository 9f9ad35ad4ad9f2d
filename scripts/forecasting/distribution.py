"""From quantiles at a few levels to a whole distribution: any quantile, its probability, density, samples.

Between the levels the quantile is linear in the normal score z = Φ⁻¹(p), so a Gaussian is met exactly. Beyond the outer
levels the tails are exponential, with the inner density where they begin: below the lowest level p₀ at q₀,
F(x) = p₀ exp((x − q₀) / b) with b = p₀ s / φ(z₀), s the slope dq/dz of the outermost segment; above likewise. They are
heavier than a Gaussian's tails and lighter than a power law's.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri


class Distribution:
    """One distribution for each of quantiles [..., levels], at rising levels between 0 and 1, two at least.

    Arguments broadcast against [...], as in scipy.stats: of more points a distribution, their axes stand in front.
    Equal quantiles are a point that holds the mass between their levels: `cdf` jumps there, `pdf` leaves it out.
    Raises ValueError where levels do not rise within (0, 1), or quantiles fall.
    """

    def __init__(self, quantile_levels: Sequence[float] | np.ndarray, quantiles: np.ndarray) -> None:
        self.quantile_levels, self.quantiles = (
            np.asarray(quantile_levels, dtype=np.float64),
            np.asarray(quantiles, dtype=np.float64),
        )
        if len(self.quantile_levels) < 2 or (np.diff(self.quantile_levels, prepend=0, append=1) <= 0).any():
            raise ValueError(f"levels must rise between 0 and 1, two at least: {self.quantile_levels.tolist()}")
        if (np.diff(self.quantiles) < 0).any():
            raise ValueError("quantiles must not fall from level to level")
        self._score = ndtri(self.quantile_levels)
        self._slope = np.diff(self.quantiles) / np.diff(self._score)
        self._mass = np.array([self.quantile_levels[0], 1 - self.quantile_levels[-1]])
        self._fall = self._slope[..., [0, -1]] * self._mass / _density(self._score[[0, -1]])

    def quantile(self, p: float | np.ndarray) -> np.ndarray:
        """The quantile at probability p in (0, 1)."""
        p = np.asarray(p, dtype=np.float64)
        segment = np.clip(np.searchsorted(self.quantile_levels, p) - 1, 0, len(self.quantile_levels) - 2)
        inner = _pick(self.quantiles, segment) + _pick(self._slope, segment) * (ndtri(p) - self._score[segment])
        below = self.quantiles[..., 0] + self._fall[..., 0] * np.log(p / self._mass[0])
        above = self.quantiles[..., -1] - self._fall[..., 1] * np.log((1 - p) / self._mass[1])
        return np.select([p < self.quantile_levels[0], p > self.quantile_levels[-1]], [below, above], inner)

    def cdf(self, x: float | np.ndarray) -> np.ndarray:
        """The probability of x or less."""
        score, _ = self._between(x)
        low, high = self._beyond(x)
        return np.select([x < self.quantiles[..., 0], x >= self.quantiles[..., -1]], [low, 1 - high], ndtr(score))

    def pdf(self, x: float | np.ndarray) -> np.ndarray:
        """The density at x."""
        score, slope = self._between(x)
        low, high = (_over(mass, self._fall[..., side]) for side, mass in enumerate(self._beyond(x)))
        inner = _over(_density(score), slope)
        return np.select([x < self.quantiles[..., 0], x >= self.quantiles[..., -1]], [low, high], inner)

    def sample(self, n: int, random: np.random.Generator) -> np.ndarray:
        """n independent draws [n, ...] from each distribution."""
        # 0 has no quantile
        return self.quantile(random.uniform(np.finfo(np.float64).tiny, 1, (n, *self.quantiles.shape[:-1])))

    def _between(self, x: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The normal score of x by the line of the segment that it lies in, and the slope of that line."""
        met = (np.asarray(x)[..., None] >= self.quantiles).sum(axis=-1)
        segment = np.clip(met - 1, 0, len(self.quantile_levels) - 2)
        slope = _pick(self._slope, segment)
        return self._score[segment] + _over(x - _pick(self.quantiles, segment), slope), slope

    def _beyond(self, x: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mass below x by the lower tail, and above it by the upper one; on a tail's inner side its whole mass."""
        out = self.quantiles[..., 0] - x, x - self.quantiles[..., -1]
        lower, upper = (
            self._mass[side] * np.exp(-_over(np.maximum(far, 0), self._fall[..., side], otherwise=np.inf))
            for side, far in enumerate(out)
        )
        return lower, upper


def _pick(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """values[..., place], each axis but the last broadcast against place."""
    shape = np.broadcast_shapes(values.shape[:-1], place.shape)
    full = np.broadcast_to(values, (*shape, values.shape[-1]))
    return np.take_along_axis(full, np.broadcast_to(place, shape)[..., None], axis=-1)[..., 0]


def _over(value: np.ndarray, slope: np.ndarray, otherwise: float = 0.0) -> np.ndarray:
    """value / slope, and `otherwise` where a tie leaves no slope."""
    shape = np.broadcast_shapes(value.shape, slope.shape)
    return np.divide(value, slope, out=np.full(shape, otherwise), where=slope > 0)


def _density(score: np.ndarray) -> np.ndarray:
    """φ, the standard normal density."""
    return np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi)
