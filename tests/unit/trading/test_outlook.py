"""What plans are expected to leave, and the decision on it: by hand, and as properties over many forecasts."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from common.errors import UserError
from forecasting.distribution import Distribution
from forecasting.paths.sampling import marginals
from support.decisions import ENTRY, FREE, LEVELS, TIMES, decided_on, path_to, sampled, scored
from trading.costs import Costs
from trading.decision import EnsembleForecast, Entry, MemberForecast, decide
from trading.documents import Decided
from trading.outlook import Marginals, best_plan, kelly, outlook, qualifying
from trading.plans import Plans, make_plans

FEES: dict[str, Any] = {"commission_pct": 0.1, "slippage_pct": 0.02, "min_edge_pct": 0.05}


def random_forecast(seed: int, steps: int = 3) -> np.ndarray:
    """Quantiles [steps, levels] of any direction, width and skew."""
    random = np.random.default_rng(seed)
    spread = np.cumsum(random.uniform(1e-4, 0.02, (steps, len(LEVELS))), axis=1)
    return spread - spread[:, [2]] + random.normal(0, 0.01, (steps, 1))


def action(decided: Decided) -> str:
    return decided["decision"]["action"]


# --- figures by hand ---


def test_the_best_fraction_of_a_bet_is_kelly_s() -> None:
    """Even odds won three times of five: f = p − q = 0.2, growth 0.6 ln 1.2 + 0.4 ln 0.8."""
    bets = np.array([[1.0, 1, 1, -1, -1], [-1.0, -1, -1, 1, 1], [0.1, 0.2, 0.3, 0.4, -0.01]])
    fraction, growth = kelly(bets)
    np.testing.assert_allclose(fraction, [0.2, 0, 1], atol=1e-9)
    np.testing.assert_allclose(growth, [0.6 * np.log(1.2) + 0.4 * np.log(0.8), 0, np.log1p(bets[2]).mean()], atol=1e-12)


def test_a_plan_without_levels_has_the_marginals_figures() -> None:
    """Of a normal forecast: exact, whatever the paths' noise."""
    costs, deviation = Costs(0.1, 0, 0.02), np.array([0.01, 0.02])
    quantiles = 0.004 + deviation[:, None] * norm.ppf(LEVELS)
    paths = marginals(quantiles[None], LEVELS, 1000)[0]
    found = outlook(make_plans(deviation, 2, [], []), Marginals(LEVELS, quantiles), paths, costs, 1000)
    # the mean, exp(0.004 + σ² / 2), is above the median, which is what counts
    net = costs.net_return(1000, np.exp(np.array([0.004, 0.004])))
    np.testing.assert_allclose(found.expected, net, atol=1e-8)
    breakeven = np.log(costs.ratio_of(1000, 0))
    np.testing.assert_allclose(found.probability, norm.sf(breakeven, 0.004, deviation), atol=1e-7)
    assert not found.error.any()
    # the mean of the lowest 5 % of price ratios, whose mean is the median's
    forecast, fine = Distribution(LEVELS, quantiles), (np.arange(5000) + 0.5) / 100_000
    lowest = np.exp(forecast.quantile(fine[:, None])).mean(axis=0)
    tail = costs.net_return(1000, lowest * np.exp(0.004) / forecast.mean_exponential())
    np.testing.assert_allclose(found.shortfall, tail, atol=3e-4)


def test_the_expected_ratio_is_the_lesser_of_mean_and_median() -> None:
    left, right = np.array([[-0.09, -0.03, 0.01, 0.02, 0.03]]), np.array([[-0.01, 0.0, 0.01, 0.05, 0.11]])
    for quantiles in (left, right):
        mean = np.log(Distribution(LEVELS, quantiles).mean_exponential())
        assert Marginals(LEVELS, quantiles).expected == pytest.approx(min(0.01, mean[0]), rel=1e-12)
    assert Marginals(LEVELS, left).expected < 0.01


def test_money_is_conserved_to_the_cent() -> None:
    """Cash = units · fill + commission on the way in, and what comes out is the sale less commission."""
    random = np.random.default_rng(3)
    for _ in range(300):
        costs = Costs(random.uniform(0, 2), random.uniform(0, 5), random.uniform(0, 2))
        cash, entry, close = random.uniform(6, 1e6), 10 ** random.uniform(-6, 6), 10 ** random.uniform(-6, 6)
        trip = costs.round_trip(cash, entry, close)
        paid = trip.units * trip.entry_fill
        commission = (paid + trip.units * trip.sell_fill) * costs.commission_pct / 100 + 2 * costs.commission_flat
        left = trip.units * (trip.sell_fill - trip.entry_fill) - commission
        assert trip.pnl == pytest.approx(left, rel=1e-9, abs=0.005)
        assert trip.commission == pytest.approx(commission, rel=1e-9, abs=0.005)
        # the same money by the price ratio alone
        assert cash * costs.net_return(cash, np.array(close / entry)) == pytest.approx(trip.pnl, rel=1e-9, abs=0.005)
        assert costs.net_return(cash, np.array(costs.ratio_of(cash, 0.1))) == pytest.approx(0.1)


# --- what is decided ---


@pytest.mark.parametrize("spread", [1e-4, 0.003, 0.03, 0.1])
@pytest.mark.parametrize("shape", [[-2, -1, 0, 1, 2], [-1, -0.5, 0, 2, 6], [-6, -2, 0, 0.5, 1]])
@pytest.mark.parametrize("fees", [FEES, {**FREE, "min_edge_pct": 0.01}])
def test_a_forecast_without_direction_is_a_hold(spread: float, shape: list[float], fees: dict[str, Any]) -> None:
    """However wide or skewed, whatever its paths do on their way, even where nothing costs anything."""
    quantiles = spread * np.sqrt(np.arange(1, 13))[:, None] * np.array(shape, dtype=float)
    entry = Entry(ENTRY.time, 100.0, [f"step {step}" for step in range(12)])
    orders = np.random.default_rng(2).standard_normal((12, 400))
    members = {"tft": MemberForecast(quantiles, 1.0)}
    config = {**FREE, **fees, "require": []}
    values = marginals(quantiles[None], LEVELS, 400)[0]
    for walks in (orders, orders.cumsum(axis=0), np.tile(orders[:1], (12, 1)), orders * (-1) ** np.arange(12)[:, None]):
        ranks = walks.argsort(axis=1).argsort(axis=1)
        paths = np.take_along_axis(values, ranks, axis=1)
        forecast = EnsembleForecast(LEVELS, quantiles, paths)
        decided, plans = decide(forecast, members, scored(), entry, config, [])  # type: ignore[arg-type]
        assert action(decided) == "HOLD"
        assert decided["plan"]["fraction"] >= 0 and not plans["qualifies"].any()


def test_a_hold_tells_no_one_bar_trade() -> None:
    """Where all exits are equally bad, the plan is the one that most likely earns something: the longest."""
    quantiles = 0.001 * np.sqrt([1, 2, 3])[:, None] * np.array([-2.0, -1, 0, 1, 2])
    decided, plans = decided_on(quantiles, **FEES)
    assert decided["decision"]["target_time"] == TIMES[-1]
    assert decided["decision"]["expected_return_pct"] == pytest.approx(-0.2397123, abs=1e-6)
    assert decided["plan"]["take_profit_price"] is decided["plan"]["stop_price"] is None
    assert plans.groupby("exit_step")["probability_of_profit"].first().is_monotonic_increasing


@pytest.mark.parametrize("move", [0.004, 0.02, 0.1])
def test_a_median_beyond_the_costs_is_a_buy(move: float) -> None:
    decided, _ = decided_on(path_to(100, 100 * (1 + move), 100), **FEES)
    assert action(decided) == "BUY"
    assert decided["decision"]["target_time"] == TIMES[1]
    assert decided["decision"]["expected_return_pct"] == pytest.approx(100 * move - 0.24, abs=0.03)


def test_a_profit_must_be_likely_enough() -> None:
    quantiles = path_to(100.4, 100.4, 100.4)
    chance = decided_on(quantiles, **FEES)[0]["plan"]["probability_of_profit"]
    assert 0.5 < chance < 0.6
    for least, expected in ((chance, "BUY"), (chance + 1e-6, "HOLD")):
        decided, _ = decided_on(quantiles, min_probability=least, **FEES)
        assert action(decided) == expected
    assert decided["breakeven"]["failed_gates"] == ["probability"]


def test_more_cost_never_turns_a_hold_into_a_buy() -> None:
    dearer = ("commission_pct", "slippage_pct", "commission_flat")
    seen = set()
    for seed in range(60):
        quantiles = random_forecast(seed)
        for name in dearer:
            settings: list[dict[str, Any]] = [{name: cost, "min_edge_pct": 0.05} for cost in (0, 0.1, 0.4, 1, 3)]
            actions = [action(decided_on(quantiles, **one)[0]) for one in settings]
            assert "HOLD BUY" not in " ".join(actions), (seed, name)
            seen |= {tuple(actions)}
    assert len(seen) > 3


@pytest.mark.parametrize("scale", [1e-6, 0.37, 4e5])
def test_prices_scaled_change_nothing_but_prices(scale: float) -> None:
    for seed in range(12):
        quantiles, scaled = random_forecast(seed), Entry(ENTRY.time, ENTRY.close * scale, TIMES)
        (one, plans), (other, others) = (decided_on(quantiles, entry=entry, **FEES) for entry in (ENTRY, scaled))
        assert one["gates"] == other["gates"]
        prices = ("take_profit_price", "stop_price")
        for name in plans.columns:
            by = scale if name in prices else 1
            if plans[name].dtype == float:
                np.testing.assert_allclose(others[name], plans[name] * by, rtol=1e-8)
            else:
                assert (others[name] == plans[name]).all()
        assert other["decision"]["target_price"] == pytest.approx(one["decision"]["target_price"] * scale, rel=1e-12)
        for name in ("action", "reason", "target_time"):
            assert dict(one["decision"])[name] == dict(other["decision"])[name]


@pytest.mark.parametrize("damage", [np.nan, np.inf, -np.inf, "crossing"])
def test_quantiles_that_are_none_reach_no_decision(damage: Any) -> None:
    quantiles = path_to(101, 102, 103)
    forecast = sampled(quantiles)
    quantiles[1, 3] = quantiles[1, 2] - 1e-9 if damage == "crossing" else damage
    members = {"tft": MemberForecast(quantiles, 1.0)}
    broken = EnsembleForecast(LEVELS, quantiles, forecast.paths)
    with pytest.raises(UserError, match="quantiles cross or are not finite") as caught:
        decide(broken, members, scored(), ENTRY, FREE, [])
    assert "\n" not in str(caught.value)


def test_paths_that_are_none_and_forecasts_without_a_mean_reach_no_decision() -> None:
    forecast = sampled(path_to(101, 102, 103))
    forecast.paths[1, 7] = np.nan
    with pytest.raises(UserError, match="the sample paths are not finite"):
        decide(forecast, {}, scored(), ENTRY, FREE, [])
    with pytest.raises(UserError, match="so wide that no price is to be expected"):
        decided_on(path_to(100, 100, 100, spread=5.0))


def test_costs_that_make_any_trade_impossible_are_told() -> None:
    """Whatever else is wrong."""
    decided, _ = decided_on(path_to(101, 101, 101, spread=1e-4), scored(skill=-0.01), commission_pct=60)
    assert decided["breakeven"]["failed_gates"] == ["skill", "edge", "probability"]
    assert decided["decision"]["reason"] == (
        "No plan can earn its costs: they take a rise of 300 %, and the forecast reaches that nowhere."
    )


# --- what would have to change ---


@pytest.mark.parametrize("seed", range(15))
def test_the_commission_at_which_it_flips(seed: int) -> None:
    quantiles = random_forecast(seed)
    limits = {**FEES, "min_probability": 0.3 + 0.04 * seed}
    flip = decided_on(quantiles, **limits)[0]["breakeven"]["commission_pct"]
    if flip is None:
        assert action(decided_on(quantiles, **{**limits, "commission_pct": 0})[0]) == "HOLD"
        return
    for commission, expected in ((flip * (1 - 1e-4), "BUY"), (flip * (1 + 1e-4) + 1e-6, "HOLD")):
        assert action(decided_on(quantiles, **{**limits, "commission_pct": commission})[0]) == expected


@pytest.mark.parametrize("seed", range(15))
def test_the_median_that_a_buy_needs(seed: int) -> None:
    limits = {**FEES, "min_probability": 0.3 + 0.04 * seed, "exits": 1, "take_profit": [], "stop": []}
    quantiles = random_forecast(seed)
    decided, _ = decided_on(quantiles, **limits)
    shift = np.log1p(decided["breakeven"]["median_return_pct"] / 100) - quantiles[-1, 2]
    for change, expected in ((1e-6, "BUY"), (-1e-6, "HOLD")):
        assert action(decided_on(quantiles + shift + change, **limits)[0]) == expected


# --- levels ---


def test_levels_are_no_better_by_chance() -> None:
    """Of random walks, where no level gains anything, the best of the noisy means is one in few forecasts."""
    deviation = 0.01 * np.sqrt(np.arange(1, 13))
    quantiles = deviation[:, None] * norm.ppf(LEVELS)
    plans, known = make_plans(deviation, 6, [0.5, 1, 2], [0.5, 1, 2]), Marginals(LEVELS, quantiles)
    best = []
    for seed in range(100):
        walks = 0.01 * np.random.default_rng(seed).standard_normal((12, 400)).cumsum(axis=0)
        found = outlook(plans, known, walks, Costs(0, 0, 0), 1000)
        best.append(found.gains.any())
        # by its mean alone, some plan with levels is nearly always above those without
        assert found.ratio[~found.plans.simple].max() > found.ratio[found.plans.simple].max()
    assert sum(best) <= 10


def test_levels_that_gain_are_taken() -> None:
    """All paths rise by a deviation and fall back before the exit: a take-profit keeps what holding loses."""
    steps, count = 4, 400
    quantiles = 0.004 + 0.01 * np.sqrt(np.arange(1, steps + 1))[:, None] * norm.ppf(LEVELS)
    spread = marginals(quantiles[None], LEVELS, count)[0]
    ranks = np.random.default_rng(1).permuted(np.tile(np.arange(count), (1, 1)), axis=1)[0]
    # high after a low, low after a high
    paths = np.stack([spread[k][ranks if k % 2 else count - 1 - ranks] for k in range(steps)])
    plans = make_plans(Distribution(LEVELS, quantiles).deviation(), 1, [1], [1])
    found = outlook(plans, Marginals(LEVELS, quantiles), paths, Costs(0, 0, 0), 1000)
    place = best_plan(found, qualifying(found, 0.0005, 0.5, np.ones(len(plans), dtype=bool)))
    assert found.gains[place] and plans.take_profit[place] == 1
    assert found.error[place] > 0 and found.surely[place] < found.expected[place]


def test_levels_need_an_exit_that_qualifies_without() -> None:
    """They cannot make a BUY of an exit that is none, however much they seem to gain."""
    plans = make_plans(np.array([0.01]), 1, [1], [])
    found = outlook(
        plans, Marginals(LEVELS, path_to(100)), np.zeros((1, 9)), Costs(**asdict(Costs(0.1, 0, 0.02))), 1000
    )
    better = type(found)(**{**found.__dict__, "expected": np.array([-0.1, 0.5]), "gains": np.array([False, True])})
    admitted, likely = np.ones(2, dtype=bool), 0.0
    assert not qualifying(better, 0.0005, likely, admitted).any()
    assert isinstance(better.plans, Plans) and best_plan(better, np.zeros(2, dtype=bool)) == 0
