"""The package trading: money, decision, seal, settlement, and the rules built on them."""

import hashlib
import json
import re
from collections.abc import Callable, Hashable, Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from audit import audit
from common.errors import UserError
from common.files import read_csv, read_document, read_json, read_parquet, sha256, write_json, write_parquet
from consensus import consensus
from forecasting.documents import CoverageTests, Evaluation
from forecasting.quantiles import quantile_columns
from summary import ensembles, interval_test, summary
from support.decisions import FREE, HARSH, TIMES, decided_on, equally, path_to, scored, sealed_trade
from support.evaluations import LEVELS, evaluation
from support.exchanges import live_settings, serve_walks
from support.worlds import AS_OF, SELECTED, SETTINGS, World, write_candles
from trading.costs import Costs
from trading.decision import steps_ahead
from trading.documents import Action, Audit, Decided, Trade, plan_of
from trading.gates import freshness_gate
from trading.seal import seal, verify
from trading.settlement import closes_from, describe_result, settle
from trading.trade_settlement import plan_results

MINUTE = 60_000


# --- money ---


def test_a_round_trip_by_hand() -> None:
    # 10 units at 100 · 1.01 = 101: 1010, commission 10.10 + 2 → 1022.10 in cash
    # sold at 110 · 0.99 = 108.90: 1089, commission 10.89 + 2 → 1076.11 back
    trip = HARSH.round_trip(cash=1022.10, entry_close=100, sell_close=110)
    assert asdict(trip) == pytest.approx(
        {
            "units": 10,
            "entry_fill": 101,
            "sell_fill": 108.90,
            "commission": 24.99,
            "funding": 0,
            "pnl": 54.01,
            "return_pct": 100 * 54.01 / 1022.10,
        },
        rel=1e-12,
    )


def test_without_costs_the_return_is_the_price_change() -> None:
    trip = Costs(0, 0, 0).round_trip(cash=500, entry_close=80, sell_close=84)
    assert (trip.units, trip.commission, trip.pnl, trip.return_pct) == (6.25, 0, 25, 5)


def test_a_sale_at_breakeven_gives_the_cash_back() -> None:
    # proceeds 10 · 0.99 · 0.99 · p − 2 = 1022.10 → p = 1024.10 / 9.801
    close = HARSH.breakeven_close(cash=1022.10, entry_close=100)
    assert close == pytest.approx(1024.10 / 9.801, rel=1e-12)
    assert HARSH.round_trip(1022.10, 100, close).pnl == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("dearer", [{"commission_pct": 1.1}, {"commission_flat": 2.1}, {"slippage_pct": 1.1}])
def test_higher_costs_leave_less(dearer: dict[str, float]) -> None:
    more = Costs(**(asdict(HARSH) | dearer))
    assert more.round_trip(1000, 100, 110).pnl < HARSH.round_trip(1000, 100, 110).pnl
    assert more.breakeven_close(1000, 100) > HARSH.breakeven_close(1000, 100)


def test_a_higher_sale_leaves_more() -> None:
    returns = [HARSH.round_trip(1000, 100, close).return_pct for close in np.linspace(1, 200, 50)]
    assert (np.diff(returns) > 0).all()


@pytest.mark.parametrize("cash", [0, 2])
def test_cash_that_the_flat_commission_eats_is_refused(cash: float) -> None:
    with pytest.raises(UserError, match=r"consensus\.cash"):
        HARSH.units(cash, 100)


# --- decision ---


def test_buy_sells_at_the_best_step_of_the_average() -> None:
    paths = {"tft": path_to(101, 104.04, 103), "random_walk": path_to(100, 100, 100)}
    decided = equally(paths, scored(), FREE)
    decision = decided["decision"]
    assert decision["action"] == "BUY"
    assert decision["target_time"] == TIMES[1]
    assert decision["target_price"] == pytest.approx(102)  # √(100 · 104.04): the mean of log returns
    assert decision["expected_return_pct"] == pytest.approx(2)
    assert decision["expected_pnl_usd"] == pytest.approx(20)
    assert decided["votes"]["tft"] == pytest.approx(
        {
            "action": "BUY",
            "target_time": TIMES[1],
            "target_price": 104.04,
            "expected_return_pct": 4.04,
            "exposure": None,
            "weight": 0.5,
            "pinball": evaluation()["members"]["tft"]["pinball"],
        }
    )
    assert decided["votes"]["random_walk"]["action"] == "HOLD"
    assert "+2.000 %" in decision["reason"] and "+2.00 %" in decision["reason"]


def test_hold_without_skill_even_when_the_edge_is_large() -> None:
    paths = {"tft": path_to(110, 110, 110), "random_walk": path_to(100, 100, 100)}
    decided = equally(paths, scored(skill=-0.01), FREE)
    assert decided["decision"]["action"] == "HOLD"
    assert decided["decision"]["reason"] == (
        "The TFT does not beat the best baseline (random_walk): its skill is -1.00 %, not significant (p = 0.01)."
    )
    required = [(gate["name"], gate["passed"]) for gate in decided["gates"] if gate["required"]]
    assert required == [("skill", False), ("edge", True), ("probability", True)]
    assert decided["breakeven"]["failed_gates"] == ["skill"]


def test_no_skill_is_a_hold() -> None:
    paths = {"tft": path_to(110, 110, 110), "random_walk": path_to(100, 100, 100)}
    assert equally(paths, scored(skill=0), FREE)["decision"]["action"] == "HOLD"


def test_unknown_skill_is_a_hold() -> None:
    """As the evaluation writes it where the models were skipped in a fold."""
    skipped = evaluation(width=None)
    assert skipped["evaluated_model"] is None and skipped["skill_vs_best_baseline"] is None
    decided = equally({"tft": path_to(110, 110, 110)}, skipped, FREE)
    assert decided["decision"]["action"] == "HOLD"
    assert decided["decision"]["reason"] == "No model has forecasts in every fold, so its skill is unknown."
    assert decided["votes"]["tft"]["pinball"] == skipped["members"]["tft"]["pinball"]


def test_skill_must_be_significant() -> None:
    paths = {"tft": path_to(110, 110, 110), "random_walk": path_to(100, 100, 100)}
    told = {
        True: "the TFT beats the best baseline (random_walk): its skill is +0.42 %, significant (p = 0.01)",
        False: "the TFT may or may not beat the best baseline (random_walk): "
        "its skill is +0.42 %, not significant (p = 0.3)",
    }
    for significant, detail in told.items():
        decided = equally(paths, scored(0.0042, significant), FREE)
        gate = decided["gates"][0]
        assert (gate["name"], gate["passed"], gate["detail"]) == ("skill", significant, detail)
        assert (gate["figure"], gate["threshold"]) == (0.01 if significant else 0.3, 0.05)
        assert decided["decision"]["action"] == ("BUY" if significant else "HOLD")


def test_a_gate_blocks_only_where_it_is_required() -> None:
    paths = {"tft": path_to(110, 110, 110), "random_walk": path_to(100, 100, 100)}
    decided = equally(paths, scored(skill=-0.01), {**FREE, "require": []})
    assert decided["decision"]["action"] == "BUY"
    gates = {gate["name"]: gate for gate in decided["gates"]}
    assert list(gates) == ["skill", "calibration", "agreement", "edge", "probability"]
    assert not gates["skill"]["passed"] and [name for name in gates if gates[name]["required"]] == [
        "edge",
        "probability",
    ]
    assert "skill" not in decided["decision"]["reason"]


def test_hold_below_the_edge_and_buy_at_it() -> None:
    quantiles = path_to(101, 101, 101)
    below, at = (decided_on(quantiles, min_edge_pct=edge)[0] for edge in (1.001, 1))
    assert (below["decision"]["action"], at["decision"]["action"]) == ("HOLD", "BUY")
    assert below["decision"]["reason"] == (
        "The ensemble's expected return after costs is +1.000 % by its best plan, less than min_edge_pct (1.001 %)."
    )
    # the earliest of equals
    assert at["decision"]["target_time"] == TIMES[0]


def test_the_reason_names_the_first_required_gate_that_failed() -> None:
    decided = equally({"random_walk": path_to(100, 100, 100)}, scored(skill=-0.01), FREE)
    assert decided["breakeven"]["failed_gates"] == ["skill", "edge"]
    assert "skill" in decided["decision"]["reason"] and "min_edge_pct" not in decided["decision"]["reason"]


def test_costs_can_turn_a_buy_into_a_hold() -> None:
    paths = {"tft": path_to(101, 101, 101), "random_walk": path_to(101, 101, 101)}
    cheap = equally(paths, scored(), FREE)
    dear = equally(paths, scored(), {**FREE, "commission_pct": 0.4})
    assert (cheap["decision"]["action"], dear["decision"]["action"]) == ("BUY", "HOLD")


def test_steps_ahead() -> None:
    assert steps_ahead(60, horizon=12, bar_ms=5 * MINUTE) == 12
    assert steps_ahead(5, horizon=12, bar_ms=5 * MINUTE) == 1
    for minutes in (0, 7, 65):
        with pytest.raises(UserError, match=f"consensus.horizon_minutes: {minutes} .* multiple of 5 from 5 to 60"):
            steps_ahead(minutes, horizon=12, bar_ms=5 * MINUTE)


def test_the_reason_of_a_buy_names_all_gates() -> None:
    paths = {"tft": path_to(110, 110, 110), "random_walk": path_to(110, 110, 110)}
    decided = equally(paths, scored(), FREE)
    assert decided["decision"]["reason"].startswith("The TFT beats the best baseline (random_walk): ")
    assert "; the ensemble's expected return after costs is +10.000 %" in decided["decision"]["reason"]


def test_a_decision_older_than_a_bar_is_no_buy() -> None:
    def at_age(age: float) -> Decided:
        return decided_on(path_to(110, 110, 110), gates=[freshness_gate(age, 5 * MINUTE)])[0]

    assert [at_age(age)["decision"]["action"] for age in (0, 300, 300.1)] == ["BUY", "BUY", "HOLD"]
    required = [gate["name"] for gate in at_age(0)["gates"] if gate["required"]]
    assert required == ["freshness", "skill", "edge", "probability"]
    late = (
        "The decision is sealed 330 s after its last close, more than one bar (300 s); decide again .*: make refresh."
    )
    assert re.fullmatch(late.replace("(", r"\(").replace(")", r"\)"), at_age(330)["decision"]["reason"])


def test_a_seal_holds_and_breaks() -> None:
    document = {"b": [1.5, None, "ü"], "a": {"x": True}}
    sealed = document | {"seal": seal(document)}
    canonical = b'{"a":{"x":true},"b":[1.5,null,"\\u00fc"]}'
    assert sealed["seal"] == hashlib.sha256(canonical).hexdigest()
    verify(json.loads(json.dumps(sealed, indent=2)), "trade")
    forgeries: list[Any] = [sealed | {"b": [1.6, None, "ü"]}, sealed | {"c": 1}, document]
    for forged in forgeries:
        with pytest.raises(UserError, match="trade: the decision was changed"):
            verify(forged, "trade")


# --- settlement ---


def test_a_buy_of_which_all_closes_are_realised() -> None:
    trade, path, plans = sealed_trade("BUY")
    settled = settle(trade, path, plans, np.array([90.0, 110, 117]))
    returns = [HARSH.round_trip(1022.10, 100, close).return_pct for close in (90, 110, 117)]
    results = [
        {"exit_time": time, "take_profit_price": None, "stop_price": None, "sell_time": time, "return_pct": left}
        for time, left in zip(TIMES, returns, strict=True)
    ]
    assert settled["plans"] == results
    assert settled["changed"] == []
    assert {name: value for name, value in settled.items() if name not in ("plans", "changed")} == pytest.approx(
        {
            "status": "complete",
            "evaluated_at": TIMES[2],
            "symbol": "BTCUSDT",
            "interval": "5m",
            "policy": "trade",
            "action": "BUY",
            "entry_time": "2024-06-01T00:00:00Z",
            "entry_fill": 101,
            "sell_time": TIMES[1],
            "sell_fill": 108.90,
            "units_bought": 10,
            "commission_total_usd": 24.99,
            "realized_pnl_usd": 54.01,
            "realized_return_pct": 100 * 54.01 / 1022.10,
            "was_partial_window": False,
            "horizon_return_pct": pytest.approx(17),
            "forecast_error_pct": 10,  # 121 forecast, 110 realised
            "inside_90": 1 / 3,  # 90 < 95, 110 < 111, 90 ≤ 117 ≤ 118
            "missed": None,
            "exposure": None,
            "simulated": False,
            "seal": trade["seal"],
        }
    )
    assert describe_result(settled) == "It earned 54.01 USD (+5.284 %) after costs."


def test_a_buy_without_the_target_is_sold_before_it() -> None:
    settled = settle(*sealed_trade("BUY"), np.array([110.0, np.nan, 150]))
    assert (settled["status"], settled["was_partial_window"]) == ("partial", True)
    assert (settled["sell_time"], settled["realized_pnl_usd"]) == (TIMES[0], pytest.approx(54.01))
    assert settled["evaluated_at"] == TIMES[2]
    assert f"the last one before it, of {TIMES[0]}, is used instead" in describe_result(settled)


@pytest.mark.parametrize("closes", [[np.nan] * 3, [np.nan, np.nan, 150]])
def test_a_buy_is_pending_until_a_close_is_available(closes: list[float]) -> None:
    settled = settle(*sealed_trade("BUY"), np.array(closes))
    assert (settled["status"], settled["was_partial_window"]) == ("pending", True)
    assert (settled["entry_fill"], settled["units_bought"]) == (101, pytest.approx(10))
    for name in ("sell_time", "sell_fill", "commission_total_usd", "realized_pnl_usd", "realized_return_pct"):
        assert dict(settled)[name] is None
    assert settled["forecast_error_pct"] is None
    assert "nothing is settled" in describe_result(settled)


def test_no_close_is_available() -> None:
    actions: tuple[Action, ...] = ("BUY", "HOLD")
    for action in actions:
        settled = settle(*sealed_trade(action), np.full(3, np.nan))
        assert settled["evaluated_at"] == settled["entry_time"]
        assert (settled["inside_90"], settled["missed"]) == (None, None)
        json.dumps(settled, allow_nan=False)


def test_a_hold_realises_nothing_and_says_what_it_missed() -> None:
    settled = settle(*sealed_trade("HOLD"), np.array([90.0, 110, 117]))
    assert (settled["realized_pnl_usd"], settled["realized_return_pct"], settled["units_bought"]) == (0, 0, 0)
    assert (settled["entry_fill"], settled["sell_time"], settled["sell_fill"]) == (None, None, None)
    assert settled["missed"] == pytest.approx(
        {
            "sell_time": TIMES[1],
            "sell_fill": 108.90,
            "pnl_usd": 54.01,
            "return_pct": 100 * 54.01 / 1022.10,
            "hold_was_right": False,
        }
    )
    assert (
        describe_result(settled)
        == "Holding missed out: the best plan would have earned 54.01 USD (+5.284 %) after costs. "
        "The price changed by +17.000 % up to 2024-06-01T00:15:00Z; 2 of 3 plans would have earned something, "
        "the luckiest +11.997 %."
    )


def test_a_hold_that_was_right() -> None:
    settled = settle(*sealed_trade("HOLD"), np.array([90.0, 90, 90]))
    assert settled["missed"] and settled["missed"]["hold_was_right"] is True
    # 10 · 90 · 0.99 · 0.99 − 2 = 880.09 back of 1022.10
    assert settled["missed"]["pnl_usd"] == pytest.approx(-142.01)
    assert describe_result(settled).startswith("Holding was right: the best plan would have lost 142.01 USD")


@pytest.mark.parametrize(
    ("levels", "closes", "time", "price", "status"),
    [
        ({"take_profit_price": 108.0}, [90, 110, 117], TIMES[1], 108, "complete"),
        ({"take_profit_price": 108.0}, [109, 110, 117], TIMES[0], 108, "complete"),
        ({"stop_price": 95.0}, [90, 110, 117], TIMES[0], 90, "complete"),
        # what is touched later than a missing close is as planned; a missing exit is not
        ({"stop_price": 95.0}, [np.nan, 80, 117], TIMES[1], 80, "complete"),
        ({"stop_price": 95.0, "take_profit_price": 120.0}, [101, np.nan, 80], TIMES[0], 101, "partial"),
        ({"stop_price": 95.0}, [np.nan, np.nan, 80], None, None, "pending"),
    ],
)
def test_a_plan_with_levels_is_settled_by_the_rule_that_it_was_simulated_by(
    levels: dict[str, float], closes: list[float], time: str | None, price: float | None, status: str
) -> None:
    settled = settle(*sealed_trade("BUY", **levels), np.array(closes, dtype=float))
    assert (settled["status"], settled["sell_time"]) == (status, time)
    earned = HARSH.round_trip(1022.10, 100, price) if price else None
    assert settled["realized_pnl_usd"] == (earned.pnl if earned else None)


def test_a_sized_take_profit_is_settled_as_maker_with_funding() -> None:
    """Half of the cash, at 0.4 % a day over two bars of 5 minutes."""
    trade, path, plans = sealed_trade("BUY", take_profit_price=108.0)
    trade["config"] |= {"maker_commission_pct": 0.0, "funding_pct": 0.4}
    trade["decision"]["spent_usd"] = 511.05
    settled = settle(trade, path, plans, np.array([90.0, 110, 117]))
    costs = Costs(1, 2, 1, maker_commission_pct=0, funding_pct=0.4, bar_days=1 / 288)
    earned = costs.round_trip(511.05, 100, 108, 2, maker=True)
    assert (settled["realized_pnl_usd"], settled["units_bought"]) == (earned.pnl, earned.units)
    assert earned.units * 1.01 * 100 * 1.01 + 2 == pytest.approx(511.05)
    # sold at 108 · 0.99, no commission but 2, and 0.004 · 2 / 288 of it as funding
    sale = earned.units * 108 * 0.99
    assert settled["realized_pnl_usd"] == pytest.approx(sale * (1 - 0.004 * 2 / 288) - 2 - 511.05)
    # what the plans would have left is of all the cash
    later = costs.round_trip(1022.10, 100, 117, 3).return_pct
    assert settled["plans"][-1]["return_pct"] == later


def walked(row: Mapping[Hashable, Any], closes: np.ndarray) -> tuple[int, float]:
    """The step and price at which a plan sells, by a walk from close to close."""
    for step, close in enumerate(closes[: row["exit_step"]].tolist(), start=1):
        if close <= row["stop_price"]:
            return step, close
        if close >= row["take_profit_price"]:
            return step, row["take_profit_price"]
    return row["exit_step"], float(closes[row["exit_step"] - 1])


def test_every_plan_of_the_grid_is_settled() -> None:
    random = np.random.default_rng(5)
    _, plans = decided_on(path_to(101, 102, 103), **asdict(HARSH))
    for _ in range(20):
        closes = 100 * np.exp(random.normal(0, 0.02, 3).cumsum())
        results = plan_results(plans, TIMES, closes, 100.0, HARSH, 1000)
        assert len(results) == len(plans) == 27
        for row, result in zip(plans.to_dict("records"), results, strict=True):
            step, price = walked(row, closes)
            assert result["sell_time"] == TIMES[step - 1]
            assert result["return_pct"] == pytest.approx(HARSH.round_trip(1000, 100, price).return_pct)


def test_closes_are_found_by_their_time() -> None:
    bars = pd.DataFrame({"timestamp": [0, 2, 3], "close": [1.0, 3, 4]})
    np.testing.assert_array_equal(closes_from(bars, 1, 1, 4), [np.nan, 3, 4, np.nan])


# --- the rules ---


@pytest.mark.parametrize(("late", "fresh"), [(40_000, True), (301_000, False)])
def test_the_age_is_by_the_exchange_s_clock(tmp_path: Path, late: int, fresh: bool) -> None:
    with serve_walks() as server:
        world = World(tmp_path, latest=True, exchange=live_settings(server))
        server.tape.now = AS_OF + late
        trade, _ = run(world)
    assert trade["age_seconds"] == late / 1000
    assert trade["gates"][0]["passed"] is fresh
    assert trade["decision"]["reason"].startswith("The decision is sealed 301 s") is not fresh


def test_a_decision_on_the_past_has_no_age(tmp_path: Path) -> None:
    trade, _ = run(World(tmp_path))
    assert trade["age_seconds"] is None and "freshness" not in [gate["name"] for gate in trade["gates"]]


def run(world: World, **settings: Any) -> tuple[Trade, Audit]:
    consensus(**world.consensus_inputs(**settings))
    audit(**world.audit_inputs())
    return read_document(world.trade, Trade), read_document(world.audit, Audit)


def test_consensus_and_audit_of_a_buy(tmp_path: Path) -> None:
    world = World(tmp_path)
    trade, audited = run(world)
    verify(trade, "trade")
    assert trade["decision"]["action"] == "BUY"
    assert trade["config"] == SETTINGS | {"symbol": "BTCUSDT", "interval": "5m", "horizon": 12}
    assert trade["simulated"] is True and audited["simulated"] is True
    assert (trade["forecast"]["t0_iso"], trade["forecast"]["horizon_m"]) == ("2024-06-01T00:00:00Z", 60)
    assert (trade["forecast"]["times"][0], trade["forecast"]["times"][-1]) == (TIMES[0], "2024-06-01T01:00:00Z")
    assert trade["forecast"]["model_name"] == "ewma+ewma_drift+random_walk+tft"
    assert trade["votes"]["seasonal_naive"]["weight"] == 0

    entry = float(read_parquet(world.candles("BTCUSDT"))["close"].iloc[-1])
    target = entry * np.exp((0.012 + 0.004) / 4)  # the median of four members, two of which expect no change
    assert trade["decision"]["entry_price"] == entry
    assert trade["decision"]["target_price"] == pytest.approx(target, rel=1e-12)
    path = read_csv(tmp_path / "forecast_path.csv")
    assert list(path) == ["time", "price_fc", "q0.05", "q0.25", "q0.5", "q0.75", "q0.95"]
    expected = entry * np.exp(0.004 * np.arange(1, 13) / 12)
    assert trade["forecast"]["price_forecast"] == pytest.approx(expected.tolist(), rel=1e-9)
    assert path["price_fc"].to_numpy() == pytest.approx(trade["forecast"]["price_forecast"], rel=1e-9)

    close = float(read_parquet(world.outcome("BTCUSDT"))["close"].iloc[-1])
    earned = Costs(0.1, 0, 0.02).round_trip(1000, entry, close)
    assert audited["realized_pnl_usd"] == earned.pnl
    assert (audited["sell_time"], audited["status"]) == ("2024-06-01T01:00:00Z", "complete")
    assert audited["seal"] == trade["seal"]


def test_a_shorter_trade_uses_its_own_steps_alone(tmp_path: Path) -> None:
    trade, audited = run(World(tmp_path), horizon_minutes=20)
    assert len(trade["forecast"]["times"]) == len(read_csv(tmp_path / "forecast_path.csv")) == 4
    assert trade["decision"]["target_time"] <= "2024-06-01T00:20:00Z"
    assert audited["evaluated_at"] == "2024-06-01T00:20:00Z"


@pytest.mark.parametrize(("realised", "status"), [(0, "pending"), (7, "partial"), (12, "complete")])
@pytest.mark.parametrize("drift", [{"tft": 0.02}, {}])
def test_audit_of_windows_that_end_early(tmp_path: Path, realised: int, status: str, drift: dict[str, float]) -> None:
    _, audited = run(World(tmp_path, realised=realised, drift=drift), horizon_minutes=60)
    assert (audited["status"], audited["was_partial_window"]) == (status, status != "complete")
    assert audited["evaluated_at"] == f"2024-06-01T0{realised // 12}:{5 * realised % 60:02}:00Z"


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    names = ["mock_trade.json", "forecast_path.csv", "mock_eval.json"]
    for folder in ("one", "two"):
        run(World(tmp_path / folder))
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_later_candles_change_no_decision(tmp_path: Path) -> None:
    world = World(tmp_path)
    before, _ = run(world)
    write_candles(world.outcome("BTCUSDT"), AS_OF + world.bar_ms * np.arange(12), np.full(12, 1.0))
    after, audited = run(world)
    assert after == before
    assert (audited["realized_return_pct"] or 0) < -99


def test_a_changed_decision_is_not_audited(tmp_path: Path) -> None:
    world = World(tmp_path)
    trade, _ = run(world)
    earlier = (tmp_path / "mock_eval.json").read_bytes()
    trade["decision"]["entry_price"] *= 0.9
    write_json(tmp_path / "mock_trade.json", trade)
    with pytest.raises(UserError, match=r"mock_trade.json: the decision was changed after it was sealed"):
        audit(**world.audit_inputs())
    assert (tmp_path / "mock_eval.json").read_bytes() == earlier


def test_every_symbol_has_its_decision_and_the_run_s_is_one_of_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    trade, _ = run(world)
    table = read_csv(tmp_path / "decisions.csv")
    assert sorted(table["symbol"]) == ["BTCUSDT", "ETHUSDT"] and table["rank"].tolist() == [1, 2]
    for row in table.to_dict("records"):
        one = read_document(world.decision(row["symbol"]), Trade)
        verify(one, row["symbol"])
        assert one["candidates"] == {"symbols": 2, "rank": row["rank"], "plans": 108}
        assert (one["decision"]["action"], one["decision"]["reason"]) == (row["action"], row["reason"])
        assert plan_of(one)["expected_return_pct"] == pytest.approx(row["expected_return_pct"], rel=1e-9)
        beside = {"plans": one["plans_sha256"], "path": one["forecast"]["path_sha256"]}
        for name, digest in beside.items():
            assert sha256(tmp_path / "decisions" / f"{row['symbol']}-{name}.csv") == digest
    assert world.trade.read_bytes() == world.decision("BTCUSDT").read_bytes()
    assert trade["config"]["symbol"] == "BTCUSDT"


def test_the_best_symbol_is_the_one_of_the_largest_expected_growth(tmp_path: Path) -> None:
    """ETH is forecast to rise, and BTC, which comes first by name, is not."""
    world = World(tmp_path, drift={})
    for file, columns in ((world.forecast("ensemble"), quantile_columns(LEVELS)), (world.paths, ["log_return"])):
        table = read_parquet(file)
        rise = 0.01 * (table["symbol"] == "ETHUSDT").to_numpy()
        for name in columns:
            table[name] = (table[name].to_numpy() + rise).astype(table[name].dtype)
        write_parquet(file, table)
    inputs = world.consensus_inputs() | {"symbol": "best"}
    consensus(**inputs)
    trade = read_document(world.trade, Trade)
    assert (trade["config"]["symbol"], trade["decision"]["action"]) == ("ETHUSDT", "BUY")
    assert trade["candidates"]["rank"] == 1
    assert read_document(world.decision("BTCUSDT"), Trade)["decision"]["action"] == "HOLD"
    audit(**world.audit_inputs())
    assert read_document(world.audit, Audit)["symbol"] == "ETHUSDT"
    summary(**world.summary_inputs())
    assert "BUY ETHUSDT at 2024-06-01T00:00:00Z, rank 1 of 2 symbols" in (tmp_path / "summary.txt").read_text()


def test_changed_plans_are_not_audited(tmp_path: Path) -> None:
    world = World(tmp_path)
    run(world)
    file = world.plans("BTCUSDT")
    file.write_text(file.read_text().replace("True", "False", 1))
    with pytest.raises(UserError, match=r"BTCUSDT-plans.csv: the decision was changed after it was sealed"):
        audit(**world.audit_inputs())


def test_sample_paths_of_another_moment_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    table = read_parquet(world.paths)
    foreign, broken = table.assign(origin=0), table.assign(log_return=np.float32(np.nan))
    messages = {"does not hold sample paths": [foreign, broken]}
    messages["holds no sample paths of BTCUSDT over 12 steps"] = [
        table[table["symbol"] == "ETHUSDT"],
        table[table["step"] < 12],
    ]
    for message, damaged in messages.items():
        for one in damaged:
            write_parquet(world.paths, one)
            with pytest.raises(UserError, match=rf"paths.parquet: {message}.*; delete it and run again to rebuild it"):
                consensus(**world.consensus_inputs())


def test_the_audit_of_a_symbol_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    world = World(tmp_path)
    run(world)
    inputs = world.audit_inputs() | {"candles": [str(world.outcome("ETHUSDT"))]}
    with pytest.raises(UserError, match=r"none of .*ETHUSDT.parquet is of BTCUSDT; run again") as caught:
        audit(**inputs)
    assert "\n" not in str(caught.value)


def test_a_changed_forecast_is_not_audited(tmp_path: Path) -> None:
    world = World(tmp_path)
    run(world)
    file = tmp_path / "forecast_path.csv"
    file.write_text(file.read_text().replace("2024", "2025", 1))
    with pytest.raises(UserError, match=r"forecast_path.csv: the decision was changed after it was sealed"):
        audit(**world.audit_inputs())


def test_a_decision_is_tied_to_its_forecasts(tmp_path: Path) -> None:
    world = World(tmp_path)
    before, _ = run(world)
    table = read_parquet(world.forecast("seasonal_naive"))
    table["q0.95"] += 0.001  # weight 0, but it has a vote
    write_parquet(world.forecast("seasonal_naive"), table)
    after, _ = run(world)
    assert after["decision"] == before["decision"]
    assert after["seal"] != before["seal"]


def test_a_skipped_member_has_no_vote(tmp_path: Path) -> None:
    world = World(tmp_path)
    before, _ = run(world)
    write_parquet(world.forecast("garch_fhs"), read_parquet(world.forecast("garch_fhs")).iloc[:0])
    after, _ = run(world)
    assert set(before["votes"]) - set(after["votes"]) == {"garch_fhs"}
    assert (after["decision"], after["forecast"]) == (before["decision"], before["forecast"])


def test_candles_of_another_moment_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    write_candles(world.candles("BTCUSDT"), AS_OF + world.bar_ms * np.arange(-9, -1), np.full(8, 100.0))
    with pytest.raises(UserError, match=r"BTCUSDT.parquet: its last bar opens at 2024-05-31T23:50:00Z, not at .*23:55"):
        consensus(**world.consensus_inputs())


def test_forecasts_of_another_moment_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    table = read_parquet(world.forecast("tft"))
    table["origin"] -= world.bar_ms
    write_parquet(world.forecast("tft"), table)
    with pytest.raises(UserError, match=r"tft.parquet: holds no forecast of BTCUSDT from 2024-05-31T23:55:00Z"):
        consensus(**world.consensus_inputs())


def test_a_refused_consensus_leaves_the_earlier_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    run(world)
    earlier = {name: (tmp_path / name).read_bytes() for name in ("mock_trade.json", "forecast_path.csv")}
    for wrong in ({"horizon_minutes": 7}, {"commission_flat": 1000}):
        with pytest.raises(UserError, match=r"consensus\."):
            consensus(**world.consensus_inputs(**wrong))
    assert earlier == {name: (tmp_path / name).read_bytes() for name in earlier}


@pytest.mark.parametrize(
    ("document", "number"),
    [
        ("evaluation", "horizon"),
        ("weights", "settings.window"),
        ("trade", "config.horizon"),
        ("audit", "inside_90"),
        ("path_scores", "count"),
    ],
)
def test_a_document_that_is_damaged_or_foreign_is_one_clear_line(tmp_path: Path, document: str, number: str) -> None:
    world = World(tmp_path)
    run(world)
    readers: dict[str, tuple[Path, Callable[[], None]]] = {
        "evaluation": (world.evaluation, lambda: consensus(**world.consensus_inputs())),
        "weights": (world.weights, lambda: consensus(**world.consensus_inputs())),
        "trade": (world.trade, lambda: audit(**world.audit_inputs())),
        "audit": (world.audit, lambda: summary(**world.summary_inputs())),
        "path_scores": (world.path_scores, lambda: summary(**world.summary_inputs())),
    }
    file, read = readers[document]
    content = read_json(file)
    *parents, leaf = number.split(".")
    as_text = deepcopy(content)
    place = as_text[parents[0]] if parents else as_text
    place[leaf] = str(place[leaf])
    without = {key: value for key, value in content.items() if key != number.split(".")[0]}
    damaged = {
        json.dumps(without): rf"\({number.split('.')[0]}: ",
        json.dumps(as_text): rf"\({number}: ",
        json.dumps([content]): r"\(JSON: ",
        json.dumps(content)[:-9]: "damaged",
    }
    for text, named in damaged.items():
        file.write_text(text)
        before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
        with pytest.raises(UserError, match=rf"^{file}: .*{named}.*; delete it and run again to rebuild it$") as caught:
            read()
        assert "\n" not in str(caught.value)
        assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def test_the_summary_has_a_verdict_on_the_tft_where_another_is_evaluated(tmp_path: Path) -> None:
    world = World(tmp_path)
    run(world)
    summary(**world.summary_inputs())
    lines = (tmp_path / "summary.txt").read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("verdict "))
    verdicts = [line[len("evaluation  ") :] for line in lines[place : place + 3]]
    made = read_document(world.evaluation, Evaluation)
    assert verdicts[:2] == [made["verdict"], made["verdict_tft"]]
    assert "two standard errors" in verdicts[2] and "Holm" in verdicts[2]
    assert verdicts[0].startswith("The ensemble beats") and verdicts[1].startswith("The TFT beats")


@pytest.mark.parametrize("simulated", [True, False])
@pytest.mark.parametrize("width", [1.0, None])
def test_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str], simulated: bool, width: float | None) -> None:
    world = World(tmp_path, simulated=simulated, width=width)
    run(world)
    summary(**world.summary_inputs())
    text = tmp_path / "summary.txt"
    lines = text.read_text().splitlines()
    assert capsys.readouterr().out == text.read_text()
    assert 30 <= len(lines) <= 50 and max(map(len, lines)) <= 120
    assert ("SIMULATED" in lines[0]) == simulated
    labels = [label for line in lines if (label := line[:12].strip())]
    # first the forecast, then whether to believe it, then the decision and what came of it
    told = ["market", "forecast", "evaluation", "skill", "verdict", "coverage", "direction", "paths", "utility"]
    told += [*(["oracle"] if simulated else []), "ensemble"]
    assert labels == [*told, "decision", "reason", "plan", "to change", "result", "accuracy", "backtest"]
    assert any(line.startswith("paths       energy score +") for line in lines)
    for symbol in world.symbols:
        last = read_csv(world.prices).query("symbol == @symbol").iloc[-1]
        (row,) = (line for line in lines if line.startswith(f"            {symbol} "))
        assert f"{last['price_q0.5']:.6g}  " in row and row.endswith(f"{100 * last['p_up']:.1f} %")
        for low, high in (("0.25", "0.75"), ("0.05", "0.95")):
            assert f"{last[f'price_q{low}']:.6g} … {last[f'price_q{high}']:.6g}" in row
    assert f"{'BUY' if width else 'HOLD'} BTCUSDT" in text.read_text()
    assert any(re.match(r" +90 % range: \d.* volatility", line) for line in lines)
    assert any(re.match(r" +at the last step, a horizon apart: \d+ of 48, .* \(95 % interval", line) for line in lines)
    assert any(re.match(r"utility +\d\.\d\d % of wealth a year", line) for line in lines)
    assert any(line.endswith("forecasts no direction: its median is no change at every origin.") for line in lines)
    assert ("(132 moments of 2 symbols)" in text.read_text()) == bool(width)
    # a row a member: its name, what it is, its weights by fold and live
    assert any(re.match(r" +ewma +exponentially .* 100\.0 % +90\.0 % +80\.0 % +25\.0 %$", line) for line in lines)


def test_a_long_line_of_the_summary_goes_on_below(tmp_path: Path) -> None:
    world = World(tmp_path)
    run(world)
    trade = read_document(world.trade, Trade)
    reason = "It would " + "cost 12 % " * 30 + "of it."
    trade["decision"]["reason"] = reason
    world.trade.write_text(json.dumps(trade))
    summary(**world.summary_inputs())
    text = (tmp_path / "summary.txt").read_text()
    lines = text[text.index("reason ") : text.index("plan ")].splitlines()
    assert len(lines) > 2 and " ".join(line[12:] for line in lines) == reason
    assert not any(line.endswith("12") for line in lines)


def test_a_test_of_coverage_without_origins_is_told() -> None:
    nothing = {"origins": 0, "miss_rate": 0.0, "kupiec": None, "independence": None, "christoffersen": None}
    assert "no two origins" in interval_test(cast(CoverageTests, nothing))
    assert "9 of 10, 90.0 %" in interval_test(cast(CoverageTests, nothing | {"origins": 10, "miss_rate": 0.1}))


@pytest.mark.parametrize("text", ["", "symbol,close\nETHUSDT,1\n", "a,b\n1,2\n"])
def test_a_table_of_prices_without_the_symbol_is_one_line(tmp_path: Path, text: str) -> None:
    world = World(tmp_path)
    run(world)
    world.prices.write_text(text)
    with pytest.raises(UserError, match=rf"^{world.prices}: .*; delete it and run again to rebuild it$") as caught:
        summary(**world.summary_inputs())
    assert "\n" not in str(caught.value)


def test_an_ensemble_that_differs_from_those_evaluated_is_told(tmp_path: Path) -> None:
    """Of the live ensemble's members, those of weight that had none in any fold."""
    world = World(tmp_path)
    run(world)
    evaluation, trade = read_document(world.evaluation, Evaluation), read_document(world.trade, Trade)
    for fold in evaluation["folds"]:
        fold["weights"] = dict.fromkeys(SELECTED, 1 / len(SELECTED))
    head, *rows = ensembles(evaluation, trade)
    assert head.split() == ["member", "which", "is", *("fold", "0", "fold", "1", "fold", "2"), "live"]
    assert [row.split()[0] for row in rows] == sorted(SELECTED)
    assert all(row.endswith(4 * "  25.0 %") for row in rows)
    evaluation["folds"][0]["weights"] = {SELECTED[0]: 1.0}
    for fold in evaluation["folds"][1:]:
        fold["weights"] = {SELECTED[0]: 0.97, SELECTED[1]: 0.03}
    told = ", ".join(sorted(SELECTED[1:]))
    assert ensembles(evaluation, trade)[-1] == (
        f"the live ensemble differs from those evaluated: {told} had less than 5.0 % in every fold"
    )
