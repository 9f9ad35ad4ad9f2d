"""Each gate's figure, and on which side of its threshold it passes."""

from typing import Any

import numpy as np
import pytest

from forecasting.documents import CoverageTests, Direction
from forecasting.novelty import Novelty
from support.decisions import decided_on, path_to, scored
from support.evaluations import evaluation
from support.worlds import quality_record
from trading.decision import MemberForecast
from trading.gates import (
    DataQuality,
    agreement_gate,
    calibration_gate,
    data_quality_gate,
    direction_gate,
    novelty_gate,
    rising_shares,
    skill_gate,
)


def misses(kupiec: float | None, christoffersen: float | None) -> CoverageTests:
    return {
        "origins": 99,
        "miss_rate": 0.1,
        "kupiec": kupiec,
        "independence": None,
        "christoffersen": christoffersen,
    }


def test_skill_without_a_test_does_not_pass() -> None:
    made = scored(0.02, significant=False)
    assert made["difference"]
    made["difference"] = {**made["difference"], "p_holm": None}
    gate = skill_gate(made)
    assert (gate.passed, gate.figure) == (False, None)
    assert gate.detail.endswith("its skill is +2.00 %, not significant (too few origins for a test)")


@pytest.mark.parametrize("skill", [-0.01, 0.0])
def test_a_significantly_worse_model_has_no_skill(skill: float) -> None:
    gate = skill_gate(scored(skill, significant=True))
    assert not gate.passed and "does not beat" in gate.detail


@pytest.mark.parametrize(("p", "passed"), [(0.049, True), (0.05, False), (None, False)])
def test_direction(p: float | None, passed: bool) -> None:
    """By the last step alone."""
    made = scored()
    first: Direction = {"step": 1, "r2": 0.1, "mae": 0.9, "origins": 99, "hit_rate": 0.7, "p": 0.0001}
    made["direction"] = {**made["direction"], "tft": [first, {**first, "step": 12, "hit_rate": 0.55, "p": p}]}
    gate = direction_gate(made)
    assert (gate.passed, gate.figure) == (passed, p)
    assert gate.detail.startswith("the hit rate of the TFT at step 12 is 55.0 %, ")
    made["direction"] = {**made["direction"], "tft": None}
    assert direction_gate(made).passed is False
    assert direction_gate(made).detail == "the TFT forecasts no direction, so nothing tells of its signs"
    assert direction_gate(evaluation(width=None)).detail.startswith("no model is evaluated")


@pytest.mark.parametrize(
    ("coverage", "kupiec", "christoffersen", "passed"),
    [
        (0.9, 0.5, 0.5, True),
        (0.87, 0.5, 0.5, True),
        (0.86, 0.5, 0.5, False),
        (0.94, 0.5, 0.5, False),
        (0.9, 0.009, 0.5, False),
        (0.9, 0.5, 0.009, False),
        (0.9, None, None, True),
    ],
)
def test_calibration(coverage: float, kupiec: float | None, christoffersen: float | None, passed: bool) -> None:
    made = scored()
    made["members"] = {**made["members"], "tft": {**made["members"]["tft"], "coverage90": coverage}}
    made["coverage_tests"] = {**made["coverage_tests"], "tft": misses(kupiec, christoffersen)}
    gate = calibration_gate(made)
    assert gate.passed is passed
    assert gate.figure == pytest.approx(abs(coverage - 0.9)) and gate.threshold == 0.03
    assert f"covers {100 * coverage:.1f} % (asked: 87 to 93 %)" in gate.detail


def test_calibration_of_no_model_is_unknown() -> None:
    gate = calibration_gate(evaluation(width=None))
    assert (gate.passed, gate.figure) == (False, None)


@pytest.mark.parametrize(
    ("faults", "share", "passed"),
    [
        ({}, 0, True),
        ({"missing": 20}, 0.02, True),
        ({"missing": 20, "filled": 1}, 0.021, False),
        ({"frozen_spans": [{"first": "a", "last": "b", "bars": 50}]}, 0.05, False),
    ],
)
def test_data_quality(faults: dict[str, Any], share: float, passed: bool) -> None:
    gate = data_quality_gate(DataQuality.of({**quality_record("BTCUSDT", "5m", 1000), **faults}))  # type: ignore[typeddict-item]
    assert (gate.passed, gate.figure) == (passed, pytest.approx(share))


def test_novelty() -> None:
    usual, unusual = novelty_gate(Novelty(0.0, 0.97)), novelty_gate(Novelty(0.5, 1.0))
    assert (usual.passed, unusual.passed) == (True, False)
    assert "50 % of them are outside their range" in unusual.detail


def test_members_without_direction_have_that_of_drift() -> None:
    paths = {"drift": np.array([0.0, 0.1]), "tft": np.zeros(2), "naive": np.array([-0.1, -0.1])}
    np.testing.assert_allclose(rising_shares(paths, {"tft": 0.7, "naive": 0.3}), [0, 0.7])
    del paths["drift"]
    np.testing.assert_allclose(rising_shares(paths, {"tft": 0.7, "naive": 0.3}), [0, 0])
    np.testing.assert_allclose(rising_shares(paths, {}), [0, 0])
    assert (agreement_gate(0.5, "then").passed, agreement_gate(0.49, "then").passed) == (True, False)


def test_agreement_that_is_required_holds_back_the_exits_without_it() -> None:
    """Two of three members expect a fall at the best exit, and a rise at another."""
    rise, fall = path_to(101, 103, 102), path_to(101, 99, 102)
    members = {
        name: MemberForecast(path, 1 / 3) for name, path in {"tft": rise, "ewma": fall, "garch_fhs": fall}.items()
    }
    free, bound = (decided_on(rise, members=members, require=names)[0] for names in ([], ["agreement"]))
    assert [one["decision"]["action"] for one in (free, bound)] == ["BUY", "BUY"]
    assert [one["plan"]["exit_step"] for one in (free, bound)] == [2, 3]
    agreement = {gate["name"]: gate["passed"] for gate in free["gates"]}
    assert agreement["agreement"] is False
