"""Coverage by state of the market by hand; tests of the interval by hand, their size, and clustered misses."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from forecasting.evaluation.conditions import (
    CONDITIONS,
    FEWEST_ORIGINS,
    add_states,
    by_condition,
    coverage_tests,
    interval_tests,
    thinned,
)
from forecasting.market_state import market_state
from market.intervals import MINUTE

HOUR = 60 * MINUTE


def misses(n: int, rate: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < rate


def test_likelihood_ratios_by_hand() -> None:
    run = np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 1], dtype=bool)
    kupiec = -2 * np.log((0.9**7 * 0.1**3) / (0.7**7 * 0.3**3))
    # of nine successions 0→0 five times, 0→1 twice, 1→1 and 1→0 once
    free = (5 / 7) ** 5 * (2 / 7) ** 2 * (1 / 2) * (1 / 2)
    same = (6 / 9) ** 6 * (3 / 9) ** 3
    independence = -2 * np.log(same / free)
    expected = [chi2.sf(kupiec, 1), chi2.sf(independence, 1), chi2.sf(kupiec + independence, 2)]
    assert interval_tests([run]) == pytest.approx(expected)


def test_runs_are_not_neighbours() -> None:
    """A run that ends with a miss, and one that begins with one."""
    one, two = np.array([0, 0, 0, 1], dtype=bool), np.array([1, 0, 0, 0], dtype=bool)
    apart, joined = interval_tests([one, two]), interval_tests([np.concatenate([one, two])])
    assert apart[0] == joined[0]
    assert apart[1] > joined[1]


@pytest.mark.parametrize("n", [71, 300])
def test_the_tests_size_is_about_right(n: int) -> None:
    p = np.array([interval_tests([misses(n, 0.1, seed)]) for seed in range(2000)])
    assert ((p < 0.05).mean(axis=0) < 0.09).all()
    assert ((p < 0.05).mean(axis=0) > 0.01).all()


def test_clustered_misses_fail_christoffersen_s_test_and_pass_kupiec_s() -> None:
    run = np.zeros(200, dtype=bool)
    run[50:60] = run[120:130] = True
    kupiec, independence, both = interval_tests([run])
    assert kupiec == 1
    assert independence < 1e-6 and both < 1e-6


def test_too_many_misses_fail_kupiec_s_test_and_pass_that_of_independence() -> None:
    run = misses(300, 0.2, 1)
    kupiec, independence, both = interval_tests([run])
    assert kupiec < 0.001 and both < 0.001
    assert independence > 0.1


def test_no_miss_tells_nothing_of_independence() -> None:
    kupiec, independence, _ = interval_tests([np.zeros(100, dtype=bool)])
    assert kupiec == pytest.approx(chi2.sf(-200 * np.log(0.9), 1))
    assert independence == 1


def test_thinned_origins_are_a_horizon_apart_with_gaps_too() -> None:
    assert thinned(np.array([0, 15, 30, 45, 60, 75, 130, 180, 195]), 60).tolist() == [0, 4, 6, 8]


def interval_cases(inside: dict[str, np.ndarray], spacing: int = 15) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {"fold": 0, "symbol": symbol, "member": "ewma", "origin": spacing * np.arange(len(one)), "inside": one}
        )
        for symbol, one in inside.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_each_symbol_is_tested_alone_at_origins_a_horizon_apart() -> None:
    good, bad = ~misses(400, 0.1, 2), ~misses(400, 0.35, 3)
    tests = coverage_tests(interval_cases({"BTC": good, "ETH": bad}), 60)["ewma"]
    expected = np.min([interval_tests([~one[::4]]) for one in (good, bad)], axis=0)
    assert [tests["kupiec"], tests["independence"], tests["christoffersen"]] == pytest.approx(
        np.minimum(2 * expected, 1).tolist()
    )
    assert tests["origins"] == 200
    assert tests["miss_rate"] == pytest.approx(np.mean([~good[::4], ~bad[::4]]))


@pytest.mark.parametrize("n, tested", [(4 * FEWEST_ORIGINS, True), (4 * FEWEST_ORIGINS - 4, False)])
def test_a_symbol_of_few_origins_is_not_tested(n: int, tested: bool) -> None:
    tests = coverage_tests(interval_cases({"BTC": ~misses(n, 0.1, 1)}), 60)["ewma"]
    assert (tests["kupiec"] is not None) == (tests["christoffersen"] is not None) == tested
    assert tests["miss_rate"] > 0


def scored(symbol: str, member: str, regimes: list[str], jumps: list[bool], winkler: list[float]) -> pd.DataFrame:
    inside = [float(value < 5) for value in winkler]
    scores = {name: inside for name in ("coverage50", "coverage90")} | {"winkler50": winkler, "winkler90": winkler}
    keys = {"fold": 0, "symbol": symbol, "member": member, "regime": regimes, "after_jump": jumps}
    return pd.DataFrame(keys | scores)


def test_scores_by_state_by_hand() -> None:
    """Each symbol in units of the random walk's score in that state."""
    states = (["low", "low", "high", ""], [False, True, True, True])
    cases = pd.concat(
        [
            scored("BTC", "random_walk", *states, [2.0, 4, 10, 1]),
            scored("BTC", "ewma", *states, [1.5, 3, 8, 1]),
            scored("ETH", "random_walk", *states, [200.0, 400, 1000, 1]),
            scored("ETH", "ewma", *states, [300.0, 300, 1000, 1]),
        ],
        ignore_index=True,
    )
    found = by_condition(cases)["ewma"]
    assert list(found) == list(CONDITIONS)
    assert found["low"]["origins"] == 4
    assert found["low"]["winkler90"] == pytest.approx((4.5 / 6 + 600 / 600) / 2)
    assert found["low"]["coverage90"] == pytest.approx(0.5)
    assert found["high"]["winkler90"] == pytest.approx((0.8 + 1) / 2)
    assert found["after_jump"]["origins"] == 6
    assert found["no_jump"]["winkler50"] == pytest.approx((0.75 + 1.5) / 2)
    assert found["medium"] == {
        "origins": 0,
        "coverage50": None,
        "coverage90": None,
        "winkler50": None,
        "winkler90": None,
    }


def test_a_member_that_was_skipped_is_compared_in_the_folds_that_it_forecast() -> None:
    walk = scored("BTC", "random_walk", ["low"] * 2, [False] * 2, [10.0, 20]).assign(fold=[0, 1])
    other = scored("BTC", "ewma", ["low"], [False], [10.0]).assign(fold=1)
    found = by_condition(pd.concat([walk, other], ignore_index=True))
    assert found["ewma"]["low"]["winkler90"] == pytest.approx(0.5)


def states_of(changes: np.ndarray, train_end: int) -> pd.DataFrame:
    closes = pd.Series(changes.cumsum(), index=HOUR * np.arange(len(changes)))
    cases = pd.DataFrame({"fold": 0, "symbol": "BTC", "member": "ewma", "origin": HOUR * np.arange(700, 900, 10)})
    return add_states(cases, {"BTC": closes}, {0: train_end}, HOUR)


def test_the_regime_is_the_tercile_of_training() -> None:
    random = np.random.default_rng(1)
    changes = random.standard_normal(1000) * np.repeat([0.01, 0.02, 0.04, 0.02, 0.01], 200)
    found = states_of(changes, 600 * HOUR)
    volatility = market_state(pd.Series(changes.cumsum(), index=HOUR * np.arange(1000)), HOUR)["volatility"]
    low, high = np.nanquantile(volatility[:600], [1 / 3, 2 / 3])
    at = volatility[found["origin"]].to_numpy()
    expected = np.where(at <= low, "low", np.where(at <= high, "medium", "high"))
    assert found["regime"].tolist() == expected.tolist()
    assert len(set(expected)) > 1


def test_an_origin_s_state_knows_nothing_later() -> None:
    changes = 0.01 * np.random.default_rng(2).standard_t(3, 1000)
    before = states_of(changes, 600 * HOUR)
    changes[801:] *= 30
    after = states_of(changes, 600 * HOUR)
    known = before["origin"] <= 800 * HOUR
    pd.testing.assert_frame_equal(after[known], before[known])
    assert not after.equals(before)


def test_a_history_too_short_for_a_volatility_has_no_regime() -> None:
    found = states_of(0.01 * np.random.default_rng(2).standard_normal(1000), 20 * HOUR)
    assert (found["regime"] == "").all()
