"""The market's state: the threshold of a jump against its law, planted jumps, and no look at later bars."""

import numpy as np
import pandas as pd
import pytest

from forecasting.market_state import AFTERMATH, JUMP_LEVEL, jump_threshold, local_volatility, market_state
from market.intervals import DAY, MINUTE

HOUR = 60 * MINUTE


def closes(changes: np.ndarray, bar_ms: int = HOUR) -> pd.Series:
    return pd.Series(changes.cumsum(), index=bar_ms * np.arange(len(changes)))


def test_a_year_of_gaussian_returns_exceeds_the_threshold_as_often_as_it_should() -> None:
    years = np.abs(np.random.default_rng(1).standard_normal((2000, 365)))
    # the limit law is a little large for a year of days
    assert (years.max(axis=1) > jump_threshold(DAY)).mean() == pytest.approx(JUMP_LEVEL, abs=0.015)
    assert jump_threshold(DAY) < jump_threshold(HOUR) < jump_threshold(MINUTE)


def test_volatility_is_the_deviation_even_where_one_bar_jumped() -> None:
    changes = 0.01 * np.random.default_rng(2).standard_normal(5000)
    calm = local_volatility(changes, HOUR)
    assert np.isnan(calm[:30]).all() and np.isfinite(calm[30:]).all()
    assert np.median(calm[100:]) == pytest.approx(0.01, rel=0.05)
    changes[2000] = 0.2
    root_mean_square = pd.Series(changes**2).rolling(94).mean().to_numpy()[2001] ** 0.5
    assert root_mean_square > 2 * calm[2001]
    assert local_volatility(changes, HOUR)[2001] < 1.6 * calm[2001]


def test_volatility_by_hand() -> None:
    # a window of one year's root: 20 daily bars, of which 20 products must be known
    changes = np.tile([0.01, -0.03], 15)
    volatility = local_volatility(changes, DAY)
    assert np.isnan(volatility[:20]).all()
    np.testing.assert_allclose(volatility[20:], np.sqrt(np.pi / 2 * 0.0003))


def test_a_jump_lasts_a_hundred_bars() -> None:
    changes = 0.01 * np.clip(np.random.default_rng(3).standard_normal(1000), -3, 3)
    assert not market_state(closes(changes), HOUR)["after_jump"].any()
    changes[500] = -0.1
    after = market_state(closes(changes), HOUR)["after_jump"].to_numpy()
    assert np.flatnonzero(after).tolist() == list(range(500, 500 + AFTERMATH))


def test_a_change_over_a_gap_is_no_jump() -> None:
    changes = 0.01 * np.clip(np.random.default_rng(3).standard_normal(1000), -3, 3)
    changes[500] = 0.5
    series = closes(changes)
    gap = pd.Series(series.to_numpy(), index=series.index + HOUR * (np.arange(1000) >= 500))
    assert market_state(series, HOUR)["after_jump"].any()
    assert not market_state(gap, HOUR)["after_jump"].any()


def test_nothing_is_a_jump_where_the_price_stood_still() -> None:
    changes = np.zeros(300)
    changes[200] = 0.1
    state = market_state(closes(changes), HOUR)
    assert not state["after_jump"].any()
    assert (state["volatility"].dropna() == 0).all()


@pytest.mark.parametrize("cut", [150, 400, 401, 777])
def test_later_bars_change_no_state(cut: int) -> None:
    changes = 0.01 * np.random.default_rng(4).standard_t(3, 1000)
    changes[400] = 0.2
    state = market_state(closes(changes), HOUR)
    changes[cut:] = 0.05 * np.random.default_rng(5).standard_t(3, 1000 - cut)
    later = market_state(closes(changes), HOUR)
    pd.testing.assert_frame_equal(later.iloc[:cut], state.iloc[:cut], check_exact=True)
    assert not later.equals(state)
