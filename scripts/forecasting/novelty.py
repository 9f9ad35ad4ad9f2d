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


def novelty(training: np.ndarray, row: np.ndarray) -> Novelty:
    """Of a row of features [k] against those of training [n, k].

    Mahalanobis (1936), On the generalised distance in statistics, Proc. National Institute of Sciences of India 2(1).
    Features that never varied together in training have no part in the distance: the covariance is pseudo-inverted.
    """
    outside = (row < training.min(axis=0)) | (row > training.max(axis=0))
    thinned = training[np.linspace(0, len(training) - 1, min(len(training), ROWS)).astype(np.int64)].astype(np.float64)
    scale = thinned.std(axis=0)
    varied = scale > 0
    scores, score = ((part[..., varied] - thinned.mean(axis=0)[varied]) / scale[varied] for part in (thinned, row))
    inverse = np.linalg.pinv(scores.T @ scores / len(scores), hermitian=True)
    distances = np.einsum("nk,kl,nl->n", scores, inverse, scores)
    share = (distances < score @ inverse @ score).mean()
    return Novelty(round(float(outside.mean()), 4), round(float(share), 4))
