"""Losses by hand, and their values for a calibrated forecast by theory."""

from statistics import NormalDist

import numpy as np
import pytest

from forecasting import losses

LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]


def test_pinball_by_hand() -> None:
    loss = losses.pinball(np.array([2.0, -1.0]), np.array([[0.0, 1.0, 4.0], [0.0, 1.0, 4.0]]), [0.1, 0.5, 0.9])
    # above the forecast q times the error, below it (1 - q) times
    np.testing.assert_allclose(loss, [[0.2, 0.5, 0.2], [0.9, 1.0, 0.5]])


def test_pinball_of_a_calibrated_gaussian_is_its_density() -> None:
    normal = NormalDist()
    z = np.array([normal.inv_cdf(level) for level in LEVELS])
    outcomes = np.array([normal.inv_cdf(p) for p in (np.arange(200_000) + 0.5) / 200_000])
    loss = losses.pinball(outcomes, np.broadcast_to(z, (len(outcomes), 7)), LEVELS).mean(axis=0)
    np.testing.assert_allclose(loss, [normal.pdf(value) for value in z], rtol=1e-3)


@pytest.mark.parametrize("shift, stretch", [(0.3, 1.0), (0.0, 0.7), (0.0, 1.4)])
def test_true_quantiles_score_best(shift: float, stretch: float) -> None:
    z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    outcomes = np.random.default_rng(3).standard_normal((20_000, 1))
    true = losses.pinball(outcomes, np.tile(z, (20_000, 1, 1)), LEVELS).mean()
    assert losses.pinball(outcomes, np.tile(shift + stretch * z, (20_000, 1, 1)), LEVELS).mean() > true


def test_crps_weights_by_hand() -> None:
    np.testing.assert_allclose(losses.crps_weights([0.25, 0.5, 0.75]), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(losses.crps_weights([0.1, 0.5]), [0.5, 0.9])


def test_crps_of_many_levels_is_the_closed_form() -> None:
    quantile_levels = (np.arange(999) + 1) / 1000
    normal = NormalDist()
    z = np.array([normal.inv_cdf(level) for level in quantile_levels])
    for outcome in (0.0, 1.5):
        crps = losses.crps(losses.pinball(np.array(outcome), z, quantile_levels), quantile_levels)
        # Gneiting and Raftery (2007), equation 21
        exact = outcome * (2 * normal.cdf(outcome) - 1) + 2 * normal.pdf(outcome) - 1 / np.sqrt(np.pi)
        assert crps == pytest.approx(exact, abs=2e-3)


def test_coverage_counts_the_bounds() -> None:
    inside = losses.covered(np.array([-1.0, 0.0, 1.0, 1.1]), np.full(4, -1.0), np.full(4, 1.0))
    assert inside.tolist() == [True, True, True, False]


def test_price_error_is_relative_to_the_realised_price() -> None:
    error = losses.price_error_percent(np.log([1.25, 0.8]), np.log([1.0, 1.0]))
    np.testing.assert_allclose(error, [20.0, 25.0])


def test_winkler_by_hand() -> None:
    score = losses.winkler(np.array([0.0, -1.5, 3.0]), np.full(3, -1.0), np.full(3, 1.0), 0.9)
    # the width of 2, and 20 for each unit outside
    np.testing.assert_allclose(score, [2, 12, 42])


def test_winkler_is_the_pinball_of_both_ends() -> None:
    outcomes = np.random.default_rng(1).standard_normal(50)
    ends = np.tile([-0.6, 0.8], (50, 1))
    loss = losses.pinball(outcomes, ends, [0.25, 0.75]).sum(axis=1)
    np.testing.assert_allclose(losses.winkler(outcomes, ends[:, 0], ends[:, 1], 0.5), loss * 2 / 0.5)


def test_pit_by_hand() -> None:
    quantiles = np.tile([-1.0, 0.0, 0.0, 1.0], (4, 1))
    shares = losses.pit(np.array([-2.0, 0.5, 0.0, 1.0]), quantiles)
    np.testing.assert_array_equal(shares, [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0.5, 0, 0.5, 0], [0, 0, 0, 0.5, 0.5]])


def test_pit_of_a_calibrated_forecast_is_uniform() -> None:
    z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    outcomes = np.random.default_rng(2).standard_normal(50_000)
    shares = losses.pit(outcomes, np.broadcast_to(z, (50_000, 7))).mean(axis=0)
    np.testing.assert_allclose(shares, np.diff([0, *LEVELS, 1]), atol=0.005)
