"""What sample paths answer, by hand and for a random walk; their file."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from common.errors import UserError
from common.files import write_parquet
from forecasting.paths.distribution import PathDistribution, maximum_drawdown, path_table, read_paths

# three paths of four steps
PATHS = np.array([[1.0, -1, 2], [3.0, -2, 1], [2.0, -1, -3], [4.0, 0, 0]])
HAND = PathDistribution(PATHS)


def test_by_hand() -> None:
    assert HAND.quantile(0.5) == 0
    assert HAND.quantile(0.5, step=1) == 1
    assert HAND.expected_shortfall(0.34, step=3) == -3
    assert HAND.expected_shortfall(0.67, step=3) == -2
    assert HAND.expected_shortfall(0.001, step=3) == -3  # at least one path
    assert HAND.probability_of_touching(3.0) == pytest.approx(1 / 3)
    assert HAND.probability_of_touching(2.0, step=1) == pytest.approx(1 / 3)
    assert HAND.probability_of_touching(-2.0) == pytest.approx(2 / 3)
    assert HAND.probability_of_touching(-3.5) == 0
    assert HAND.probability_of_staying(-2, 2) == pytest.approx(1 / 3)
    assert HAND.probability_of_staying(-3, 4) == 1
    assert HAND.probability_of_staying(-2, 2, step=2) == pytest.approx(2 / 3)
    # of the second the origin is the highest point
    assert HAND.maximum_drawdown().tolist() == [1, 2, 5]
    assert HAND.maximum_drawdown(step=2).tolist() == [0, 2, 1]
    assert maximum_drawdown(np.array([[1.0], [2.0]])).tolist() == [0]


def test_several_symbols_and_levels_at_once() -> None:
    both = PathDistribution(np.stack([PATHS, -PATHS]))
    levels = np.array([[3.0, 3.0], [-2.0, -2.0]])
    expected = [[HAND.probability_of_touching(level), HAND.probability_of_touching(-level)] for level in (3.0, -2.0)]
    np.testing.assert_allclose(both.probability_of_touching(levels), expected)
    assert both.quantile(0.5).shape == both.expected_shortfall(0.1).shape == (2,)
    assert both.maximum_drawdown().shape == (2, 3)


def test_a_random_walk_touches_by_the_reflection_principle() -> None:
    steps, draws = 400, 20_000
    walk = PathDistribution(np.cumsum(np.random.default_rng(1).standard_normal((steps, draws)), axis=0) / steps**0.5)
    for level in (0.5, -1.0, 2.0):
        # a walk in steps passes a level by 0.583 of a step's deviation: Siegmund (1979)
        beyond = abs(level) + 0.5826 / steps**0.5
        assert walk.probability_of_touching(level) == pytest.approx(2 * stats.norm.sf(beyond), abs=0.01)
    assert walk.quantile(0.9) == pytest.approx(stats.norm.ppf(0.9), abs=0.03)
    assert walk.expected_shortfall(0.05) == pytest.approx(-stats.norm.pdf(stats.norm.ppf(0.05)) / 0.05, abs=0.04)


@pytest.mark.parametrize("step", [0, 5, -1])
def test_a_step_beyond_the_horizon_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=f"step {step} is not within 1 and 4"):
        HAND.maximum_drawdown(step)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, float("nan")])
def test_a_probability_outside_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        HAND.quantile(p)
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        HAND.expected_shortfall(p)


def test_the_file_gives_the_paths_back(tmp_path: Path) -> None:
    paths = np.random.default_rng(1).standard_normal((2, 4, 50)) * 1e-3
    table = path_table(["A", "B"], 60_000, np.array([1.5, 2.5]), paths)
    write_parquet(tmp_path / "paths.parquet", table)
    back = read_paths(tmp_path / "paths.parquet")
    for place, symbol in enumerate(("A", "B")):
        np.testing.assert_allclose(back[symbol].paths, paths[place], rtol=2e-7, atol=1e-10)
    row = table[(table["symbol"] == "B") & (table["path"] == 7) & (table["step"] == 3)].iloc[0]
    assert row["log_return"] == pytest.approx(paths[1, 2, 6], rel=1e-6)
    assert (row["origin"], row["close"]) == (60_000, 2.5)


def test_another_file_is_refused(tmp_path: Path) -> None:
    table = path_table(["A"], 60_000, np.ones(1), np.zeros((1, 4, 5)))
    for wrong in (table.drop(columns="close"), table.iloc[:0]):
        write_parquet(tmp_path / "paths.parquet", wrong)
        with pytest.raises(UserError, match="does not hold sample paths; delete it and run again"):
            read_paths(tmp_path / "paths.parquet")
    with pytest.raises(UserError, match="missing or damaged"):
        read_paths(tmp_path / "none.parquet")
