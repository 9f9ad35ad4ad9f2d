"""Drift: bands that chance leaves seldom, and that a forecast which became too narrow, or worse, leaves."""

import numpy as np
import pandas as pd
import pytest

from forecasting.members import ENSEMBLE, RANDOM_WALK
from market.intervals import iso
from support.worlds import AS_OF
from trading.ledger.drift import COLUMNS, disjoint_spans, drift, outcomes, warning

BAR, HORIZON, SKILL = 300_000, 12, 0.05


def made(count: int, spacing: int, seed: int, skill: float = SKILL, coverage: float = 0.9) -> pd.DataFrame:
    """Outcomes of decisions `spacing` bars apart, whose losses and coverage are means over shared bars."""
    random = np.random.default_rng(seed)
    bars = random.exponential(size=(count + 1) * spacing + HORIZON)
    inside = random.random(size=len(bars)) < coverage
    starts = spacing * np.arange(count)
    walk = np.array([bars[start : start + HORIZON].mean() for start in starts])
    covered = np.array([inside[start : start + HORIZON].mean() for start in starts])
    noise = np.array([random.normal(0, 0.02) for _ in starts])
    time = AS_OF + BAR * starts
    return pd.DataFrame(
        {
            "as_of": [iso(int(one)) for one in time],
            "time": time,
            ENSEMBLE: walk * (1 - skill + noise),
            RANDOM_WALK: walk,
            "coverage": covered,
            "expected": SKILL,
        }
    )


@pytest.mark.parametrize("spacing", [3, 12])
def test_a_forecast_as_good_as_expected_seldom_drifts(spacing: int) -> None:
    last = [drift(made(120, spacing, seed), BAR, HORIZON, window=100).iloc[-1] for seed in range(100)]
    assert all(row["decisions"] == 100 for row in last)
    assert sum(bool(row["drifting"]) for row in last) <= 5


def test_a_forecast_that_became_worse_or_too_narrow_drifts() -> None:
    worse = drift(made(100, 12, 1, skill=-0.05), BAR, HORIZON, window=50).iloc[-1]
    assert worse["drifting"] == "skill"
    narrow = drift(made(100, 12, 2, coverage=0.7), BAR, HORIZON, window=50).iloc[-1]
    assert narrow["drifting"] == "coverage"
    # a better one does not
    assert drift(made(100, 12, 1, skill=0.2), BAR, HORIZON, window=50).iloc[-1]["drifting"] == ""


def test_few_disjoint_horizons_are_not_judged() -> None:
    found = drift(made(60, 1, 1, skill=-1, coverage=0.1), BAR, HORIZON, window=60)
    assert found["disjoint"].iloc[-1] == 5
    assert found[["skill_low", "coverage_low"]].isna().all(axis=None)
    assert set(found["drifting"]) == {""}


def test_the_figures_are_those_of_the_window() -> None:
    whole = made(40, 12, 3)
    last = drift(whole, BAR, HORIZON, window=15).iloc[-1]
    kept = whole.iloc[-15:]
    assert last["skill"] == pytest.approx(1 - kept[ENSEMBLE].sum() / kept[RANDOM_WALK].sum())
    assert last["coverage"] == pytest.approx(kept["coverage"].mean())
    assert (last["decisions"], last["disjoint"]) == (15, 15)


def test_disjoint_spans() -> None:
    assert disjoint_spans(np.array([0, 1, 2, 5, 9, 10, 11]), span=5) == 3


def test_outcomes_are_the_whole_ones_of_the_last_kind() -> None:
    rows = [
        {"as_of": iso(AS_OF + place * BAR), "exchange": "replay", "interval": interval, "horizon": 12, "symbol": symbol}
        | {"member": member, "status": status, "steps": steps, "pinball": loss, "coverage90": loss / 2}
        for place, (interval, status, steps) in enumerate(
            [("1h", "complete", 12), ("5m", "complete", 12), ("5m", "complete", 10), ("5m", "partial", 12)]
        )
        for symbol, scale in (("A", 1.0), ("B", 3.0))
        for member, loss in ((ENSEMBLE, scale), (RANDOM_WALK, 2 * scale), ("tft", 9.0))
    ]
    found = outcomes(pd.DataFrame(rows), {iso(AS_OF + BAR): None})
    assert found["as_of"].tolist() == [iso(AS_OF + BAR)]
    assert found[[ENSEMBLE, RANDOM_WALK, "coverage"]].to_numpy().tolist() == [[2.0, 4.0, 1.0]]
    assert found["expected"].isna().all()
    assert list(drift(outcomes(pd.DataFrame(rows[:0], columns=list(rows[0])), {}), BAR, 12, 5)) == COLUMNS


def test_the_warning_is_one_line_with_figures() -> None:
    row = drift(made(100, 12, 1, skill=-0.05, coverage=0.7), BAR, HORIZON, window=50).iloc[-1]
    told = warning(row.to_dict())
    assert "\n" not in told
    assert told.startswith("drift: over the last 50 decisions the skill over the random walk is -")
    assert "by the evaluation's +5.00 % and the 90 % interval covers 7" in told
