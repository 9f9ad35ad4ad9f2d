"""How unlike training a row of features is."""

import numpy as np

from forecasting.novelty import Novelty, Training

TRAINING = np.random.default_rng(1).multivariate_normal([1, -2], [[1, 0.99], [0.99, 1]], 5000)


def novelty(training: np.ndarray, row: np.ndarray) -> Novelty:
    return Training(training).novelty(row)


def test_the_middle_of_training_is_not_novel() -> None:
    found = novelty(TRAINING, np.array([1.0, -2]))
    assert found.outside == 0 and found.percentile < 0.01


def test_a_row_off_the_correlation_is_novel_though_each_feature_is_usual() -> None:
    found = novelty(TRAINING, np.array([2.5, -3.5]))
    assert found == (0, 1)
    assert novelty(TRAINING, np.array([2.5, -0.5])).percentile < 0.95


def test_features_beyond_their_range_are_counted() -> None:
    assert novelty(TRAINING, np.array([9.0, -2])).outside == 0.5
    assert novelty(TRAINING, np.array([9.0, 99])) == (1, 1)


def test_a_feature_that_never_varied_has_no_part_in_the_distance() -> None:
    constant = np.column_stack([TRAINING, np.ones(len(TRAINING)), TRAINING[:, 0]])
    row = np.array([1.2, -1.9, 1.0, 1.2])
    assert novelty(constant, row).percentile == novelty(TRAINING, row[:2]).percentile
    assert novelty(constant, np.array([1.2, -1.9, 5.0, 1.2])).outside == 0.25


def test_scale_and_unit_of_a_feature_are_of_no_matter() -> None:
    row = np.array([1.7, -2.2])
    assert novelty(TRAINING * 1e6 + 3, row * 1e6 + 3) == novelty(TRAINING, row)
