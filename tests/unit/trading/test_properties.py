"""Properties of money and of decisions, over many costs, forecasts and weights: the same ones in every run."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from support.decisions import ENTRY, FREE, TIMES, decided_on, sampled, scored
from support.evaluations import LEVELS
from trading.costs import Costs
from trading.decision import decide
from trading.documents import exposure_of
from trading.entry import EnsembleForecast, Entry, MemberForecast
from trading.exposure import ExposureSettings, exposure_target, largest_weight, no_trade_band, rebalanced

many = settings(max_examples=300, derandomize=True, deadline=None, database=None)
few = settings(max_examples=60, derandomize=True, deadline=None, database=None)

CENT = 0.005
DEARER = ("commission_pct", "slippage_pct", "commission_flat", "maker_commission_pct", "funding_pct", "borrow_pct")
SIDES = ("commission_pct", "slippage_pct", "commission_flat")
shares = st.floats(0, 1)
percents = st.floats(0, 5)
prices = st.floats(1e-4, 1e6)
cash = st.floats(20, 1e6)
costs = st.builds(
    Costs,
    commission_pct=percents,
    commission_flat=st.floats(0, 5),
    slippage_pct=percents,
    maker_commission_pct=st.none() | percents,
    funding_pct=st.floats(-2, 2),
    borrow_pct=percents,
    bar_days=st.floats(0.001, 1),
)


@st.composite
def forecasts(draw: st.DrawFn) -> np.ndarray:
    """Quantiles [3, 5] of any direction, width and skew."""
    gaps = draw(st.lists(st.lists(st.floats(1e-5, 0.03), min_size=4, max_size=4), min_size=3, max_size=3))
    medians = draw(st.lists(st.floats(-0.03, 0.03), min_size=3, max_size=3))
    spread = np.concatenate([np.zeros((3, 1)), np.cumsum(gaps, axis=1)], axis=1)
    return spread - spread[:, [2]] + np.array(medians)[:, None]


@st.composite
def investors(draw: st.DrawFn) -> ExposureSettings:
    short = draw(st.booleans())
    return ExposureSettings(
        prior_sharpe=draw(st.floats(-2 if short else 0, 2)),
        risk_aversion=draw(st.floats(0.1, 20)),
        short=short,
        max_shortfall=draw(st.none() | st.floats(0.001, 0.5)),
        band=draw(st.none() | st.floats(0, 0.5)),
    )


def as_config(investor: ExposureSettings) -> dict[str, Any]:
    limit = investor.max_shortfall
    return {
        "policy": "exposure",
        "require": [],
        "prior_sharpe": investor.prior_sharpe,
        "risk_aversion": investor.risk_aversion,
        "short": investor.short,
        "max_shortfall_pct": None if limit is None else 100 * limit,
        "band": investor.band,
    }


def weight_of(quantiles: np.ndarray, **config: Any) -> float:
    return exposure_of(decided_on(quantiles, **config)[0])["weight"]


# --- money ---


@many
@given(costs, cash, prices, st.floats(0.2, 5), st.integers(0, 30), st.booleans())
def test_a_round_trip_conserves_money(
    fees: Costs, amount: float, close: float, ratio: float, bars: int, maker: bool
) -> None:
    """What is paid is the units and their commission; what comes back is the sale less commission and funding."""
    trip = fees.round_trip(amount, close, close * ratio, bars, maker)
    paid, got = trip.units * trip.entry_fill, trip.units * trip.sell_fill
    assert trip.pnl == pytest.approx(got - paid - trip.commission - trip.funding, rel=1e-9, abs=CENT)
    net = fees.net_return(amount, np.array(ratio) * fees.kept(np.array(bars), maker))
    assert amount * net == pytest.approx(trip.pnl, rel=1e-9, abs=CENT)


@many
@given(costs, cash, shares, shares)
def test_a_move_conserves_money(fees: Costs, wealth: float, held: float, weight: float) -> None:
    """Position and cash after the move are the wealth less its cost, and the position is the weight of that."""
    move = fees.rebalance(wealth, held, weight)
    position, left = held * wealth + move.amount, (1 - held) * wealth - move.amount - move.cost
    assert position + left == pytest.approx(wealth - move.cost, rel=1e-9, abs=CENT)
    assert position == pytest.approx(move.weight * (wealth - move.cost), rel=1e-9, abs=CENT)
    assert 0 <= move.commission <= move.cost + 1e-9
    # what is paid or got at the fill
    fill = fees.buy_fill(1.0) if move.amount > 0 else fees.sell_fill(1.0)
    assert move.amount * fill + move.commission == pytest.approx(move.amount + move.cost, rel=1e-9, abs=CENT)


@many
@given(costs, cash, shares, st.sampled_from(DEARER), percents)
def test_more_cost_leaves_less(fees: Costs, wealth: float, weight: float, name: str, more: float) -> None:
    before = getattr(fees, name)
    dearer = replace(fees, **{name: (fees.commission_pct if before is None else before) + more})
    if name == "maker_commission_pct":
        fees = replace(fees, maker_commission_pct=fees.commission_pct if before is None else before)
    for maker in (False, True):
        trips = [one.round_trip(wealth, 1.0, 1.1, 3, maker).pnl for one in (fees, dearer)]
        assert trips[1] <= trips[0] + 1e-9 * wealth
    for side in (1.0, -1.0) if name == "borrow_pct" else (1.0,):
        growths = [float(one.growth(side * weight, np.array(1.1), 3)) for one in (fees, dearer)]
        assert growths[1] <= growths[0] + 1e-12


# --- what is decided ---


@few
@given(forecasts(), st.sampled_from(("commission_pct", "slippage_pct", "commission_flat", "funding_pct")))
def test_more_cost_never_turns_a_hold_into_a_buy(quantiles: np.ndarray, name: str) -> None:
    dearer: list[dict[str, Any]] = [{name: cost, "min_edge_pct": 0.05} for cost in (0, 0.05, 0.2, 1, 3)]
    actions = [decided_on(quantiles, **one)[0]["decision"]["action"] for one in dearer]
    assert "HOLD BUY" not in " ".join(actions)


@few
@given(
    forecasts(),
    investors(),
    shares,
    st.sampled_from(SIDES),
    percents,
    percents,
)
def test_more_cost_never_raises_a_move(
    quantiles: np.ndarray, investor: ExposureSettings, held: float, name: str, cost: float, more: float
) -> None:
    config = as_config(investor)
    moves = [abs(weight_of(quantiles, held_weight=held, **{name: one}, **config) - held) for one in (cost, cost + more)]
    assert moves[1] <= moves[0] + 1e-9


@many
@given(
    st.lists(st.just(0.0) | st.floats(1e-6, 5), min_size=1, max_size=5),
    st.floats(-0.1, 0.9),
    investors(),
    st.floats(-1, 1),
    st.floats(0, 0.2),
)
def test_a_weight_never_leaves_its_limits(
    widths: list[float], loss: float, investor: ExposureSettings, held: float, cost: float
) -> None:
    volatility, shortfall = np.array(widths), np.full(len(widths), loss)
    held = held if investor.short else abs(held)
    target = exposure_target(volatility, shortfall, investor)
    low, high = no_trade_band(target, shortfall, cost, investor)
    limit = largest_weight(shortfall, investor)
    for weight in (target, low, high, rebalanced(np.full(len(widths), held), low, high)):
        assert (np.abs(weight) <= limit).all() and (np.abs(weight) <= 1).all()
        assert investor.short or (weight >= 0).all()
        if investor.max_shortfall is not None:
            assert (np.abs(weight) * loss <= investor.max_shortfall).all()
    assert (low <= target).all() and (target <= high).all()


@few
@given(forecasts(), investors(), shares)
def test_a_decided_weight_never_leaves_its_limits(
    quantiles: np.ndarray, investor: ExposureSettings, held: float
) -> None:
    decided, table = decided_on(quantiles, held_weight=held, commission_pct=0.1, **as_config(investor))
    exposure = exposure_of(decided)
    assert abs(exposure["weight"]) <= exposure["largest"] <= 1
    assert investor.short or exposure["weight"] >= 0
    assert exposure["band_low"] <= exposure["weight"] <= exposure["band_high"]
    moved = exposure["weight"] - held
    assert decided["decision"]["action"] == ("BUY" if moved > 0 else "SELL" if moved < 0 else "HOLD")
    assert table["weight"].iloc[0] == exposure["weight"]


@few
@given(forecasts(), st.sampled_from(("trade", "exposure")), st.floats(-6, 6), shares)
def test_prices_scaled_change_nothing_but_prices(quantiles: np.ndarray, policy: str, power: float, held: float) -> None:
    scale = 10**power
    scaled = Entry(ENTRY.time, ENTRY.close * scale, TIMES)
    one, other = (
        decided_on(quantiles, entry=entry, policy=policy, held_weight=held, commission_pct=0.1, require=[])[0]
        for entry in (ENTRY, scaled)
    )
    assert one["gates"] == other["gates"] and one["exposure"] == other["exposure"]
    before: dict[str, Any] = dict(one["decision"])
    for name, value in before.items():
        found = dict(other["decision"])[name]
        if name in ("entry_price", "target_price"):
            assert found == pytest.approx(value * scale, rel=1e-9)
        else:
            assert found == (pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value)


@few
@given(
    forecasts(),
    st.sampled_from(("trade", "exposure")),
    st.integers(0, 2),
    st.integers(0, 4),
    st.sampled_from((np.nan, np.inf, -np.inf, "crossing")),
)
def test_quantiles_that_are_none_reach_no_decision(
    quantiles: np.ndarray, policy: str, step: int, level: int, damage: Any
) -> None:
    broken = quantiles.copy()
    if damage == "crossing":
        broken[step] = broken[step, ::-1]
    else:
        broken[step, level] = damage
    whole = sampled(quantiles)
    config: Any = {**FREE, "policy": policy}
    members = {"tft": MemberForecast(quantiles, 1.0)}
    with pytest.raises(UserError, match="quantiles cross or are not finite") as caught:
        decide(EnsembleForecast(LEVELS, broken, whole.paths), members, scored(), ENTRY, config, [])
    assert "\n" not in str(caught.value)
