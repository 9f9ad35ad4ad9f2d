"""Rolling and online calibration: no look-ahead, factors computed by hand, and wrong spreads that are corrected."""

from dataclasses import replace

import numpy as np
import pytest

from forecasting.ensemble.conformal import GAIN, LEAK, RATE, pid, rolling
from forecasting.task import Task

STEP = 60_000
LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
TASK = Task("1m", 1, 1, LEVELS)
QUARTILES = replace(TASK, quantile_levels=[0.25, 0.5, 0.75])
NORMAL = np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])


def world(n: int, horizon: int, width: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantiles `width` times as wide as the outcomes', the outcomes, and origins with two gaps."""
    random = np.random.default_rng(seed)
    scale = np.exp(random.normal(0, 0.5, (n, horizon)))
    median = random.normal(0, 0.3, (n, horizon))
    quantiles = median[..., None] + width * scale[..., None] * NORMAL
    origin = np.arange(n) * STEP + np.where(np.arange(n) > n // 2, 7 * STEP, 0) + np.where(np.arange(n) > n - 20, 1, 0)
    return quantiles, median + scale * random.standard_normal((n, horizon)), origin.astype(np.int64)


def test_what_is_realised_after_an_origin_does_not_change_its_row() -> None:
    quantiles, realised, origin = world(160, 5, width=2.0)
    before = rolling(quantiles, realised, origin, TASK, window=40, minimum=20)
    ahead = STEP * np.arange(1, 6)
    for i in (60, 81, 82, 88, 143, 159):
        unknown = origin[:, None] + ahead > origin[i]
        for other in (realised * 100, np.full_like(realised, np.nan)):
            after = rolling(quantiles, np.where(unknown, other, realised), origin, TASK, window=40, minimum=20)
            assert after[: i + 1].tobytes() == before[: i + 1].tobytes()
        # the last realised one counts: with it on the other side of the factor, the factor moves
        last, moved = np.flatnonzero(~unknown[:, 4])[-1], []
        for outcome in (quantiles[last, 4, 3], 1e3):
            other = realised.copy()
            other[last, 4] = outcome
            moved.append(rolling(quantiles, other, origin, TASK, window=40, minimum=20)[i, 4])
        assert (moved[0] != moved[1]).any()


def ratios(values: list[float], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles -2, 0, 1 at one step, and outcomes that lie `values` half-spreads off, up and down in turn."""
    outcomes = [ratio if k % 2 == 0 else -2 * ratio for k, ratio in enumerate(values)]
    return np.tile([-2.0, 0.0, 1.0], (n, 1, 1)), np.array([*outcomes, *[np.nan] * (n - len(values))])[:, None]


def test_factors_by_hand() -> None:
    quantiles, realised = ratios([0.5, 3.0, 0.25, 2.0, 0.1], 6)
    after = rolling(quantiles, realised, np.arange(6) * STEP, QUARTILES, window=3, strength=1, minimum=2)
    # of n observed the ceil((n + 1) / 2)-th: of (0.5, 3), of (0.25, 0.5, 3), of (0.25, 2, 3), of (0.1, 0.25, 2)
    np.testing.assert_allclose(after[:, 0, 2], [1, 1, 3, 0.5, 2, 0.25])
    np.testing.assert_allclose(after[:, 0, 0], -2 * after[:, 0, 2])
    assert (after[:, 0, 1] == 0).all()


def test_after_a_gap_more_is_realised() -> None:
    quantiles, realised = ratios([0.5, 4.0, 2.0], 3)
    quantiles, realised = np.repeat(quantiles, 2, axis=1), np.repeat(realised, 2, axis=1)
    after = rolling(quantiles, realised, np.array([0, 1, 3]) * STEP, QUARTILES, strength=1, minimum=1)
    # at 1 the first step of 0 has come; at 3 both steps of 0 and of 1
    np.testing.assert_allclose(after[:, :, 2], [[1.0, 1.0], [0.5, 1.0], [4.0, 4.0]])


def test_an_unknown_outcome_takes_no_place_in_the_window() -> None:
    quantiles, realised = ratios([2.0, 3.0, np.nan, 5.0], 6)
    after = rolling(quantiles, realised, np.arange(6) * STEP, QUARTILES, window=2, strength=1, minimum=2)
    np.testing.assert_allclose(after[:, 0, 2], [1, 1, 3, 3, 5, 5])


def test_half_strength_is_half_the_log_factor() -> None:
    quantiles, realised, origin = world(300, 3, width=1.7)
    full, half, none = (
        np.log(np.diff(rolling(quantiles, realised, origin, TASK, strength=strength)[..., [0, 6]]))
        for strength in (1, 0.5, 0)
    )
    np.testing.assert_allclose(half - none, (full - none) / 2, atol=1e-9)
    assert (full - none)[-1, 0, 0] < -0.3


@pytest.mark.parametrize("width", [2.0, 0.5])
def test_a_wrong_width_is_corrected(width: float) -> None:
    quantiles, realised, origin = world(3000, 2, width)
    for strength, kept in ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0)):
        after = rolling(quantiles, realised, origin, TASK, strength=strength)
        ratio = (np.diff(after[..., [0, 6]]) / np.diff(quantiles[..., [0, 6]]))[1000:]
        np.testing.assert_allclose(ratio.mean(), width ** (kept - 1), rtol=0.05)
        inside = (after[1000:, :, 0] <= realised[1000:]) & (realised[1000:] <= after[1000:, :, 6])
        if strength == 1:
            assert inside.mean() == pytest.approx(0.9, abs=0.02)
    assert (np.diff(after) >= 0).all()


def test_what_stays_stays_byte_for_byte() -> None:
    quantiles, realised, origin = world(150, 1, width=2.0)
    few = rolling(quantiles, realised, origin, TASK, minimum=151)
    assert few.tobytes() == quantiles.tobytes()
    alone = rolling(quantiles[..., 3:], realised, origin, replace(TASK, quantile_levels=LEVELS[3:]))
    assert alone.tobytes() == quantiles[..., 3:].tobytes()
    flat = np.repeat(quantiles[..., [3]], 7, axis=-1)
    assert rolling(flat, realised, origin, TASK).tobytes() == flat.tobytes()
    still = rolling(quantiles, quantiles[..., 3], origin, TASK)
    assert still.tobytes() == quantiles.tobytes()


def test_levels_that_cross_are_sorted() -> None:
    quantiles = np.tile([-1.1, -1.0, 0.0, 1.0, 1.1], (60, 1, 1))
    realised = np.where(np.arange(60) % 3 == 0, 0.99, 0.0)[:, None] + 0.001
    origin, task = np.arange(60) * STEP, replace(TASK, quantile_levels=[0.1, 0.25, 0.5, 0.75, 0.95])
    after = rolling(quantiles, realised, origin, task, strength=1, minimum=9)
    # 0.1 and 0.95 have no partner, so they stay; 0.25 and 0.75 nearly meet the median
    np.testing.assert_allclose(after[-1, 0], [-1.1, -0.001, 0, 0.001, 1.1])
    task = replace(TASK, quantile_levels=[0.1, 0.25, 0.5, 0.75, 0.8])
    wide = rolling(quantiles, realised * 2, origin, task, strength=1, minimum=9)
    assert (np.diff(wide) >= 0).all()


def test_the_median_is_needed() -> None:
    task = replace(TASK, quantile_levels=[0.25, 0.75])
    with pytest.raises(ValueError):
        rolling(np.zeros((1, 1, 2)), np.zeros((1, 1)), np.zeros(1, dtype=np.int64), task)


def test_what_is_realised_after_an_origin_does_not_change_its_row_by_pid() -> None:
    quantiles, realised, origin = world(160, 5, width=2.0)
    before = pid(quantiles, realised, origin, TASK)
    ahead = STEP * np.arange(1, 6)
    for i in (3, 60, 81, 82, 88, 143, 159):
        unknown = origin[:, None] + ahead > origin[i]
        for other in (realised * 100, np.full_like(realised, np.nan)):
            after = pid(quantiles, np.where(unknown, other, realised), origin, TASK)
            assert after[: i + 1].tobytes() == before[: i + 1].tobytes()
        # the last realised one counts
        last = np.flatnonzero(~unknown[:, 0])[-1]
        moved = []
        for outcome in (quantiles[last, 0, 3], 1e3):
            other = realised.copy()
            other[last, 0] = outcome
            moved.append(pid(quantiles, other, origin, TASK)[i, 0])
        assert (moved[0] != moved[1]).any()


def test_pid_by_hand() -> None:
    """Half of the outcomes should lie outside: a miss, a hit, an unknown one, a miss."""
    quantiles, realised = ratios([2.0, 0.5, np.nan, 3.0], 5)
    after = pid(quantiles, realised, np.arange(5) * STEP, QUARTILES)
    tracked, total, expected = 0.0, 0.0, [1.0]
    for n, error in enumerate((0.5, -0.5, 0.0, 0.5), start=1):
        tracked, total = (1 - LEAK) * tracked + RATE * error, total + error
        count = max(n, 2)
        expected.append(np.exp(tracked + GAIN * np.tan(total * np.log(count) / count)))
    np.testing.assert_allclose(after[:, 0, 2], expected)
    np.testing.assert_allclose(after[:, 0, 0], -2 * after[:, 0, 2])
    assert (after[:, 0, 1] == 0).all()


@pytest.mark.parametrize("width", [2.0, 1.0, 0.5])
def test_a_wrong_width_is_corrected_in_part_by_pid(width: float) -> None:
    """In part, as what is forgotten pulls back: more of what is too narrow, whose errors are larger."""
    quantiles, realised, origin = world(4000, 2, width)
    after = pid(quantiles, realised, origin, TASK)
    inside, plain = (
        np.mean((one[2000:, :, 0] <= realised[2000:]) & (realised[2000:] <= one[2000:, :, 6]))
        for one in (after, quantiles)
    )
    if width == 1:
        assert inside == pytest.approx(0.9, abs=0.015)
    else:
        assert abs(inside - 0.9) < 0.8 * abs(plain - 0.9)
        assert (inside - 0.9) * (plain - 0.9) > 0
    assert (np.diff(after) >= 0).all()


def test_pid_follows_a_market_that_changes_and_no_burst_of_misses_makes_it_infinite() -> None:
    quantiles, realised, origin = world(6000, 1, 1.0)
    realised[3000:] = quantiles[3000:, :, 3] + 2 * (realised[3000:] - quantiles[3000:, :, 3])
    after = pid(quantiles, realised, origin, TASK)
    inside = (after[..., 0] <= realised) & (realised <= after[..., 6])
    plain = (quantiles[..., 0] <= realised) & (realised <= quantiles[..., 6])
    assert plain[5000:].mean() < 0.65 and inside[5000:].mean() > 0.78
    assert np.isfinite(pid(quantiles, np.full_like(realised, 1e6), origin, TASK)).all()


def test_pid_leaves_what_has_no_spread_or_no_partner() -> None:
    quantiles, realised, origin = world(150, 1, width=2.0)
    flat = np.repeat(quantiles[..., [3]], 7, axis=-1)
    assert pid(flat, realised, origin, TASK).tobytes() == flat.tobytes()
    task = replace(TASK, quantile_levels=[0.25, 0.5, 0.75, 0.8])
    after = pid(quantiles[..., [2, 3, 4, 6]], realised, origin, task)
    assert (after[..., [1, 3]] == quantiles[..., [3, 6]]).all()
