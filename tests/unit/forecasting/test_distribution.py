"""From quantiles to a distribution: its quantiles are those given, its mass is one, and known distributions are met."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

from forecasting.distribution import Distribution

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
PROBABILITIES = np.array([1e-6, 0.001, 0.01, 0.04, 0.05, 0.07, 0.25, 0.3, 0.5, 0.62, 0.9, 0.95, 0.97, 0.999, 1 - 1e-6])


def batch() -> Distribution:
    """Skewed distributions [2, 3]."""
    steps = np.random.default_rng(2).uniform(0.1, 1.0, (2, 3, 7))
    return Distribution(LEVELS, np.cumsum(steps, axis=-1) - 2)


def test_the_quantiles_at_the_levels_are_returned() -> None:
    distribution = batch()
    back = distribution.quantile(LEVELS[:, None, None])
    np.testing.assert_allclose(np.moveaxis(back, 0, -1), distribution.quantiles, atol=1e-12)
    np.testing.assert_allclose(distribution.cdf(back), np.broadcast_to(LEVELS[:, None, None], (7, 2, 3)), atol=1e-12)


def test_probability_of_a_quantile_is_its_own() -> None:
    distribution, p = batch(), PROBABILITIES[:, None, None]
    x = distribution.quantile(p)
    assert x.shape == (15, 2, 3)
    assert (np.diff(x, axis=0) > 0).all()
    np.testing.assert_allclose(distribution.cdf(x), np.broadcast_to(p, x.shape), rtol=1e-9)


def test_one_point_for_each_distribution_and_one_distribution_for_many_points() -> None:
    distribution = batch()
    assert (
        distribution.quantile(0.01).shape
        == distribution.cdf(0.3).shape
        == distribution.pdf(np.zeros((2, 3))).shape
        == (2, 3)
    )
    lone = Distribution(LEVELS, distribution.quantiles[1, 2])
    assert lone.quantile(PROBABILITIES).shape == (15,)
    assert float(lone.quantile(0.3)) == distribution.quantile(0.3)[1, 2]


def test_the_density_is_the_slope_of_the_probability_and_integrates_to_one() -> None:
    distribution = batch()
    x = np.linspace(-30, 30, 600_001)[:, None, None]
    np.testing.assert_allclose(trapezoid(distribution.pdf(x), x, axis=0), np.ones((2, 3)), atol=1e-4)
    near = distribution.quantile(np.array([0.001, 0.03, 0.07, 0.4, 0.6, 0.93, 0.99])[:, None, None])
    slope = (distribution.cdf(near + 1e-6) - distribution.cdf(near - 1e-6)) / 2e-6
    np.testing.assert_allclose(distribution.pdf(near), slope, rtol=1e-5)


def test_the_tails_begin_at_the_inner_density_and_fall_exponentially() -> None:
    distribution = batch()
    for side, out in ((0, -1), (-1, 1)):
        end = distribution.quantiles[..., side]
        np.testing.assert_allclose(distribution.pdf(end + out * 1e-9), distribution.pdf(end - out * 1e-9), rtol=1e-6)
        near, far, farther = (np.log(distribution.pdf(end + out * d)) for d in (0.1, 1.1, 2.1))
        np.testing.assert_allclose(near - far, far - farther, rtol=1e-9)


@pytest.mark.parametrize(
    "known, bound", [(stats.norm(), 0.05), (stats.t(5), 0.06), (stats.t(4), 0.09), (stats.laplace(), 0.04)]
)
def test_known_distributions_from_seven_levels(known: stats.rv_continuous, bound: float) -> None:
    distribution = Distribution(LEVELS, known.ppf(LEVELS))
    outer = np.array([0.01, 0.99])
    np.testing.assert_allclose(distribution.quantile(outer), known.ppf(outer), rtol=bound)
    inner = np.array([0.06, 0.15, 0.35, 0.6, 0.8, 0.92])
    np.testing.assert_allclose(distribution.quantile(inner), known.ppf(inner), atol=0.04)


def test_a_gaussian_is_exact_within_the_levels_and_heavier_beyond() -> None:
    known = stats.norm(0.3, 2)
    distribution = Distribution(LEVELS, known.ppf(LEVELS))
    x = known.ppf(np.linspace(0.051, 0.949, 50))
    np.testing.assert_allclose(distribution.pdf(x), known.pdf(x), rtol=1e-9)
    assert (distribution.cdf(known.ppf([0.01, 0.001])) > [0.01, 0.001]).all()


def test_expected_shortfall_is_the_mean_of_the_quantiles_below() -> None:
    distribution = batch()
    for p in (0.001, 0.03, 0.05, 0.2, 0.5, 0.9, 0.95, 0.99):
        u = p * (np.arange(200_000) + 0.5) / 200_000
        expected = distribution.quantile(u[:, None, None]).mean(axis=0)
        np.testing.assert_allclose(distribution.expected_shortfall(p), expected, rtol=2e-4, atol=1e-5)
    several = distribution.expected_shortfall(PROBABILITIES[:, None, None])
    assert several.shape == (15, 2, 3) and (np.diff(several, axis=0) > 0).all()


def test_expected_shortfall_of_a_gaussian_within_the_levels() -> None:
    """What lies between two levels is a Gaussian's: p ES(p) is the integral of its quantiles."""
    distribution = Distribution(LEVELS, stats.norm.ppf(LEVELS))
    between = 0.6 * distribution.expected_shortfall(0.6) - 0.1 * distribution.expected_shortfall(0.1)
    assert between == pytest.approx(stats.norm.pdf(stats.norm.ppf(0.1)) - stats.norm.pdf(stats.norm.ppf(0.6)))


def test_samples_have_the_quantiles() -> None:
    distribution = batch()
    drawn = distribution.sample(200_000, np.random.default_rng(3))
    assert drawn.shape == (200_000, 2, 3)
    p = np.array([0.01, 0.05, 0.3, 0.5, 0.9, 0.99])
    np.testing.assert_allclose(
        distribution.cdf(np.quantile(drawn, p, axis=0)), p[:, None, None] + np.zeros((2, 3)), atol=0.005
    )
    np.testing.assert_array_equal(drawn, distribution.sample(200_000, np.random.default_rng(3)))


@pytest.mark.filterwarnings("error")
def test_ties_are_points_of_mass() -> None:
    inner = Distribution(LEVELS, np.array([-2.0, -1, 0, 0, 0, 1, 2]))
    np.testing.assert_allclose(inner.quantile(np.array([0.25, 0.4, 0.75])), 0, atol=1e-12)
    np.testing.assert_allclose(inner.cdf(np.array([-1e-9, 0.0])), [0.25, 0.75], atol=1e-6)
    x = np.linspace(-40, 40, 800_001)
    assert trapezoid(inner.pdf(x), x) == pytest.approx(0.5, abs=1e-3)

    low = Distribution(LEVELS, np.array([-1.0, -1, 0, 1, 2, 3, 4]))
    assert low.cdf(np.array([-1.0001, -1.0])) == pytest.approx([0, 0.1])
    assert low.quantile(np.array([0.001, 0.07])).tolist() == [-1, -1]
    assert low.pdf(-1.5) == 0

    point = Distribution(LEVELS, np.zeros(7))
    assert point.cdf(np.array([-1e-9, 0.0, 1e-9])).tolist() == [0, 1, 1]
    assert point.pdf(np.array([-1.0, 0.0, 1.0])).tolist() == [0, 0, 0]
    assert (point.sample(100, np.random.default_rng(1)) == 0).all()


@pytest.mark.parametrize(
    "quantile_levels, quantiles",
    [
        ([0.5], [0.0]),
        ([0.5, 0.5], [0.0, 1.0]),
        ([0.0, 0.5], [0.0, 1.0]),
        ([0.5, 1.0], [0.0, 1.0]),
        ([0.1, 0.9], [1, 0]),
    ],
)
def test_invalid_quantiles_are_refused(quantile_levels: list[float], quantiles: list[float]) -> None:
    with pytest.raises(ValueError):
        Distribution(quantile_levels, np.array(quantiles))


def test_the_deviation_of_a_gaussian_is_nearly_its_own() -> None:
    z = stats.norm.ppf(LEVELS)
    found = Distribution(LEVELS, np.stack([z, 3 * z + 5])).deviation()
    np.testing.assert_allclose(found, [1, 3], rtol=0.02)


def test_the_deviation_is_that_of_its_density() -> None:
    distribution = batch()
    x = np.linspace(-60, 60, 1_200_001)[:, None, None]
    density = distribution.pdf(x)
    mean, square = (trapezoid(density * x**power, x, axis=0) for power in (1, 2))
    np.testing.assert_allclose(distribution.deviation(), np.sqrt(square - mean**2), rtol=1e-4)


def test_equal_quantiles_have_no_deviation() -> None:
    assert Distribution(LEVELS, np.full(7, 0.3)).deviation() == 0


def test_the_mean_price_ratio_is_the_integral_of_the_quantiles() -> None:
    """∫ exp(quantile(u)) du, of skewed forecasts; exp(m + σ² / 2) of a normal one but for its tails."""
    fine = (np.arange(2_000_000) + 0.5) / 2_000_000
    for quantiles in ([-0.09, -0.03, 0.01, 0.02, 0.03], [-0.01, 0.0, 0.01, 0.05, 0.3], [0.02] * 5):
        forecast = Distribution([0.05, 0.25, 0.5, 0.75, 0.95], np.array(quantiles))
        assert forecast.mean_exponential() == pytest.approx(np.exp(forecast.quantile(fine)).mean(), rel=1e-6)
    levels = np.linspace(0.0005, 0.9995, 1999)
    normal = Distribution(levels, 0.01 + 0.2 * stats.norm.ppf(levels))
    assert normal.mean_exponential() == pytest.approx(np.exp(0.01 + 0.02), rel=1e-4)


def test_a_tail_that_decays_too_slowly_has_no_mean_price() -> None:
    forecast = Distribution([0.05, 0.5, 0.95], np.array([[-9.0, 0, 9], [-0.1, 0, 0.1]]))
    np.testing.assert_array_equal(np.isinf(forecast.mean_exponential()), [True, False])
