"""Sizes of a BUY, what the exchange admits of an order, and further costs: maker's commission, funding, slippage."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from forecasting.distribution import Distribution
from support.decisions import ENTRY, FREE, LEVELS, TIMES, decided_on, path_to
from trading.costs import Costs, costs_of
from trading.documents import Market, TradeConfig, plan_of
from trading.entry import Entry
from trading.exposure import DAYS_A_YEAR
from trading.orders import RECENT_BARS, market_of, spent_in_steps

FEES: dict[str, Any] = {"commission_pct": 0.1, "slippage_pct": 0.02, "require": []}
RISE = path_to(101, 102, 103)
STEPS: Market = {"amount_step": 0.5, "least_amount": 1.0, "least_cost": 50.0, "recent_range_pct": 0.0}


def at(market: Market, close: float = 100.0) -> Entry:
    return Entry(ENTRY.time, close, TIMES, market)


# --- sizes ---


def test_all_of_the_cash_is_spent_by_default() -> None:
    decision = decided_on(RISE, **FEES)[0]["decision"]
    assert (decision["action"], decision["spent_usd"]) == ("BUY", 1000)


@pytest.mark.parametrize(("sizing", "share"), [("fraction", 0.25), ("kelly", None), ("volatility", None)])
def test_a_size_is_a_share_of_the_cash(sizing: str, share: float | None) -> None:
    settings = {**FEES, "sizing": sizing, "sizing_fraction": 0.25, "kelly_cap": 0.3, "target_volatility_pct": 20}
    whole, sized = decided_on(RISE, **FEES)[0], decided_on(RISE, **settings)[0]
    if sizing == "kelly":
        share = 0.3 * plan_of(sized)["fraction"]
    if sizing == "volatility":
        step, bars_a_year = plan_of(sized)["exit_step"], DAYS_A_YEAR * 288
        share = 0.2 / (float(Distribution(LEVELS, RISE[step - 1]).deviation()) * np.sqrt(bars_a_year / step))
    assert share is not None and 0 < share < 1
    full, part = whole["decision"], sized["decision"]
    assert part["spent_usd"] == pytest.approx(1000 * share, rel=1e-6)
    assert part["expected_pnl_usd"] == pytest.approx(full["expected_pnl_usd"] * share, rel=1e-6)
    assert part["expected_return_pct"] == pytest.approx(full["expected_return_pct"])
    assert sized["plan"] == whole["plan"]


def test_a_calm_forecast_is_no_reason_to_spend_more_than_the_cash() -> None:
    settings = {**FEES, "sizing": "volatility", "target_volatility_pct": 1e6}
    assert decided_on(RISE, **settings)[0]["decision"]["spent_usd"] == 1000


def test_a_size_that_does_not_earn_its_flat_commission_is_a_hold() -> None:
    settings = {**FEES, "sizing": "fraction", "sizing_fraction": 0.1, "commission_flat": 2, "min_edge_pct": 0.05}
    document, _ = decided_on(path_to(100.8, 101, 100.9), **settings)
    assert document["decision"]["action"] == "HOLD"
    assert document["breakeven"]["failed_gates"] == ["order"]
    assert "spends 100.00 of the cash, less than the smallest order" in document["decision"]["reason"]
    # a HOLD tells of all of the cash
    assert document["decision"]["spent_usd"] == 1000
    needed = next(gate["threshold"] for gate in document["gates"] if gate["name"] == "order")
    for factor, action in ((1.001, "BUY"), (0.999, "HOLD")):
        again = decided_on(path_to(100.8, 101, 100.9), **{**settings, "sizing_fraction": factor * needed / 1000})[0]
        assert again["decision"]["action"] == action


# --- orders ---


def test_the_market_is_read_as_ccxt_tells_it() -> None:
    listed = {
        "limits": {"amount": {"min": 1e-5, "max": 9000.0}, "cost": {"min": 5.0}, "price": {}},
        "precision": {"amount": 1e-5, "price": 0.01},
    }
    bars = pd.DataFrame({"high": [9.0] * 40 + [101.0] * 60, "low": [1.0] * 40 + [99.0] * 60, "close": 100.0})
    market = market_of(listed, "binance", bars)
    assert market == {"amount_step": 1e-5, "least_amount": 1e-5, "least_cost": 5.0, "recent_range_pct": 2.0}
    assert len(bars.iloc[-RECENT_BARS:]) == 60
    # of these two exchanges it is a number of digits
    assert market_of(listed, "bitfinex", bars)["amount_step"] is None
    swap = market_of(listed | {"contract": True, "contractSize": 10.0}, "okx", bars)
    assert (swap["amount_step"], swap["least_amount"], swap["least_cost"]) == (1e-4, 1e-4, 5.0)
    assert market_of(listed | {"inverse": True, "contractSize": 100.0}, "okx", bars)["least_amount"] is None
    nothing = {"limits": {"amount": {"min": None}, "cost": None}, "precision": {}}
    for silent in (None, {}, nothing):
        assert market_of(silent, "kraken", bars) == market_of(None, "simulated", bars)


def test_units_come_in_whole_steps() -> None:
    costs = Costs(1, 2, 1)
    spent = spent_in_steps(1000, 100, costs, STEPS)
    assert costs.units(spent, 100) == pytest.approx(9.5)
    assert spent <= 1000 < spent + 0.5 * 102.01 + 1e-9
    # what is a whole number of steps stays so
    assert spent_in_steps(spent, 100, costs, STEPS) == pytest.approx(spent)
    assert spent_in_steps(40, 100, costs, STEPS) == 0
    document, _ = decided_on(RISE, entry=at(STEPS), **FEES)
    assert document["decision"]["action"] == "BUY"
    trip = Costs(0.1, 0, 0.02).round_trip(document["decision"]["spent_usd"], 100, 101)
    assert trip.units == pytest.approx(9.5)


def test_cash_under_the_least_order_is_one_line() -> None:
    for policy in ("trade", "exposure"):
        with pytest.raises(
            UserError, match=r"consensus.cash: 40 is less than the exchange's smallest order, 100"
        ) as one:
            decided_on(RISE, entry=at(STEPS), policy=policy, cash=40)
        assert "\n" not in str(one.value)


def test_a_size_under_the_least_order_is_a_hold() -> None:
    for fraction, action in ((0.09, "HOLD"), (0.12, "BUY")):
        settings = {**FEES, "sizing": "fraction", "sizing_fraction": fraction}
        document, _ = decided_on(RISE, entry=at(STEPS), **settings)
        assert document["decision"]["action"] == action


# --- further costs ---


def test_slippage_by_the_recent_range() -> None:
    config: TradeConfig = {**FREE, "slippage_pct": 0.02, "slippage_range_share": 0.25}
    assert costs_of(config, {**STEPS, "recent_range_pct": 0.4}).slippage_pct == pytest.approx(0.12)
    with pytest.raises(UserError, match="slippage of 100.02 % leaves nothing of a sale"):
        costs_of(config, {**STEPS, "recent_range_pct": 400.0})


def test_funding_is_charged_on_what_the_sale_leaves() -> None:
    """1 % a day over two days of 1000 that are left."""
    costs = Costs(0, 0, 0, funding_pct=1, bar_days=0.5)
    trip = costs.round_trip(1000, 100, 100, steps=4)
    assert (trip.funding, trip.pnl) == (pytest.approx(20), pytest.approx(-20))
    assert costs.breakeven_close(1000, 100, 4) == pytest.approx(100 / 0.98)


def test_a_take_profit_pays_the_maker_s_commission() -> None:
    costs = Costs(1, 0, 0, maker_commission_pct=0)
    taken, sold = costs.round_trip(1010, 100, 110, 1, maker=True), costs.round_trip(1010, 100, 110, 1)
    assert (taken.pnl, sold.pnl) == (pytest.approx(1100 - 1010), pytest.approx(1100 - 11 - 1010))


@pytest.mark.parametrize("costs", [{"funding_pct": 20}, {"slippage_range_share": 1}])
def test_further_costs_lower_what_is_expected(costs: dict[str, Any]) -> None:
    entry = at({**STEPS, "amount_step": None, "recent_range_pct": 0.3})
    before, after = decided_on(RISE, entry=entry, **FEES)[1], decided_on(RISE, entry=entry, **FEES, **costs)[1]
    for name in ("expected_return_pct", "expected_shortfall_pct"):
        assert (after[name] < before[name]).all()
    assert (after["probability_of_profit"] <= before["probability_of_profit"]).all()


def test_a_smaller_maker_s_commission_raises_plans_with_a_take_profit_alone() -> None:
    before, after = (decided_on(RISE, **FEES, maker_commission_pct=rate)[1] for rate in (0.1, 0.0))
    has_profit = before["take_profit"].notna()
    gained = after["expected_return_pct"] - before["expected_return_pct"]
    assert (gained[has_profit] > 0).all() and not gained[~has_profit].any()


def test_the_sheet_flips_where_the_decision_does() -> None:
    document, _ = decided_on(RISE, **FEES)
    breakeven, sheet = document["breakeven"], document["breakeven"]["sheet"]
    assert sheet["qualifies"] is not None and sheet["expected_return_pct"] is not None
    assert set(sheet["qualifies"]) == {True, False}
    for place in (0, 5, 11, 16):
        commission, left = sheet["commission_pct"][place], sheet["expected_return_pct"][place]
        settings = {**FEES, "commission_pct": commission, "stop": [], "take_profit": []}
        decision = decided_on(RISE, **settings)[0]["decision"]
        assert (decision["action"] == "BUY") == sheet["qualifies"][place]
        if sheet["qualifies"][place]:
            assert decision["expected_return_pct"] == pytest.approx(left, abs=1e-6)
    # by so much the expected return exceeds what a BUY needs
    assert breakeven["edge_pct"] == pytest.approx(0.5 - plan_of(document)["expected_return_pct"], abs=1e-5)
