"""Scores and quantile files: hand-computed figures, and what theory says of a calibrated forecast."""

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import write_parquet
from forecasting import losses
from forecasting.quantiles import average, forecast_table, quantile_columns, read_forecasts, sort_quantiles

Spoil = Callable[[pd.DataFrame], pd.DataFrame]
LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]


def test_pinball_by_hand() -> None:
    loss = losses.pinball(np.array([2.0, -1.0]), np.array([[0.0, 1.0, 4.0], [0.0, 1.0, 4.0]]), [0.1, 0.5, 0.9])
    # above the forecast q times the error, below it (1 - q) times
    np.testing.assert_allclose(loss, [[0.2, 0.5, 0.2], [0.9, 1.0, 0.5]])


def test_pinball_of_a_calibrated_gaussian_is_its_density() -> None:
    normal = NormalDist()
    z = np.array([normal.inv_cdf(level) for level in LEVELS])
    realised_returns = np.array([normal.inv_cdf(p) for p in (np.arange(200_000) + 0.5) / 200_000])
    loss = losses.pinball(realised_returns, np.broadcast_to(z, (len(realised_returns), 7)), LEVELS).mean(axis=0)
    np.testing.assert_allclose(loss, [normal.pdf(value) for value in z], rtol=1e-3)


@pytest.mark.parametrize("shift, stretch", [(0.3, 1.0), (0.0, 0.7), (0.0, 1.4)])
def test_true_quantiles_score_best(shift: float, stretch: float) -> None:
    z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    realised_returns = np.random.default_rng(3).standard_normal((20_000, 1))
    true = losses.pinball(realised_returns, np.tile(z, (20_000, 1, 1)), LEVELS).mean()
    assert losses.pinball(realised_returns, np.tile(shift + stretch * z, (20_000, 1, 1)), LEVELS).mean() > true


def test_crps_weights_by_hand() -> None:
    np.testing.assert_allclose(losses.crps_weights([0.25, 0.5, 0.75]), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(losses.crps_weights([0.1, 0.5]), [0.5, 0.9])


def test_crps_of_many_levels_is_the_closed_form() -> None:
    quantile_levels = (np.arange(999) + 1) / 1000
    normal = NormalDist()
    z = np.array([normal.inv_cdf(level) for level in quantile_levels])
    for outcome in (0.0, 1.5):
        crps = losses.crps(losses.pinball(np.array(outcome), z, quantile_levels), quantile_levels)
        # Gneiting and Raftery (2007), equation 21
        exact = outcome * (2 * normal.cdf(outcome) - 1) + 2 * normal.pdf(outcome) - 1 / np.sqrt(np.pi)
        assert crps == pytest.approx(exact, abs=2e-3)


def test_coverage_counts_the_bounds() -> None:
    inside = losses.covered(np.array([-1.0, 0.0, 1.0, 1.1]), np.full(4, -1.0), np.full(4, 1.0))
    assert inside.tolist() == [True, True, True, False]


def test_price_error_is_relative_to_what_came() -> None:
    error = losses.price_error_percent(np.log([1.25, 0.8]), np.log([1.0, 1.0]))
    np.testing.assert_allclose(error, [20.0, 25.0])


def test_winkler_by_hand() -> None:
    score = losses.winkler(np.array([0.0, -1.5, 3.0]), np.full(3, -1.0), np.full(3, 1.0), 0.9)
    # the width of 2, and 20 for each unit outside
    np.testing.assert_allclose(score, [2, 12, 42])


def test_winkler_is_the_pinball_of_both_ends() -> None:
    actual = np.random.default_rng(1).standard_normal(50)
    ends = np.tile([-0.6, 0.8], (50, 1))
    loss = losses.pinball(actual, ends, [0.25, 0.75]).sum(axis=1)
    np.testing.assert_allclose(losses.winkler(actual, ends[:, 0], ends[:, 1], 0.5), loss * 2 / 0.5)


def test_pit_by_hand() -> None:
    quantiles = np.tile([-1.0, 0.0, 0.0, 1.0], (4, 1))
    shares = losses.pit(np.array([-2.0, 0.5, 0.0, 1.0]), quantiles)
    np.testing.assert_array_equal(shares, [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0.5, 0, 0.5, 0], [0, 0, 0, 0.5, 0.5]])


def test_pit_of_a_calibrated_forecast_is_uniform() -> None:
    z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    realised_returns = np.random.default_rng(2).standard_normal(50_000)
    shares = losses.pit(realised_returns, np.broadcast_to(z, (50_000, 7))).mean(axis=0)
    np.testing.assert_allclose(shares, np.diff([0, *LEVELS, 1]), atol=0.005)


def test_sort_quantiles_counts_rows() -> None:
    rows, crossings = sort_quantiles(np.array([[[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], [[1.0, 1.0, 2.0], [1.0, 3.0, 2.0]]]))
    assert crossings == 2
    assert (np.diff(rows) >= 0).all()


def test_average_is_by_level() -> None:
    np.testing.assert_allclose(average([np.array([[0.0, 1.0]]), np.array([[2.0, 5.0]])]), [[1.0, 3.0]])


def table() -> pd.DataFrame:
    return forecast_table(
        ["ETHUSDT", "BTCUSDT"],
        [np.array([60_000, 120_000]), np.array([60_000])],
        [np.arange(12.0).reshape(2, 2, 3), -np.arange(6.0).reshape(1, 2, 3)],
        [0.05, 0.5, 0.95],
    )


def test_forecasts_survive_the_file(tmp_path: Path) -> None:
    frame = table()
    assert list(frame.columns) == ["symbol", "origin", "step", "q0.05", "q0.5", "q0.95"]
    assert frame["symbol"].tolist() == ["BTCUSDT"] * 2 + ["ETHUSDT"] * 4
    write_parquet(tmp_path / "a.parquet", frame)
    read = read_forecasts(tmp_path / "a.parquet", 2, [0.05, 0.5, 0.95])
    assert read.symbol.tolist() == ["BTCUSDT", "ETHUSDT", "ETHUSDT"]
    assert read.origin.tolist() == [60_000, 60_000, 120_000]
    assert read.rows() == {"BTCUSDT": slice(0, 1), "ETHUSDT": slice(1, 3)}
    np.testing.assert_array_equal(read.quantiles[0], [[-2, -1, 0], [-5, -4, -3]])
    np.testing.assert_array_equal(read.quantiles[1:], np.arange(12.0).reshape(2, 2, 3))
    assert read.crossings == 2


def test_a_file_without_rows_is_a_forecast_of_nothing(tmp_path: Path) -> None:
    nothing = forecast_table(["BTCUSDT"], [np.empty(0, np.int64)], [np.empty((0, 2, 3))], [0.05, 0.5, 0.95])
    for name, frame in (("a", nothing), ("b", table().iloc[:0])):
        write_parquet(tmp_path / f"{name}.parquet", frame)
        read = read_forecasts(tmp_path / f"{name}.parquet", 2, [0.05, 0.5, 0.95])
        assert read.quantiles.shape == (0, 2, 3)
        assert read.rows() == {}


@pytest.mark.parametrize(
    "horizon, levels, spoil",
    [
        (3, [0.05, 0.5, 0.95], lambda frame: frame),
        (2, [0.1, 0.5, 0.9], lambda frame: frame),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.iloc[::-1]),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.iloc[[2, 3, 4, 5, 0, 1]]),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.iloc[[0, 1, 4, 5, 2, 3]]),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.iloc[:5]),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.assign(**{"q0.5": 99.0})),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.assign(**{"q0.5": np.nan})),
    ],
)
def test_other_forecasts_are_refused(tmp_path: Path, horizon: int, quantile_levels: list[float], spoil: Spoil) -> None:
    write_parquet(tmp_path / "a.parquet", spoil(table()))
    with pytest.raises(UserError, match=r"a\.parquet"):
        read_forecasts(tmp_path / "a.parquet", horizon, quantile_levels)


def test_quantile_columns() -> None:
    assert quantile_columns(LEVELS) == ["q0.05", "q0.1", "q0.25", "q0.5", "q0.75", "q0.9", "q0.95"]
