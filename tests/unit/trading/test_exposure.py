"""The weight by a forecast's width: targets, limits and bands by hand, and what a move costs."""

import numpy as np
import pytest
from scipy.integrate import quad

from common.errors import UserError
from forecasting.distribution import Distribution
from support.evaluations import LEVELS
from trading.costs import Costs
from trading.exposure import (
    ExposureSettings,
    annual_volatility,
    exposure_target,
    largest_weight,
    no_trade_band,
    optimal_half_width,
    rebalanced,
    stopping_cost,
)

USUAL = ExposureSettings(prior_sharpe=0.4, risk_aversion=2)
HOUR = 3_600_000
VOLATILITY, LOSS = np.array([0.1, 0.4, 0.8]), np.array([0.01, 0.02, 0.1])


def test_the_target_by_hand() -> None:
    """0.4 / (2 · 0.4) = 0.5, 0.4 / (2 · 0.8) = 0.25, and 2 is more than all of the wealth."""
    np.testing.assert_array_equal(exposure_target(VOLATILITY, LOSS, USUAL), [1, 0.5, 0.25])


def test_a_year_is_of_days_of_24_hours() -> None:
    assert annual_volatility(np.array(0.01), 24, HOUR) == pytest.approx(0.01 * np.sqrt(365.25))


def test_no_reward_is_cash_whatever_the_width() -> None:
    for volatility in (np.zeros(3), VOLATILITY):
        target = exposure_target(volatility, LOSS, ExposureSettings(0, 2))
        low, high = no_trade_band(target, LOSS, 0.001, ExposureSettings(0, 2))
        assert not rebalanced(np.array([0, 0.3, 1]), low, high).any()


def test_a_forecast_without_width_is_held_in_full() -> None:
    assert exposure_target(np.zeros(1), np.zeros(1), USUAL) == 1
    assert exposure_target(np.zeros(1), np.zeros(1), ExposureSettings(-0.4, 2, short=True)) == -1


def test_the_shortfall_limit_caps_either_side() -> None:
    limited = ExposureSettings(0.4, 2, max_shortfall=0.005)
    np.testing.assert_allclose(exposure_target(VOLATILITY, LOSS, limited), [0.5, 0.25, 0.05])
    below = ExposureSettings(-0.4, 2, short=True, max_shortfall=0.005)
    np.testing.assert_allclose(exposure_target(VOLATILITY, LOSS, below), [-0.5, -0.25, -0.05])
    # a position that gains even in its worst cases is not limited
    assert largest_weight(np.array(-0.01), limited) == 1


def test_the_band_is_that_of_janecek_and_shreve() -> None:
    """3 / (2 · 2) · (0.5 · 0.5)² · 0.0012 to the third root."""
    half = (0.75 * 0.0625 * 0.0012) ** (1 / 3)
    assert optimal_half_width(np.array(0.5), 0.0012, 2) == pytest.approx(half)
    low, high = no_trade_band(np.array(0.5), np.array(0.02), 0.0012, USUAL)
    np.testing.assert_allclose([low, high], [0.5 - half, 0.5 + half], atol=1e-9)
    moved = rebalanced(np.array([0, 0.5 - half + 1e-6, 1]), low, high)
    np.testing.assert_allclose(moved, [0.5 - half, 0.5 - half + 1e-6, 0.5 + half], atol=1e-9)
    # where all or nothing is held, nothing drifts
    np.testing.assert_array_equal(optimal_half_width(np.array([0.0, 1.0]), 0.1, 2), 0)


def test_the_band_ends_at_the_limits_and_at_zero() -> None:
    wide = ExposureSettings(0.4, 2, max_shortfall=0.006, band=0.4)
    target = exposure_target(VOLATILITY, LOSS, wide)
    low, high = no_trade_band(target, LOSS, 0.0012, wide)
    np.testing.assert_allclose(target, [0.6, 0.3, 0.06])
    np.testing.assert_allclose(low, [0.2, 0, 0], atol=1e-9)
    np.testing.assert_allclose(high, [0.6, 0.3, 0.06])
    low, high = no_trade_band(-target, LOSS, 0.0012, ExposureSettings(-0.4, 2, True, 0.006, 0.4))
    np.testing.assert_allclose(low, [-0.6, -0.3, -0.06])
    np.testing.assert_allclose(high, [-0.2, 0, 0], atol=1e-9)


@pytest.mark.parametrize("held", [0.0, 0.35, 0.55, 1.0])
def test_the_cost_that_stops_a_move(held: float) -> None:
    cost = stopping_cost(0.5, held, 2)
    assert cost is not None
    for factor, moves in ((0.999, True), (1.001, False)):
        low, high = no_trade_band(np.array(0.5), np.array(0.02), factor * cost, USUAL)
        assert (rebalanced(np.array(held), low, high) != held) == moves
    assert stopping_cost(1.0, held, 2) is None


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ((0.4, 0.0), "decision.risk_aversion: 0 is not above 0"),
        ((0.4, -1.0), "decision.risk_aversion: -1 is not above 0"),
        ((np.nan, 2.0), "decision.prior_sharpe: nan"),
        ((-0.4, 2.0), "decision.prior_sharpe: -0.4 is below 0, .*decision.short: true"),
    ],
)
def test_an_investor_that_makes_no_sense_is_one_line(settings: tuple[float, float], named: str) -> None:
    with pytest.raises(UserError, match=named) as caught:
        ExposureSettings(*settings)
    assert "\n" not in str(caught.value)


# --- the cost of a move ---


@pytest.mark.parametrize(
    ("held", "weight"), [(0, 0.4), (0.4, 0), (0.3, 1), (1, 0.2), (0, -0.5), (-0.5, 0.5), (0.5, -1)]
)
@pytest.mark.parametrize("costs", [Costs(0.1, 0, 0.02), Costs(1, 2, 1), Costs(0, 0, 0)])
def test_a_move_leaves_the_weight_in_what_is_left(held: float, weight: float, costs: Costs) -> None:
    moved = costs.rebalance(1000, held, weight)
    assert moved.weight == weight and (moved.amount > 0) == (weight > held)
    assert (held * 1000 + moved.amount) / (1000 - moved.cost) == pytest.approx(weight, abs=1e-12)
    # what is paid or got at the fill, commissions included, is the amount and its cost
    units, fill = moved.amount / 100, costs.buy_fill(100) if weight > held else costs.sell_fill(100)
    commission = abs(units) * fill * costs.commission_pct / 100 + costs.commission_flat
    assert units * fill + commission == pytest.approx(moved.amount + moved.cost, abs=1e-9)


def test_all_of_the_cash_buys_what_a_trade_buys() -> None:
    costs = Costs(1, 2, 1)
    assert costs.rebalance(1000, 0, 1).amount / 100 == pytest.approx(costs.units(1000, 100), rel=1e-12)


def test_a_move_that_the_flat_commission_eats_is_none() -> None:
    costs = Costs(0.1, 2, 0.02)
    for wealth, held, weight in ((1000, 0.5, 0.5005), (2, 0, 1), (1000, 0.5, 0.5)):
        moved = costs.rebalance(wealth, held, weight)
        assert (moved.amount, moved.cost, moved.weight) == (0, 0, held)


# --- the shortfall of price ratios ---


@pytest.mark.parametrize("p", [0.01, 0.05, 0.2, 0.95])
def test_the_mean_price_ratio_of_the_worst_share(p: float) -> None:
    quantiles = np.array([[-0.2, -0.05, 0.01, 0.03, 0.3], [0.0, 0, 0, 0, 0]])
    forecast = Distribution(LEVELS, quantiles)
    lowest = quad(lambda u: float(np.exp(forecast.quantile(u))[0]), 0, p, points=[0.001, 0.05, 0.25, 0.5], limit=200)[0]
    np.testing.assert_allclose(forecast.lower_mean_exponential(p), [lowest / p, 1], rtol=1e-7)


def test_a_share_beyond_the_levels_has_no_lower_mean() -> None:
    for p in (0.0, 0.96):
        with pytest.raises(ValueError, match="at most the highest level"):
            Distribution(LEVELS, np.zeros(5)).lower_mean_exponential(p)
