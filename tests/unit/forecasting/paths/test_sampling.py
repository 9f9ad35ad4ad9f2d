"""Sample paths: a forecast's marginals exactly, the dependence of history, nothing of what comes later."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.signal import lfilter

from common.errors import UserError
from forecasting.bars import Bars
from forecasting.distribution import Distribution
from forecasting.paths.history import FEWEST, History, read_history, shared_moments
from forecasting.paths.rivals import (
    GarchPaths,
    block_bootstrap,
    correlated,
    gaussian_walk,
    independent,
    residual_correlation,
)
from forecasting.paths.sampling import generator, marginals, sample_paths, schaake_shuffle
from market.intervals import DAY, MINUTE
from support.markets import START, poisoned

LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
NORMAL = stats.norm.ppf(LEVELS)
HORIZON, COUNT, ROWS = 12, 500, 6000
AHEAD = START + DAY + MINUTE * np.arange(1, HORIZON + 1)


def frame(moves: np.ndarray, start: int = START) -> pd.DataFrame:
    """Candles of these log returns, their range as wide as the return."""
    close = 100 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "timestamp": start + MINUTE * np.arange(len(moves)),
            "open": opened,
            "high": np.maximum(opened, close),
            "low": np.minimum(opened, close),
            "close": close,
            "volume": 1.0,
        }
    )


def market(correlation: float, memory: float, rows: int = ROWS) -> dict[str, pd.DataFrame]:
    """Two symbols whose shocks are correlated, and whose returns are an AR(1) with this memory."""
    shocks = np.random.default_rng(5).multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], rows).T
    moves = lfilter([1e-3], [1, -memory], shocks, axis=1)
    return {"A": frame(moves[0]), "B": frame(moves[1])}


def bars(frames: Mapping[str, pd.DataFrame]) -> dict[str, Bars]:
    return {name: Bars.of(one, MINUTE) for name, one in frames.items()}


@pytest.fixture(scope="module")
def history() -> History:
    return read_history(bars(market(0.8, 0.0)), HORIZON)


def forecast(scale: float = 1e-3) -> np.ndarray:
    """Skewed quantiles [2, HORIZON, levels], of the second symbol ten times as wide."""
    width = scale * np.array([1, 10])[:, None, None] * np.sqrt(np.arange(1, HORIZON + 1))[:, None]
    return width * np.where(NORMAL > 0, 1.5, 1.0) * NORMAL + 0.1 * width


def drawn(history: History, seed: int = 1, origin: int = START, count: int = COUNT) -> np.ndarray:
    return sample_paths(marginals(forecast(), LEVELS, count), history, AHEAD, generator(seed, origin))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(stats.spearmanr(one, other).statistic)


def test_the_marginals_are_the_forecast_s_exactly(history: History) -> None:
    expected = Distribution(LEVELS, forecast()).quantile(((np.arange(COUNT) + 0.5) / COUNT)[:, None, None])
    np.testing.assert_array_equal(np.sort(drawn(history), axis=-1), np.moveaxis(expected, 0, -1))


def test_paths_depend_on_the_seed_and_the_origin_alone(history: History) -> None:
    np.testing.assert_array_equal(drawn(history), drawn(history))
    assert (drawn(history) != drawn(history, seed=2)).any()
    assert (drawn(history) != drawn(history, origin=START + MINUTE)).any()


@pytest.mark.parametrize("correlation", [0.8, 0.0, -0.5])
def test_symbols_move_together_as_they_did(correlation: float) -> None:
    paths = drawn(read_history(bars(market(correlation, 0.0)), HORIZON))
    expected = 6 / np.pi * np.arcsin(correlation / 2)  # Spearman's of a Gaussian
    for step in (0, HORIZON // 2, HORIZON - 1):
        assert rank_correlation(paths[0, step], paths[1, step]) == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize("memory", [0.6, 0.0, -0.6])
def test_steps_depend_on_each_other_as_they_did(memory: float) -> None:
    """Rank correlation of the returns after one and after several bars: of an AR(1), by its covariances."""
    paths, last = drawn(read_history(bars(market(0.5, memory)), HORIZON)), 4
    covariance = memory ** np.abs(np.subtract.outer(np.arange(last), np.arange(last)))
    pearson = covariance[0].sum() / np.sqrt(covariance.sum())
    expected = 6 / np.pi * np.arcsin(pearson / 2)
    assert rank_correlation(paths[0, 0], paths[0, last - 1]) == pytest.approx(expected, abs=0.12)


def test_independent_marginals_have_no_dependence_and_the_same_marginals(history: History) -> None:
    given = marginals(forecast(), LEVELS, COUNT)
    paths = independent(given, generator(1, START))
    np.testing.assert_array_equal(np.sort(paths, axis=-1), given)
    assert abs(rank_correlation(paths[0, 5], paths[0, 6])) < 0.15
    assert abs(rank_correlation(paths[0, 5], paths[1, 5])) < 0.15


def test_the_shuffle_by_hand_and_ties_stay_together() -> None:
    values = np.array([10.0, 20, 30, 40])
    assert schaake_shuffle(values, np.array([0.3, -1, 2, 0.1])).tolist() == [30, 10, 40, 20]
    assert schaake_shuffle(np.stack([values, values]), np.zeros((2, 4))).tolist() == [values.tolist()] * 2


def test_more_paths_than_moments(history: History) -> None:
    few = History(history.symbols, history.seasons, history.returns[:, :30], history.residuals[:, :30])
    np.testing.assert_array_equal(np.sort(drawn(few), axis=-1), marginals(forecast(), LEVELS, COUNT))


def test_one_path_is_the_median(history: History) -> None:
    np.testing.assert_allclose(drawn(history, count=1)[..., 0], forecast()[..., 3], atol=1e-15)


def test_a_season_ahead_is_put_into_the_templates() -> None:
    """A residual counts as much as the bar that it stands for is volatile: where volatile bars follow quiet ones, the
    first half says less of the end than where quiet ones follow."""
    rows = 8 * 1440
    times = START + MINUTE * np.arange(rows)
    volatile = times % DAY >= DAY // 2
    moves = np.random.default_rng(3).standard_normal(rows) * np.where(volatile, 1e-2, 1e-4)
    history = read_history(bars({"A": frame(moves)}), HORIZON)
    half = DAY // 2 - (HORIZON // 2) * MINUTE  # quiet bars, then volatile ones
    ahead = START // DAY * DAY + 9 * DAY + half + MINUTE * np.arange(HORIZON)
    given = marginals(np.tile(1e-3 * NORMAL, (1, HORIZON, 1)), LEVELS, COUNT)
    rising, falling = (sample_paths(given, history, times, generator(1, START)) for times in (ahead, ahead + DAY // 2))
    middle = HORIZON // 2 - 1
    assert rank_correlation(rising[0, middle], rising[0, -1]) < 0.65
    assert rank_correlation(falling[0, middle], falling[0, -1]) > 0.75


def test_no_window_crosses_a_gap_of_any_symbol() -> None:
    frames = market(0.5, 0.0, 400)
    frames["A"], frames["B"] = frames["A"].drop(index=100), frames["B"].drop(index=[200, 201])
    moments = (shared_moments(bars(frames), HORIZON) - START) // MINUTE
    spoilt = [range(100 - HORIZON, 101), range(200 - HORIZON, 202), range(400 - HORIZON, 400)]
    assert moments.tolist() == [row for row in range(400) if not any(row in span for span in spoilt)]
    assert np.isfinite(read_history(bars(frames), HORIZON).residuals).all()


def test_symbols_without_a_shared_history_are_one_line() -> None:
    late = frame(np.full(300, 1e-3), START + 10 * DAY)
    with pytest.raises(UserError, match=r"^A, LATE: their training shares 0 windows of 12 bars") as caught:
        read_history(bars({"A": market(0, 0)["A"], "LATE": late}), HORIZON)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"^SHORT: its training has 18 windows of 12 bars .* drop it from symbols$"):
        read_history(bars({"A": market(0, 0)["A"], "SHORT": frame(np.full(30, 1e-3))}), HORIZON)
    with pytest.raises(UserError, match=r"^NONE: its training has 0 windows"):
        read_history(bars({"NONE": late.iloc[:0]}), HORIZON)
    assert FEWEST == 20


def test_some_of_the_symbols(history: History) -> None:
    one = history.only(["B"])
    np.testing.assert_array_equal(one.residuals[0], history.residuals[1])
    assert history.only(["A", "B"]) is history


def test_a_frozen_price_has_no_residuals() -> None:
    history = read_history(bars({"A": frame(np.zeros(300))}), HORIZON)
    assert not history.residuals.any()


def test_what_comes_after_training_changes_nothing() -> None:
    frames, end = market(0.5, 0.3), START + 4000 * MINUTE
    spoilt = {name: poisoned(one, end - MINUTE) for name, one in frames.items()}
    one, two = (
        read_history({name: all_bars.before(end) for name, all_bars in bars(given).items()}, HORIZON)
        for given in (frames, spoilt)
    )
    np.testing.assert_array_equal(drawn(one), drawn(two))
    np.testing.assert_array_equal(
        block_bootstrap(one, COUNT, generator(1, 2)), block_bootstrap(two, COUNT, generator(1, 2))
    )
    origin = end + 100 * MINUTE
    later = {name: poisoned(one, origin) for name, one in frames.items()}
    fitted = [GarchPaths.fit(bars(given), end) for given in (frames, later)]
    same, other = (one.paths(["A", "B"], origin, (HORIZON, 50), generator(1, 2)) for one in fitted)
    np.testing.assert_array_equal(same, other)


def test_walks_reach_the_deviation_and_correlation() -> None:
    shocks = np.random.default_rng(1).standard_normal((2, HORIZON, 20_000))
    paths = gaussian_walk(np.array([1.0, 5.0]), correlated(shocks, np.array([[1, 0.6], [0.6, 1]])))
    np.testing.assert_allclose(paths[:, -1].std(axis=-1), [1, 5], rtol=0.02)
    np.testing.assert_allclose(paths[:, 0].std(axis=-1), np.array([1, 5]) / np.sqrt(HORIZON), rtol=0.02)
    assert np.corrcoef(paths[:, -1])[0, 1] == pytest.approx(0.6, abs=0.02)


def test_the_residuals_correlation_is_the_market_s(history: History) -> None:
    assert residual_correlation(history)[0, 1] == pytest.approx(0.8, abs=0.03)


def test_garch_paths_have_the_deviation_of_a_calm_market() -> None:
    frames = market(0.7, 0.0)
    paths = GarchPaths.fit(bars(frames), START + ROWS * MINUTE).paths(
        ["A", "B"], START + 5000 * MINUTE, (HORIZON, 4000), generator(1, 2)
    )
    np.testing.assert_allclose(paths[:, -1].std(axis=-1), 1e-3 * np.sqrt(HORIZON), rtol=0.12)
    assert np.corrcoef(paths[:, -1])[0, 1] == pytest.approx(0.7, abs=0.06)
