"""The accounts of a backtest: by hand, and what must hold of any."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from backtest import regret, risk_tests
from forecasting.quantiles import Forecasts
from forecasting.task import Task
from market.candles import COLUMNS, clean
from support.decisions import FREE
from support.evaluations import LEVELS
from trading.backtest import (
    Account,
    Market,
    deflated_sharpe,
    exposures,
    held,
    market,
    moment_returns,
    result,
    sharpe,
    sharpe_interval,
    stated_and_won,
    together,
    trades,
)
from trading.costs import Costs
from trading.exposure import DAYS_A_YEAR, ExposureSettings
from trading.walk import informed_exits, quality_before

BAR = 60_000
FEES = Costs(commission_pct=1, commission_flat=0, slippage_pct=0)
NONE = Costs(commission_pct=0, commission_flat=0, slippage_pct=0)
RISING = Market(BAR * np.arange(7), np.array([100.0, 110, 120, 130, 140, 150, 160]), np.array([0, 2, 4]))


def decision(
    action: str = "BUY", sell_step: int = 3, sell_close: float = 130, left: float = 27, spent: float = 1
) -> dict[str, Any]:
    return {
        "action": action,
        "spent": spent,
        "sell_step": sell_step,
        "sell_close": sell_close,
        "return_pct": left,
    }


def test_a_followed_decision_is_marked_at_closes_and_settled_after_costs() -> None:
    account = trades([decision(), decision(sell_step=2), decision("HOLD")], RISING)
    # the second BUY came while the first position was open
    assert account.trips == [27]
    np.testing.assert_allclose(account.wealth, [1, 1.1, 1.2, 1.27, 1.27, 1.27, 1.27])
    np.testing.assert_allclose(account.weight, [1, 1, 0])
    assert account.costs == pytest.approx(0.03)
    assert account.traded == pytest.approx(2.3)


def test_what_is_not_spent_stays_cash() -> None:
    account = trades([decision(spent=0.5), decision("HOLD"), decision("HOLD")], RISING)
    assert account.wealth[-1] == pytest.approx(1.135)
    np.testing.assert_allclose(account.weight, [0.5, 0.5, 0])


def test_a_sale_at_a_moment_lets_its_decision_be_followed() -> None:
    second = decision(sell_step=2, sell_close=160, left=10)
    account = trades([decision("HOLD"), decision(sell_step=2, sell_close=140, left=20), second], RISING)
    assert account.trips == [20, 10]
    assert account.wealth[-1] == pytest.approx(1.2 * 1.1)


def test_nothing_is_earned_that_the_price_did_not_give() -> None:
    whole = held(lambda moment, now: now if moment else 1.0, RISING, FEES, 1000)
    np.testing.assert_allclose(whole.wealth, RISING.closes / 100 / 1.01)
    np.testing.assert_allclose(whole.weight, 1)
    cash = held(lambda moment, now: 0.0, RISING, FEES, 1000)
    assert (cash.wealth == 1).all() and cash.costs == cash.traded == 0


def test_half_the_wealth_drifts_until_it_is_rebalanced() -> None:
    drifting = held(lambda moment, now: now if moment else 0.5, RISING, NONE, 1000)
    np.testing.assert_allclose(drifting.wealth, 0.5 + 0.5 * RISING.closes / 100)
    np.testing.assert_allclose(drifting.weight, [0.5, 0.6 / 1.1, 0.7 / 1.2])
    kept = held(lambda moment, now: 0.5, RISING, NONE, 1000)
    expected = (1 + 0.5 * 0.2) * (1 + 0.5 * (140 / 120 - 1)) * (1 + 0.5 * (160 / 140 - 1))
    assert kept.wealth[-1] == pytest.approx(expected)
    # bought at first, then sold to half of the wealth twice
    sold = [
        wealth * (weight - 0.5) for wealth, weight in ((1.1, 0.6 / 1.1), (kept.wealth[4], 0.5 * 7 / 6 / (1 + 0.5 / 6)))
    ]
    assert kept.traded == pytest.approx(0.5 + sum(sold))


def test_an_investor_who_expects_nothing_holds_cash_and_a_wide_forecast_is_held_less() -> None:
    flat = np.full(3, 0.5)
    cash = exposures(flat, flat, RISING, FEES, ExposureSettings(0.0, 2), 1000)
    assert (cash.weight == 0).all() and (cash.wealth == 1).all()
    investor = ExposureSettings(0.4, 2)
    calm, wild = (exposures(np.full(3, width), flat, RISING, FEES, investor, 1000) for width in (0.4, 0.8))
    assert (calm.weight > wild.weight).all() and wild.weight[0] > 0


def test_figures_of_a_strategy_by_hand() -> None:
    over = Market(BAR * np.arange(5), np.ones(5), np.array([0, 1, 2, 3]))
    account = Account(np.array([1, 1.2, 0.9, 0.9, 1.08]), np.array([1.0, 1, 0, 1]), 0.01, 4.0, [20.0, -25])
    returns = np.array([0.2, -0.25, 0, 0.2])
    np.testing.assert_allclose(moment_returns(account, over), returns)
    a_year = DAYS_A_YEAR * 1440
    found = result(account, over, block=1)
    assert found["return_pct"] == pytest.approx(8)
    assert found["sharpe"] == pytest.approx(returns.mean() / returns.std() * np.sqrt(a_year))
    assert found["maximum_drawdown_pct"] == pytest.approx(25)
    assert (found["exposure"], found["trades"], found["hit_rate"]) == (0.75, 2, 0.5)
    assert found["turnover"] == pytest.approx(a_year)
    # four returns are too few for a band
    assert found["sharpe_interval"] is None


def test_the_band_of_a_sharpe_ratio_holds_it_and_widens_with_dependence() -> None:
    independent = np.random.default_rng(1).normal(0.02, 0.1, 400)
    low, high = sharpe_interval(independent, 1, 100) or (0, 0)
    assert low < 10 * sharpe(independent) < high
    dependent = np.repeat(independent[:80], 5)
    narrow, wide = (np.diff(sharpe_interval(dependent, block, 100) or [0, 0]) for block in (1, 10))
    assert wide > 1.5 * narrow


def test_more_trials_deflate_a_sharpe_ratio() -> None:
    returns = np.random.default_rng(2).normal(0.015, 0.1, 300)
    alone = deflated_sharpe(returns, [sharpe(returns)])
    # without another trial it is the probabilistic Sharpe ratio: of normal returns that of a t-test
    assert alone == pytest.approx(1 - ttest_1samp(returns, 0, alternative="greater").pvalue, abs=0.01)
    luck = [sharpe(returns), *np.random.default_rng(3).normal(0, 0.06, 30)]
    deflated = deflated_sharpe(returns, luck)
    assert alone is not None and deflated is not None and deflated < alone - 0.2
    assert deflated_sharpe(np.zeros(50), [float("nan")]) is None


def test_symbols_share_the_wealth() -> None:
    one = Account(np.array([1, 1.2]), np.array([1.0]), 0.02, 2.0, [20.0])
    other = Account(np.array([1, 1.0]), np.array([0.0]), 0.0, 0.0, [])
    both = together([one, other])
    assert both.wealth.tolist() == [1, 1.1] and both.weight.tolist() == [0.5]
    assert (both.costs, both.traded, both.trips) == (0.01, 1.0, [20.0])


def test_a_missing_close_is_the_one_before_it() -> None:
    closes = pd.Series([1.0, 2, 4], index=[0, BAR, 3 * BAR])
    over = market(closes, np.array([0, 2 * BAR]), 3 * BAR, BAR)
    assert over.closes.tolist() == [1, 2, 2, 4] and over.places.tolist() == [0, 2]


@pytest.mark.parametrize(("start", "end"), [(0, 200), (10, 90), (55, 190), (120, 121)])
def test_the_quality_before_a_moment_is_what_a_fetch_of_those_bars_finds(start: int, end: int) -> None:
    rows = np.random.default_rng(4).uniform(1, 2, (200, 6))
    rows[:, 2], rows[:, 3] = rows[:, 1:5].max(axis=1), rows[:, 1:5].min(axis=1)
    rows[:, 0] = BAR * np.arange(200)
    rows[100:115, 1:5], rows[100:115, 5] = 1.5, 0  # frozen
    rows = np.delete(rows, [20, 21, 60, 61, 62, 63, 64, 65, 150], axis=0)
    candles, quality = clean(rows, "BTCUSDT", "1m", 0, 200 * BAR, fill=3)
    window, expected = clean(rows, "BTCUSDT", "1m", start * BAR, end * BAR, fill=3)
    found = quality_before(candles[COLUMNS], quality, start * BAR, end * BAR, BAR)
    assert found.expected - found.missing == len(window)
    assert (found.missing, found.filled) == (expected["missing"], expected["filled"])
    assert found.frozen == sum(span["bars"] for span in expected["frozen_spans"])


def test_one_who_knows_the_distribution_buys_what_is_worth_it() -> None:
    task = Task("5m", 1, 3, LEVELS)
    spread = 0.01 * np.array([-2.0, -1, 0, 1, 2])
    flat, rising = np.tile(spread, (3, 1)), spread + np.array([[0.0], [0.03], [0.01]])
    forecasts = Forecasts(np.array(["A", "B"], dtype=object), np.array([0, 0]), np.ones(2), np.stack([flat, rising]), 0)
    found = informed_exits(forecasts, task, {**FREE, "commission_pct": 0.1}, 3)
    assert found == {("A", 0): 0, ("B", 0): 2}
    dear = informed_exits(forecasts, task, {**FREE, "commission_pct": 2}, 3)
    assert set(dear.values()) == {0}


def test_stated_probabilities_stand_beside_what_was_won() -> None:
    table = pd.DataFrame({"probability_of_profit": [0.1, 0.15, 0.55, 1.0, 0.9], "return_pct": [-1, 2, 3, 1, np.nan]})
    assert stated_and_won(table) == [
        {"decisions": 2, "stated": pytest.approx(0.125), "won": 0.5},
        {"decisions": 1, "stated": pytest.approx(0.55), "won": 1},
        {"decisions": 1, "stated": 1, "won": 1},
    ]


def test_regret_is_of_holds_alone() -> None:
    table = pd.DataFrame(
        {"action": ["HOLD", "BUY", "HOLD"], "return_pct": [1.0, 9, -2], "mean_plan_pct": [0.5, 9, -0.5]}
    )
    assert regret(table) == {"holds": 2, "best_plan_pct": -0.5, "would_have_won": 0.5, "mean_plan_pct": 0}
    assert regret(table[table["action"] == "BUY"]) is None


@pytest.mark.parametrize(("scale", "rejected"), [(1.0, False), (2.0, True)])
def test_value_at_risk_and_expected_shortfall_are_tested_a_horizon_apart(scale: float, rejected: bool) -> None:
    task, count = Task("1m", 1, 2, LEVELS), 4000
    random = np.random.default_rng(5)
    moves = scale * 0.01 * random.standard_normal(count)
    table = pd.DataFrame(
        {
            "symbol": "A",
            "fold": 0,
            "origin": BAR * np.arange(count),
            "price_change_pct": 100 * moves,
            "value_at_risk": 0.01645,
            "shortfall_ensemble": 0.02063,
        }
    )
    found = risk_tests(table, task)
    assert found["moments"] == count // 2
    assert found["kupiec"] is not None and (found["kupiec"] < 0.001) == rejected
    assert found["shortfall_excess"] is not None and (found["shortfall_excess"] > 0.2) == rejected
