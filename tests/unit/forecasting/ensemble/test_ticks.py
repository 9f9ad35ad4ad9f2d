"""Quantiles at prices that can occur."""

import numpy as np
import pytest

from forecasting.ensemble.ticks import round_to_ticks, tick_size
from forecasting.losses import pinball

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@pytest.mark.parametrize("tick", [0.01, 0.0005, 0.25, 5.0, 1e-7])
def test_the_tick_of_closes_is_found(tick: float) -> None:
    counts = 20_000 + np.random.default_rng(1).integers(0, 900, 3000)
    assert tick_size(np.exp(np.log(counts * tick))) == pytest.approx(tick)


def test_closes_without_a_grid_or_of_few_prices_have_no_tick() -> None:
    random = np.random.default_rng(1)
    assert tick_size(100 * np.exp(0.01 * random.standard_normal(1000))) is None
    assert tick_size(random.integers(100, 120, 1000) * 0.5) is None
    # only the latest count: an exchange may refine its tick
    refined = np.concatenate([random.integers(1000, 2000, 5000) * 0.1, random.integers(10_000, 20_000, 10_000) * 0.01])
    assert tick_size(refined) == pytest.approx(0.01)
    assert tick_size(refined[:5000]) == pytest.approx(0.1)


def test_quantiles_are_rounded_to_the_nearest_tick() -> None:
    close = np.array([10.0, 0.3])
    prices = np.array([[9.76, 9.94, 10.0, 10.04, 10.06], [0.01, 0.24, 0.3, 0.351, 0.6]])
    rounded = close[:, None] * np.exp(round_to_ticks(np.log(prices / close[:, None]), close, 0.1))
    np.testing.assert_allclose(rounded, [[9.8, 9.9, 10.0, 10.0, 10.1], [0.1, 0.2, 0.3, 0.4, 0.6]])
    assert (round_to_ticks(np.zeros((2, 3, 1)), close, 0.1) == 0).all()


def test_on_a_grid_the_rounded_quantiles_lose_less() -> None:
    """Prices are a normal walk rounded to ticks of its deviation."""
    random = np.random.default_rng(1)
    outcomes = np.log(np.rint(100 + random.standard_normal(20_000)) / 100)
    quantiles = np.log(1 + 0.01 * np.quantile(random.standard_normal(100_000), LEVELS))
    rounded = round_to_ticks(quantiles[None], np.array([100.0]), 1.0)
    plain, on_grid = (
        pinball(outcomes[:, None], np.tile(one, (len(outcomes), 1, 1)), LEVELS).mean() for one in (quantiles, rounded)
    )
    assert on_grid < 0.995 * plain
