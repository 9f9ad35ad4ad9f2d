"""Plans: their exits and levels, and when and at which price they sell."""

import numpy as np
import pytest

from trading.plans import Plans, exit_steps, fills, make_plans


def plan(step: int, take_profit: float | None = None, stop: float | None = None) -> Plans:
    """One plan whose levels are prices."""
    upper, lower = np.inf if take_profit is None else take_profit, 0.0 if stop is None else stop
    told = (np.nan if level is None else level for level in (take_profit, stop))
    return Plans(np.array([step]), *(np.array([value]) for value in (*told, upper, lower)))


# a close at each of four steps
UP_AND_DOWN = [104.0, 112, 95, 88]


@pytest.mark.parametrize(
    ("one", "step", "price"),
    [
        (plan(3), 3, 95),
        (plan(4, take_profit=110), 2, 110),  # at the level, though the close is better
        (plan(4, take_profit=112), 2, 112),  # at it counts as touched
        (plan(1, take_profit=110), 1, 104),  # not yet touched at the exit
        (plan(4, stop=96), 3, 95),  # at the close, which is worse than the level
        (plan(4, take_profit=120, stop=96), 3, 95),
        (plan(4, take_profit=103, stop=96), 1, 103),  # whichever comes first
        (plan(2, take_profit=120, stop=80), 2, 112),
    ],
)
def test_a_fill_by_hand(one: Plans, step: int, price: float) -> None:
    steps, prices, taken = fills(one, np.array(UP_AND_DOWN)[:, None])
    assert (steps.tolist(), prices.tolist()) == ([[step]], [[price]])
    # a fill at the level is a maker's
    assert taken.tolist() == [[price == one.upper[0]]]


def test_the_stop_comes_first_where_both_are_touched() -> None:
    """Only equal levels can be: of a forecast that knows the future."""
    steps, prices, taken = fills(plan(2, take_profit=90, stop=95), np.array([[94.0], [99]]))
    assert (steps.tolist(), prices.tolist()) == ([[1]], [[94]])
    assert not taken.any()


def test_every_path_is_filled_for_itself() -> None:
    paths = np.random.default_rng(1).standard_normal((9, 50)).cumsum(axis=0)
    plans = make_plans(np.sqrt(np.arange(1, 10)), 4, [0.5, 1], [1])
    steps, returns, _ = fills(plans, paths)
    for column in range(50):
        alone = fills(plans, paths[:, [column]])
        np.testing.assert_array_equal(alone[0][:, 0], steps[:, column])
        np.testing.assert_array_equal(alone[1][:, 0], returns[:, column])
    # no sale is better than its level allows, none later than its exit
    assert (returns <= np.maximum(plans.upper[:, None], paths[steps - 1, np.arange(50)])).all()
    assert (steps <= plans.step[:, None]).all()


@pytest.mark.parametrize(
    ("steps", "count", "expected"),
    [(12, 4, [3, 6, 9, 12]), (60, 12, list(range(5, 61, 5))), (3, 12, [1, 2, 3]), (1, 1, [1]), (7, 2, [4, 7])],
)
def test_exits_are_spread_evenly_and_end_with_the_last(steps: int, count: int, expected: list[int]) -> None:
    assert exit_steps(steps, count).tolist() == expected


def test_the_grid_has_every_exit_and_pair_of_levels_the_simplest_first() -> None:
    plans = make_plans(np.array([0.01, 0.02]), 2, [1, 3], [2])
    assert len(plans) == 2 * 3 * 2
    assert plans.step.tolist() == [1] * 6 + [2] * 6
    assert np.flatnonzero(plans.simple).tolist() == [0, 6]
    np.testing.assert_allclose(plans.upper[:6], [np.inf, np.inf, 0.01, 0.01, 0.03, 0.03])
    np.testing.assert_allclose(plans.lower[6:8], [-np.inf, -0.04])
    assert len(make_plans(np.array([0.01]), 1, [], [])) == 1
