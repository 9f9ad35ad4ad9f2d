"""The accounts of a backtest: by hand, and what must hold of any."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, ttest_1samp

from backtest import regret, risk_tests, verdicts
from backtest_fold import Held
from common.files import write_csv
from forecasting.quantiles import Forecasts
from forecasting.task import Task
from market.candles import COLUMNS, clean
from support.decisions import FREE, sealed_trade
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
from trading.documents import Action
from trading.exposure import DAYS_A_YEAR, ExposureSettings
from trading.moment import Made
from trading.settlement import settle
from trading.strategies import FOLLOWED, SIZED, TOLD, WHOLE
from trading.walk import decision_row, informed_exits, quality_before, volatilities

BAR = 60_000
NAMES = (FOLLOWED, TOLD, WHOLE, SIZED)
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


@pytest.mark.parametrize("action", ["BUY", "HOLD"])
def test_a_row_tells_what_the_audit_of_the_decision_finds(action: Action) -> None:
    trade, path, plans = sealed_trade(action)
    closes = np.array([90.0, 110, 117])
    row, audit = decision_row(Made(trade, "", "", plans), closes), settle(trade, path, plans, closes)
    missed = audit["missed"]["return_pct"] if audit["missed"] else audit["realized_return_pct"]
    left = [plan["return_pct"] for plan in audit["plans"]]
    assert (row["action"], row["return_pct"]) == (action, missed)
    assert (row["sell_step"], row["sell_close"]) == (2, 110)
    assert (row["mean_plan_pct"], row["luckiest_plan_pct"]) == (pytest.approx(np.mean(left)), max(left))
    assert row["price_change_pct"] == pytest.approx(17) == audit["horizon_return_pct"]
    unsettled = decision_row(Made(trade, "", "", plans), np.full(3, np.nan))
    assert unsettled["sell_step"] == 0 and np.isnan(unsettled["return_pct"])


def test_widths_are_those_of_each_member_s_last_step() -> None:
    task = Task("1h", 1, 24, LEVELS)
    normal = np.tile(norm.ppf(LEVELS), (1, 24, 1))
    forecasts = {
        name: Forecasts(np.array(["A"], dtype=object), np.array([7]), np.ones(1), width * normal, 0)
        for name, width in (("ensemble", 0.02), ("ewma", 0.04))
    }
    found = volatilities(forecasts, task, 24, 1)["A", 7]
    # a day's deviation as that of a year
    assert found["volatility_ensemble"] == pytest.approx(0.02 * np.sqrt(365.25), rel=0.02)
    assert found["volatility_ewma"] == pytest.approx(2 * found["volatility_ensemble"])
    assert found["value_at_risk"] == pytest.approx(1 - np.exp(-0.02 * 1.6449), rel=1e-3)
    assert found["shortfall_ensemble"] > found["value_at_risk"] and "volatility_oracle" not in found
    short = volatilities(forecasts, task, 24, -1)["A", 7]
    assert short["shortfall_ensemble"] > found["shortfall_ensemble"]


def test_weights_are_held_from_moment_to_moment_and_from_fold_to_fold(tmp_path: Path) -> None:
    before = pd.DataFrame({"symbol": ["A", "B", "A"], "weight": [0.9, np.nan, 0.5], "close": [50.0, 10, 100]})
    write_csv(tmp_path / "0.csv", before)
    held_before = Held(str(tmp_path / "0.csv"), start=0.2)
    # the last one, as its price moved it; without a weight, what the config says
    assert held_before.at({"A": 200.0, "B": 10.0}) == {"A": pytest.approx(1 / 1.5), "B": 0.2}
    held_before.set("A", 0.3, 200.0)
    assert held_before.at({"A": 200.0, "B": 10.0})["A"] == 0.3
    assert Held(None, 0.0).at({"A": 1.0}) == {"A": 0.0}


def test_verdicts_name_what_was_followed_and_what_moving_costs() -> None:
    strategy = {"return_pct": 0.0, "trades": 0, "annual_costs_pct": 1.0}
    made: Any = {
        "decisions": 10,
        "actions": {"BUY": 3, "HOLD": 7},
        "strategies": {name: {**strategy, "return_pct": value} for value, name in enumerate(NAMES, start=1)},
        "regret": None,
        "utility_over_ewma": {"gain": 0.002, "interval": [0.001, 0.003]},
        "utility_at_most_pct": 4.0,
    }
    said = verdicts(made)
    assert said[0].startswith("Of 10 decisions 3 BUY, 7 HOLD; followed, they leave +1.00 % after costs")
    assert "holding leaves +3.00 %" in said[0] and "leaves +2.00 %" in said[1]
    assert "adds +0.200 % of wealth a year (+0.100 to +0.300)" in said[-1] and "nothing" not in said[-1]
    dear = made | {"strategies": {name: {**strategy, "annual_costs_pct": 4.1} for name in NAMES}}
    assert "more than the 4.0 % that sizing is worth at most: after costs it adds nothing here" in verdicts(dear)[-1]
    unsure = made | {"utility_over_ewma": {"gain": 0.002, "interval": [-0.001, 0.003]}}
    assert "adds nothing significant: +0.200 %" in verdicts(unsure)[-1]
    unknown = made | {"utility_over_ewma": {"gain": None, "interval": None}}
    assert len(verdicts(unknown)) == 2


def test_one_who_knows_the_distribution_buys_what_is_worth_it() -> None:
    task = Task("5m", 1, 3, LEVELS)
    spread = 0.01 * np.array([-2.0, -1, 0, 1, 2])
    flat, rising = np.tile(spread, (3, 1)), spread + np.array([[0.0], [0.03], [0.01]])
    forecasts = Forecasts(np.array(["A", "B"], dtype=object), np.array([0, 0]), np.ones(2), np.stack([flat, rising]), 0)
    found = informed_exits(forecasts, task, {**FREE, "commission_pct": 0.1}, 3)
    assert found == {("A", 0): 0, ("B", 0): 2}
    # a wide forecast has a mean above its median, and no direction
    wide = Forecasts(np.array(["A"], dtype=object), np.array([0]), np.ones(1), np.stack([20 * flat]), 0)
    assert informed_exits(wide, task, dict(FREE), 3) == {("A", 0): 0}
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
