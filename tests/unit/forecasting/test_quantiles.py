"""Quantile forecasts: sorting, and their files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import write_parquet
from forecasting.quantiles import forecast_table, quantile_columns, read_forecasts, sort_quantiles

Spoil = Callable[[pd.DataFrame], pd.DataFrame]
LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]


def test_sort_quantiles_counts_rows() -> None:
    rows, crossings = sort_quantiles(np.array([[[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], [[1.0, 1.0, 2.0], [1.0, 3.0, 2.0]]]))
    assert crossings == 2
    assert (np.diff(rows) >= 0).all()


def table() -> pd.DataFrame:
    return forecast_table(
        ["ETHUSDT", "BTCUSDT"],
        [np.array([60_000, 120_000]), np.array([60_000])],
        [np.array([2000.1, 0.1 + 0.2]), np.array([67_123.45])],
        [np.arange(12.0).reshape(2, 2, 3), -np.arange(6.0).reshape(1, 2, 3)],
        [0.05, 0.5, 0.95],
    )


def test_floats_are_packed_without_loss(tmp_path: Path) -> None:
    values = np.sort(1e-3 * np.random.default_rng(1).standard_normal((500, 60, len(LEVELS))), axis=-1)
    frame = forecast_table(["A"], [np.arange(500) * 60_000], [np.ones(500)], [values], LEVELS)
    write_parquet(tmp_path / "a.parquet", frame)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), frame, check_exact=True)
    assert (tmp_path / "a.parquet").stat().st_size < 7.5 * values.size


def test_forecasts_round_trip(tmp_path: Path) -> None:
    frame = table()
    assert list(frame.columns) == ["symbol", "origin", "close", "step", "q0.05", "q0.5", "q0.95"]
    assert frame["symbol"].tolist() == ["BTCUSDT"] * 2 + ["ETHUSDT"] * 4
    write_parquet(tmp_path / "a.parquet", frame)
    read = read_forecasts(tmp_path / "a.parquet", 2, [0.05, 0.5, 0.95])
    assert read.symbol.tolist() == ["BTCUSDT", "ETHUSDT", "ETHUSDT"]
    assert read.origin.tolist() == [60_000, 60_000, 120_000]
    # of the last digits of a sum of prices nothing is kept
    assert read.close.tolist() == [67_123.45, 2000.1, 0.3]
    assert read.rows() == {"BTCUSDT": slice(0, 1), "ETHUSDT": slice(1, 3)}
    np.testing.assert_array_equal(read.quantiles[0], [[-2, -1, 0], [-5, -4, -3]])
    np.testing.assert_array_equal(read.quantiles[1:], np.arange(12.0).reshape(2, 2, 3))
    assert read.crossings == 2


def test_a_file_without_rows_holds_no_forecast(tmp_path: Path) -> None:
    none = [np.empty(0, np.int64)]
    empty = forecast_table(["BTCUSDT"], none, none, [np.empty((0, 2, 3))], [0.05, 0.5, 0.95])
    for name, frame in (("a", empty), ("b", table().iloc[:0])):
        write_parquet(tmp_path / f"{name}.parquet", frame)
        read = read_forecasts(tmp_path / f"{name}.parquet", 2, [0.05, 0.5, 0.95])
        assert read.quantiles.shape == (0, 2, 3)
        assert read.rows() == {}


@pytest.mark.parametrize(
    "horizon, quantile_levels, spoil",
    [
        (3, [0.05, 0.5, 0.95], lambda frame: frame),
        (2, [0.1, 0.5, 0.9], lambda frame: frame),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.iloc[::-1]),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.iloc[[2, 3, 4, 5, 0, 1]]),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.iloc[[0, 1, 4, 5, 2, 3]]),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.iloc[:5]),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.drop(columns="close")),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.assign(close=0.0)),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.assign(close=np.nan)),
        (2, [0.05, 0.5, 0.95], lambda frame: frame.assign(close=np.arange(6.0) + 1)),
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
