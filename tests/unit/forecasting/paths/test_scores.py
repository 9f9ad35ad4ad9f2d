"""Scores of draws: known values, and better for the true law than for a wrong one."""

import numpy as np
import pytest
from scipy import stats

from forecasting.members import ENSEMBLE
from forecasting.paths.comparison import Record
from forecasting.paths.rivals import correlated, gaussian_walk
from forecasting.paths.scores import (
    LEVELS,
    PAIRS,
    Scored,
    crps,
    crps_of_changes,
    drawdown_pit,
    energy_score,
    increments,
    joint_steps,
    score_paths,
    variogram_pairs,
    variogram_score,
)
from market.intervals import DAY, MINUTE
from support.path_scores import path_scores

RANDOM = np.random.default_rng(4)


def test_crps_is_that_of_the_definition() -> None:
    draws, y = RANDOM.standard_normal((3, 9)), RANDOM.standard_normal(3)
    expected = [
        np.abs(row - one).mean() - np.abs(np.subtract.outer(row, row)).mean() / 2
        for row, one in zip(draws, y, strict=True)
    ]
    np.testing.assert_allclose(crps(draws, y), expected)


def test_crps_of_a_gaussian_has_its_closed_form() -> None:
    """σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π): Gneiting and Raftery (2007)."""
    draws = 2 * stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    for y in (-3.0, 0.0, 1.0):
        z = y / 2
        expected = 2 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
        assert crps(draws, np.array(y)) == pytest.approx(expected, rel=1e-3)


def test_energy_score_is_that_of_the_definition() -> None:
    draws, y = RANDOM.standard_normal((5, 12)), RANDOM.standard_normal(5)
    pairs = [np.linalg.norm(draws[:, i] - draws[:, j]) for i in range(12) for j in range(12) if i != j]
    expected = np.mean([np.linalg.norm(draws[:, i] - y) for i in range(12)]) - np.mean(pairs) / 2
    assert energy_score(draws, y) == pytest.approx(expected)
    assert energy_score(draws[:, :1], y) == pytest.approx(np.linalg.norm(draws[:, 0] - y))


def test_energy_score_of_a_gaussian_cloud_has_its_closed_form() -> None:
    """E‖X‖ − E‖X − X′‖ / 2 = (1 − 1/√2) E‖X‖ at the centre, E‖X‖ = √2 Γ(2) / Γ(1.5) in three dimensions."""
    draws = RANDOM.standard_normal((3, 40_000))
    assert energy_score(draws, np.zeros(3)) == pytest.approx((1 - 1 / np.sqrt(2)) * np.sqrt(8 / np.pi), rel=0.01)


def test_variogram_score_by_hand() -> None:
    draws, y = np.array([[0.0, 4], [0, 0], [9, 0]]), np.array([1.0, 2, 6])
    one, other = np.array([0, 1]), np.array([1, 2])
    expected = ((1 - (0 + 2) / 2) ** 2 + (2 - (3 + 0) / 2) ** 2) / 2
    assert variogram_score(draws, y, one, other) == pytest.approx(expected)


def test_pairs_are_steps_of_a_symbol_or_symbols_of_a_step_and_not_too_many() -> None:
    pairs = set(zip(*(places.tolist() for places in variogram_pairs(2, 3)), strict=True))
    assert pairs == {(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5), (0, 3), (1, 4), (2, 5)}
    assert PAIRS / 2 < len(variogram_pairs(50, 12)[0]) <= PAIRS


@pytest.mark.parametrize(
    ("horizon", "bar_ms", "expected"),
    [
        (60, MINUTE, [1, 2, 5, 15, 30, 60]),
        (12, MINUTE, [1, 3, 6, 12]),
        (1440, MINUTE, [5, 30, 180, 1440]),
        (288, 5 * MINUTE, [1, 6, 36, 288]),
        (24, 60 * MINUTE, [1, 3, 24]),
        (7, DAY, [1, 7]),
        (1, MINUTE, [1]),
    ],
)
def test_increments(horizon: int, bar_ms: int, expected: list[int]) -> None:
    assert increments(horizon, bar_ms) == expected


def test_joint_steps_reach_the_horizon() -> None:
    assert joint_steps(60).tolist() == list(range(5, 61, 5))
    assert joint_steps(3).tolist() == [1, 2, 3]
    assert joint_steps(100)[-1] == 100


def test_changes_are_successive_from_the_origin_on() -> None:
    paths, realised = RANDOM.standard_normal((1, 5, 8)), RANDOM.standard_normal((1, 5))
    by_hand = [crps(paths[0, 1], realised[0, 1]), crps(paths[0, 3] - paths[0, 1], realised[0, 3] - realised[0, 1])]
    np.testing.assert_allclose(crps_of_changes(paths, realised, 2)[0], by_hand)


def test_the_drawdown_s_rank_by_hand() -> None:
    paths = np.array([[[0.0, 1, 2, 3], [-1, 1, 0, 3]]])
    assert drawdown_pit(paths, np.array([[1.0, 0.5]])).tolist() == [0.5]
    assert drawdown_pit(paths, np.array([[1.0, 0.0]])).tolist() == [0.625]  # half of the one that equals it


def test_all_scores_of_a_known_path() -> None:
    """Two symbols whose paths all are the realised one: no loss, and touched levels with certainty."""
    realised = 1e-3 * np.array([[1.0, 2.2, 1], [-0.5, -1, -3.5]])
    paths, deviation = np.repeat(realised[:, :, None], 40, axis=2), np.array([1e-3, 1e-3])
    scored = score_paths(paths, realised, deviation, MINUTE)
    assert set(scored.losses) >= {"energy", "variogram", "crps", "crps_1", "crps_3", "crps_origin", "brier_2"}
    assert max(map(abs, scored.losses.values())) < 1e-4
    np.testing.assert_array_equal(scored.touching, scored.touched)
    assert scored.touched[0, :, 0].tolist() == [level <= 2.2 for level in LEVELS]
    assert scored.touched[1, :, 1].tolist() == [level <= 3.5 for level in LEVELS]


def test_crps_is_in_basis_points() -> None:
    realised = 1e-4 * np.ones((1, 1))
    scored = score_paths(np.zeros((1, 1, 5)), realised, np.array([1e-3]), MINUTE)
    assert scored.losses["crps_1"] == pytest.approx(1, rel=1e-5)
    assert scored.losses["crps"] == pytest.approx(0.1, rel=1e-5)


def test_the_true_dependence_scores_best() -> None:
    """Marginals are the same; the second has another correlation, the third none over steps."""
    shape, deviation = (2, 12, 300), np.ones(2)
    true = np.array([[1, 0.8], [0.8, 1]])
    totals: dict[str, list[list[float]]] = {"true": [], "uncorrelated": [], "independent": []}
    for _ in range(150):
        realised = gaussian_walk(deviation, correlated(RANDOM.standard_normal((2, 12, 1)), true))[..., 0]
        shocks = RANDOM.standard_normal(shape)
        paths = {
            "true": gaussian_walk(deviation, correlated(shocks, true)),
            "uncorrelated": gaussian_walk(deviation, shocks),
            "independent": RANDOM.permuted(gaussian_walk(deviation, correlated(shocks, true)), axis=-1),
        }
        for name, one in paths.items():
            losses = score_paths(one, realised, deviation, MINUTE).losses
            totals[name].append([losses[score] for score in ("energy", "variogram")])
    means = {name: np.mean(values, axis=0) for name, values in totals.items()}
    assert (means["true"] < means["uncorrelated"]).all()
    assert (means["true"] < means["independent"]).all()


def test_the_record_of_a_known_market() -> None:
    document = path_scores(("A", "B"), "1m", 12)
    for name in ("energy", "crps"):
        tests = document["tests"][name]
        skills = [tests[rival]["skill"] or 0.0 for rival in tests]
        assert skills[0] > 0 and skills == sorted(skills)
        assert (tests["block_bootstrap"]["p_holm"] or 1) < 0.01
    loss = document["losses"]["energy"]
    assert document["tests"]["energy"]["garch_fhs"]["skill"] == pytest.approx(1 - loss[ENSEMBLE] / loss["garch_fhs"])
    for tenth in document["touching"][ENSEMBLE]:
        forecast, observed, error = tenth["forecast"], tenth["observed"], tenth["standard_error"]
        if tenth["events"] > 100 and forecast is not None and observed is not None and error is not None:
            assert abs(observed - forecast) < 4 * error + 0.02
    assert sum(tenth["events"] for tenth in document["touching"][ENSEMBLE]) == 60 * 2 * 2 * len(LEVELS)
    assert sum(document["drawdown_pit"][ENSEMBLE]) == pytest.approx(1)


def test_too_few_origin_times_have_no_test_and_an_empty_tenth_no_figures() -> None:
    document = path_scores(("A",), "1m", 12, times=3)
    test = document["tests"]["energy"]["independent"]
    assert test["skill"] is not None and test["p"] is None and test["standard_error"] is None
    empty = [tenth for tenth in document["touching"][ENSEMBLE] if not tenth["events"]]
    assert all(tenth["forecast"] is None and tenth["observed"] is None for tenth in empty)


def test_reliability_by_hand() -> None:
    record = Record()
    for time, touched in enumerate([True, False, False, True]):
        scored = Scored({"energy": 1.0}, np.array([0.25, 0.95]), np.array([touched, True]), np.array([0.5]))
        record.add(0, time, {"ensemble": scored})
    third, last = record.touching(lags=0)["ensemble"][2], record.touching(lags=0)["ensemble"][9]
    assert (third["events"], third["forecast"], third["observed"]) == (4, 0.25, 0.5)
    assert third["standard_error"] == pytest.approx(0.25)  # 0.5 / √4
    assert (last["events"], last["observed"], last["standard_error"]) == (4, 1.0, 0.0)
