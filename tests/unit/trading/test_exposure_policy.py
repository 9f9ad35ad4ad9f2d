"""The policy `exposure`: which way the weight moves and why, what it costs and earned, and its documents on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from audit import audit
from common.errors import UserError
from common.files import read_csv, read_document
from consensus import consensus
from forecasting.distribution import Distribution
from plot_consensus import plot_consensus
from summary import summary
from support.decisions import ENTRY, LEVELS, TIMES, decided_on, scored
from support.worlds import World
from trading.costs import Costs
from trading.documents import Audit, Decided, Exposure, Trade, exposure_of
from trading.entry import Entry, MemberForecast
from trading.exposure import DAYS_A_YEAR, optimal_half_width
from trading.exposure_policy import POLICY
from trading.gates import freshness_gate
from trading.seal import verify
from trading.settlement import describe_result

FEES: dict[str, Any] = {"policy": "exposure", "require": [], "commission_pct": 0.1, "slippage_pct": 0.02}
# three 5-minute bars
YEARS = 15 / (60 * 24 * DAYS_A_YEAR)


def normal(volatility: float) -> np.ndarray:
    """Quantiles [3, levels] without direction, of a volatility a year at the last step."""
    deviation = volatility * np.sqrt(YEARS * np.array([1, 2, 3]) / 3)
    shape = norm.ppf(LEVELS)
    return deviation[:, None] * shape / Distribution(LEVELS, shape).deviation()


def decided(volatility: float = 0.5, **settings: Any) -> tuple[Decided, Exposure]:
    document, _ = decided_on(normal(volatility), **{**FEES, **settings})
    return document, exposure_of(document)


@pytest.mark.parametrize(
    ("held", "action"), [(0, "BUY"), (0.3, "BUY"), (0.4, "HOLD"), (0.42, "HOLD"), (0.5, "SELL"), (1, "SELL")]
)
def test_the_weight_moves_to_the_edge_of_its_band(held: float, action: str) -> None:
    """0.4 / (2 · 0.5) = 0.4, by the band of a side's cost, 0.12 %."""
    document, exposure = decided(held_weight=held)
    half = float(optimal_half_width(np.array(0.4), 0.0012, 2))
    assert document["decision"]["action"] == action
    assert exposure["target"] == pytest.approx(0.4, abs=1e-6)
    assert exposure["volatility_pct"] == pytest.approx(50, abs=1e-4)
    assert exposure["weight"] == pytest.approx(np.clip(held, 0.4 - half, 0.4 + half), abs=1e-6)
    assert document["plan"] is None
    moved = Costs(0.1, 0, 0.02).rebalance(1000, held, exposure["weight"])
    assert (exposure["traded_usd"], exposure["cost_usd"]) == (pytest.approx(moved.amount), pytest.approx(moved.cost))
    assert document["decision"]["commission_total_usd"] == pytest.approx(moved.commission)


def test_what_is_expected_is_the_prior_s_premium_less_the_move() -> None:
    """A return of 0.4 · 0.5 a year of the weight: the forecast's direction is of no account."""
    document, exposure = decided(held_weight=0.4)
    assert document["decision"]["expected_return_pct"] == pytest.approx(100 * 0.4 * 0.4 * 0.5 * YEARS, rel=1e-3)
    rising = decided_on(normal(0.5) + 0.01, **{**FEES, "held_weight": 0.4})[0]
    assert rising["decision"]["expected_return_pct"] == document["decision"]["expected_return_pct"]
    shortfall = Distribution(LEVELS, normal(0.5)[-1]).lower_mean_exponential(0.05) - 1
    assert exposure["expected_shortfall_pct"] == pytest.approx(40 * shortfall, rel=1e-4)


def test_a_failed_gate_keeps_the_position_from_growing_and_forces_nothing() -> None:
    stale = [freshness_gate(301, 300_000)]
    for held, action, weight in ((0.1, "HOLD", 0.1), (0.9, "SELL", None), (0.4, "HOLD", 0.4)):
        document, _ = decided_on(normal(0.5), gates=stale, **{**FEES, "require": ["freshness"], "held_weight": held})
        free, _ = decided_on(normal(0.5), gates=stale, **{**FEES, "held_weight": held})
        assert document["decision"]["action"] == action
        wanted = weight if weight is not None else exposure_of(free)["weight"]
        assert exposure_of(document)["weight"] == wanted
        assert document["breakeven"]["failed_gates"] == ["freshness"]
        assert document["decision"]["reason"].startswith("The position must not grow") == (held == 0.1)
    # a short position may be closed, and no more
    short = {**FEES, "require": ["freshness"], "held_weight": -0.5, "short": True}
    closed, _ = decided_on(normal(0.5), gates=stale, **short)
    assert (closed["decision"]["action"], exposure_of(closed)["weight"]) == ("BUY", 0)


def test_short_positions_pay_to_borrow_and_get_funding() -> None:
    short = {"short": True, "prior_sharpe": -0.4, "held_weight": -0.4}
    document, exposure = decided(**short)
    assert (document["decision"]["action"], exposure["target"]) == ("HOLD", pytest.approx(-0.4, abs=1e-6))
    fees = {"funding_pct": 0.3, "borrow_pct": 0.1}
    charged, _ = decided(**short, **fees)
    gained = charged["decision"]["expected_pnl_usd"] - document["decision"]["expected_pnl_usd"]
    # 0.2 % a day of 400 over 15 minutes
    assert gained == pytest.approx(400 * 0.002 * 15 / 1440, rel=1e-3)


def test_the_shortfall_limit_is_a_limit() -> None:
    loss = 1 - float(Distribution(LEVELS, normal(0.5)[-1]).lower_mean_exponential(0.05))
    document, exposure = decided(held_weight=1, max_shortfall_pct=100 * 0.25 * loss)
    assert exposure["weight"] == exposure["band_high"] == pytest.approx(0.25, abs=1e-6)
    assert "limited to 0.250" in document["decision"]["reason"]


@pytest.mark.parametrize("held", [0.0, 0.37, 0.45])
def test_the_commission_at_which_the_move_flips(held: float) -> None:
    flip = decided(held_weight=held)[0]["breakeven"]["commission_pct"]
    if flip is None:
        assert held == 0  # from cash it never stops
        return
    for commission, moves in ((flip * 0.999, True), (flip * 1.001, False)):
        assert (decided(held_weight=held, commission_pct=commission)[0]["decision"]["action"] != "HOLD") == moves


def test_the_sheet_is_what_would_be_decided_at_other_commissions() -> None:
    sheet = decided()[0]["breakeven"]["sheet"]
    assert sheet["weight"] is not None and len(sheet["weight"]) == len(sheet["commission_pct"])
    for commission, weight in list(zip(sheet["commission_pct"], sheet["weight"], strict=True))[::4]:
        assert decided(commission_pct=commission)[1]["weight"] == weight
    assert (np.diff(sheet["weight"]) <= 0).all() and sheet["weight"][0] > sheet["weight"][-1]


def test_members_vote_by_their_own_width() -> None:
    members = {"tft": MemberForecast(normal(0.5), 0.75), "ewma": MemberForecast(normal(2.0), 0.25)}
    document, _ = decided_on(normal(0.5), members=members, **{**FEES, "held_weight": 0.25})
    votes = document["votes"]
    assert {name: vote["action"] for name, vote in votes.items()} == {"tft": "BUY", "ewma": "SELL"}
    assert votes["ewma"]["exposure"] == pytest.approx(0.1, abs=0.04)
    (agreement,) = (gate for gate in document["gates"] if gate["name"] == "agreement")
    assert agreement["figure"] == 0.75 and "decide BUY by their own width" in agreement["detail"]


def test_orders_come_in_steps_and_are_no_smaller_than_the_least() -> None:
    market: Any = {"amount_step": 1.0, "least_amount": 1.0, "least_cost": 150.0, "recent_range_pct": 0.0}
    entry = Entry(ENTRY.time, 100.0, TIMES, market)
    for held, units, action in ((0.0, 3, "BUY"), (1.0, -7, "SELL"), (0.3, 0, "HOLD"), (0.45, 0, "HOLD")):
        document, _ = decided_on(normal(0.5), entry=entry, **{**FEES, "band": 0, "held_weight": held})
        exposure = exposure_of(document)
        assert (exposure["traded_usd"], document["decision"]["action"]) == (pytest.approx(100 * units), action)
        assert ("too small for an order" in document["decision"]["reason"]) == (units == 0)
        # bought less, sold more: the target is not exceeded
        assert units == 0 or exposure["weight"] <= exposure["target"] + 1e-3


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"held_weight": 1.2}, "decision.held_weight: 1.2 is no weight that may be held; it must be from 0 to 1"),
        ({"held_weight": -0.2}, "decision.held_weight: -0.2 is no weight"),
        ({"held_weight": float("nan")}, "decision.held_weight: nan is no weight"),
        ({"prior_sharpe": -0.4}, "decision.prior_sharpe: -0.4 is below 0"),
        ({"risk_aversion": 0}, "decision.risk_aversion: 0 is not above 0"),
        ({"commission_flat": 1000}, "consensus.cash: 1000 is not more than consensus.commission_flat"),
        ({"policy": "hedge"}, "decision.policy: unknown policy 'hedge'; it may be one of: trade, exposure"),
        ({"policy": "exposur"}, "decision.policy: unknown policy 'exposur'; did you mean exposure"),
    ],
)
def test_what_makes_no_sense_is_one_line(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named) as caught:
        decided(**settings)
    assert "\n" not in str(caught.value)


# --- the rules ---


def run(world: World, **settings: Any) -> tuple[Trade, Audit]:
    consensus(**world.consensus_inputs(**{**FEES, **settings}))
    audit(**world.audit_inputs())
    return read_document(world.trade, Trade), read_document(world.audit, Audit)


def test_consensus_and_audit_of_a_weight(tmp_path: Path) -> None:
    world = World(tmp_path)
    trade, audited = run(world, held_weight=0.1)
    verify(trade, "trade")
    exposure, held = exposure_of(trade), audited["exposure"]
    assert trade["decision"]["action"] == "BUY" and held is not None
    table = read_csv(world.plans("BTCUSDT"))
    assert list(table["alternative"]) == ["decided", "target", "held", "cash", "full"]
    # by hand: the cost is paid, then the weight follows the price
    entry, close = trade["decision"]["entry_price"], held["mark_price"]
    left = (1000 - exposure["cost_usd"]) * (1 + exposure["weight"] * (close / entry - 1))
    assert audited["realized_pnl_usd"] == held["pnl_usd"] == pytest.approx(left - 1000, rel=1e-6)
    returns = {one["name"]: one["return_pct"] for one in held["alternatives"]}
    assert returns["held"] == pytest.approx(10 * (close / entry - 1), rel=1e-9)
    sold = Costs(0.1, 0, 0.02).rebalance(1000, 0.1, 0.0)
    assert returns["cash"] == pytest.approx(-sold.cost / 10, rel=1e-6)
    assert (audited["status"], audited["plans"], audited["missed"]) == ("complete", [], None)
    assert audited["units_bought"] == pytest.approx(exposure["traded_usd"] / entry)


@pytest.mark.parametrize(("realised", "status"), [(0, "pending"), (7, "partial"), (12, "complete")])
def test_a_weight_is_marked_at_the_last_close(tmp_path: Path, realised: int, status: str) -> None:
    _, audited = run(World(tmp_path, realised=realised))
    assert (audited["status"], audited["was_partial_window"]) == (status, status != "complete")
    assert (audited["exposure"] is None) == (realised == 0)
    assert ("nothing is settled" in describe_result(audited)) == (realised == 0)
    if audited["exposure"]:
        assert audited["exposure"]["marked_at"] == f"2024-06-01T0{realised // 12}:{5 * realised % 60:02}:00Z"


@pytest.mark.parametrize("held", [0.0, 0.9])
def test_the_summary_and_the_figures_of_a_weight(tmp_path: Path, held: float) -> None:
    world = World(tmp_path)
    trade, _ = run(world, held_weight=held)
    summary(**world.summary_inputs())
    text = " ".join((tmp_path / "summary.txt").read_text().split())
    assert f"weight {held:.3f} to {exposure_of(trade)['weight']:.3f}" in text and "others: target" in text
    png, pdf = tmp_path / "one.png", tmp_path / "one.pdf"
    candles, realised = [str(world.candles("BTCUSDT"))], [str(world.outcome("BTCUSDT"))]
    path = str(tmp_path / "forecast_path.csv")
    files = str(world.trade), str(world.audit), path, candles, realised
    costs = tmp_path / "breakeven.png", tmp_path / "breakeven.pdf"
    plot_consensus(str(png), str(pdf), *files, "5m", "%H:%M", 60, *map(str, costs))
    assert all(file.stat().st_size for file in (png, pdf, *costs))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"held_weight": 0.38}, "the weight would move below a commission of 0."),
        ({"held_weight": 0.5}, "the weight stays above a commission of "),
        ({"held_weight": 0.3, "prior_sharpe": 0}, "no commission changes the move"),
        ({"held_weight": 0.1, "require": ["direction"]}, "a larger position needs the gate direction"),
    ],
)
def test_what_would_change_the_weight(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    trade, _ = run(World(tmp_path), **settings)
    needed = POLICY.told(trade)[1]
    assert needed.startswith(told) and (needed == told or settings["held_weight"] in (0.38, 0.5))


def test_the_best_symbol_is_that_of_the_largest_expected_growth(tmp_path: Path) -> None:
    world = World(tmp_path)
    consensus(**(world.consensus_inputs(**FEES) | {"symbol": "best"}))
    growths = read_csv(tmp_path / "decisions.csv")["log_growth_pct"]
    assert growths.is_monotonic_decreasing and len(growths) == 2


def test_scores_are_of_no_account_for_the_weight() -> None:
    """Only by the gates that are required."""
    skilled, none = (decided_on(normal(0.5), scored(skill), **FEES)[0] for skill in (0.02, -0.02))
    assert skilled["exposure"] == none["exposure"]
