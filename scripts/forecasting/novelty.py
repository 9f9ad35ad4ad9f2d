"""How unlike the features of training those of one moment are: a model is asked about what it has not seen."""

from typing import NamedTuple

import numpy as np

# rows of training that distances are taken of, evenly spread
ROWS = 10_000


class Novelty(NamedTuple):
    """outside: share of the features that are outside their range in training. percentile: share of the training's
    rows whose Mahalanobis distance from its mean is smaller; further digits depend on the machine."""

    outside: float
    percentile: float


class Training:
    """Features of training [n, k], which those of a moment are compared with.

    Mahalanobis (1936), On the generalised distance in statistics, Proc. National Institute of Sciences of India 2(1).
    Features that never varied together have no part in the distance: the covariance is pseudo-inverted.
    """

    def __init__(self, features: np.ndarray) -> None:
        self.lowest, self.highest = features.min(axis=0), features.max(axis=0)
        rows = np.linspace(0, len(features) - 1, min(len(features), ROWS)).astype(np.int64)
        thinned = features[rows].astype(np.float64)
        scale = thinned.std(axis=0)
        self._varied = scale > 0
        self._mean, self._scale = thinned.mean(axis=0)[self._varied], scale[self._varied]
        scores = self._scores(thinned)
        self._inverse = np.linalg.pinv(scores.T @ scores / len(scores), hermitian=True)
        self._distances = self._squared(scores)

    def novelty(self, row: np.ndarray) -> Novelty:
        """Of a row of features [k]."""
        outside = (row < self.lowest) | (row > self.highest)
        share = (self._distances < self._squared(self._scores(row)[None])).mean()
        return Novelty(round(float(outside.mean()), 4), round(float(share), 4))

    def _scores(self, features: np.ndarray) -> np.ndarray:
        standard: np.ndarray = (features[..., self._varied] - self._mean) / self._scale
        return standard

    def _squared(self, scores: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances [n] from the mean."""
        return np.einsum("nk,kl,nl->n", scores, self._inverse, scores)
