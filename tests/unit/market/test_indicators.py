"""Indicators: returns relative to their volatility, range variances, the calendar, contiguous segments."""

import numpy as np
import pytest

from market.indicators import calendar, garman_klass, parkinson, segments
from market.intervals import MINUTE
from support.candles import SPANS, candles, relative_of


def test_a_relative_return_by_hand() -> None:
    frame = candles(400)
    returns = np.diff(np.log(frame["close"].to_numpy()))
    relative = relative_of(frame)
    assert np.isnan(relative[: max(SPANS)]).all() and np.isfinite(relative[max(SPANS) :]).all()
    for row in (max(SPANS), 300, 399):
        last = returns[row - max(SPANS) : row]
        assert relative[row] == pytest.approx(last[-1] / np.sqrt(np.mean(last**2)), rel=1e-9)


def test_a_relative_return_is_nan_over_a_gap_and_at_a_frozen_price() -> None:
    frame = candles(2000)
    frame.loc[1300:1700, "close"] = frame["close"][1300]
    frame = frame.drop(index=[700, 701])
    valid = frame.index[np.isfinite(relative_of(frame))]
    assert valid.tolist() == [*range(240, 700), *range(702 + 240, 1300 + 240), *range(1701, 2000)]


def test_range_volatility_is_that_of_its_papers() -> None:
    one = np.array([100.0]), np.array([104.0]), np.array([98.0]), np.array([103.0])
    assert parkinson(one[1], one[2])[0] == pytest.approx(0.0012735, rel=1e-3)
    assert garman_klass(*one)[0] == pytest.approx(0.5 * 0.0035309 - 0.386294 * 0.00087373, rel=1e-3)


def test_calendar_is_that_of_the_bar_close() -> None:
    # the bar that opens at 23:59 on a Thursday closes at midnight, when the day's wave is at its start
    waves = calendar(np.array([86_400_000 - MINUTE]), MINUTE)
    np.testing.assert_allclose(waves[0, :2], [0, 1], atol=1e-6)
    np.testing.assert_allclose(waves[0, 2:], [np.sin(2 * np.pi / 7), np.cos(2 * np.pi / 7)], atol=1e-6)


def test_segments_are_counted_from_zero() -> None:
    assert segments(np.array([0, 1, 2, 5, 6, 9]), 1).tolist() == [0, 0, 0, 1, 1, 2]
