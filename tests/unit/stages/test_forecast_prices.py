"""The table of the live forecast: its prices and its probability of a rise are those of the file of quantiles."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from common.errors import UserError
from common.files import read_csv, write_parquet
from forecast_prices import forecast_prices
from forecasting.members import ENSEMBLE
from forecasting.quantiles import forecast_table, quantile_columns
from forecasting.task import Task
from market.intervals import DAY
from support.evaluations import LEVELS
from support.worlds import World

TASK = Task("1d", lookback=1, horizon=2, quantile_levels=LEVELS)
ORIGIN = 19_700 * DAY


def table(folder: Path, quantiles: list[Any], closes: list[float], task: Task = TASK) -> pd.DataFrame:
    """The rule's table of forecasts of symbols A, B, … from one origin."""
    names, origins = [chr(ord("A") + place) for place in range(len(closes))], [np.array([ORIGIN])] * len(closes)
    frame = forecast_table(names, origins, [np.array([close]) for close in closes], quantiles, task.quantile_levels)
    write_parquet(folder / "live.parquet", frame)
    forecast_prices(str(folder / "forecast.csv"), str(folder / "live.parquet"), task)
    return read_csv(folder / "forecast.csv")


def gaussian(mean: float, deviation: float) -> np.ndarray:
    """Quantiles [1, 2, levels] of two steps, the second twice as wide as the first."""
    return mean + deviation * np.array([[[1.0], [2.0]]]) * norm.ppf(LEVELS)


def test_prices_and_probabilities_by_hand(tmp_path: Path) -> None:
    found = table(tmp_path, [gaussian(0.01, 0.02), gaussian(0.0, 0.1)], [50_000.5, 0.0123])
    assert list(found.columns) == [
        "symbol", "origin", "close", "step", "time", *(f"price_{name}" for name in quantile_columns(LEVELS)), "p_up"
    ]  # fmt: skip
    assert found["symbol"].tolist() == ["A", "A", "B", "B"] and found["step"].tolist() == [1, 2, 1, 2]
    assert found["close"].tolist() == [50_000.5, 50_000.5, 0.0123, 0.0123]
    # the bar that opens at the origin closes a day later, and the first step another day later
    assert set(found["origin"]) == {"2023-12-09T00:00:00Z"}
    assert found["time"].tolist() == ["2023-12-11T00:00:00Z", "2023-12-12T00:00:00Z"] * 2
    assert found["price_q0.95"][1] == pytest.approx(50_000.5 * np.exp(0.01 + 0.04 * 1.6448536), rel=1e-8)
    assert found["price_q0.5"].tolist() == pytest.approx([50_000.5 * np.exp(0.01)] * 2 + [0.0123] * 2, rel=1e-8)
    # of a Gaussian it is Φ(mean / deviation)
    assert found["p_up"].tolist() == pytest.approx([norm.cdf(0.5), norm.cdf(0.25), 0.5, 0.5], abs=1e-5)


def test_a_price_that_stays_is_no_rise(tmp_path: Path) -> None:
    """Quantiles of 0 from 0.25 to 0.75: half of the distribution is no change."""
    still = np.where((np.array(LEVELS) >= 0.25) & (np.array(LEVELS) <= 0.75), 0.0, norm.ppf(LEVELS))
    found = table(tmp_path, [np.tile(still, (1, 2, 1)), np.zeros((1, 2, len(LEVELS)))], [10.0, 20.0])
    assert found["p_up"].tolist() == pytest.approx([0.25, 0.25, 0, 0])


def test_each_close_is_the_last_candle_s(tmp_path: Path) -> None:
    world = World(tmp_path)
    found = read_csv(world.prices)
    live = pd.read_parquet(world.forecast(ENSEMBLE))
    for symbol in world.symbols:
        last = pd.read_parquet(world.candles(symbol)).iloc[-1]
        rows = live[live["symbol"] == symbol]
        assert set(rows["close"]) == {float(f"{last['close']:.12g}")} and set(rows["origin"]) == {last["timestamp"]}
        prices = last["close"] * np.exp(rows["q0.05"].to_numpy())
        assert found.loc[found["symbol"] == symbol, "price_q0.05"].tolist() == pytest.approx(prices.tolist(), rel=1e-9)


def test_origins_since_training_are_no_part_of_the_table(tmp_path: Path) -> None:
    alone = table(tmp_path, [gaussian(0.01, 0.02)], [50.0])
    origins, closes = np.array([ORIGIN - DAY, ORIGIN]), np.array([40.0, 50.0])
    both = np.concatenate([gaussian(-0.5, 0.1), gaussian(0.01, 0.02)])
    write_parquet(tmp_path / "live.parquet", forecast_table(["A"], [origins], [closes], [both], LEVELS))
    forecast_prices(str(tmp_path / "forecast.csv"), str(tmp_path / "live.parquet"), TASK)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "forecast.csv"), alone)


def test_the_same_forecast_gives_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for _ in range(2):
        table(tmp_path, [gaussian(0.01, 0.02)], [50_000.5])
        files.append((tmp_path / "forecast.csv").read_bytes())
    assert files[0] == files[1]


def test_a_file_without_forecasts_is_one_line(tmp_path: Path) -> None:
    none = [np.empty(0)]
    empty = forecast_table(["A"], none, none, [np.empty((0, 2, len(LEVELS)))], LEVELS)
    older = forecast_table(["A"], [np.array([0])], [np.ones(1)], [gaussian(0, 1)], LEVELS).drop(columns="close")
    for frame, said in (
        (empty, "holds no forecast"),
        (older, "does not hold sorted steps 1 to 2 of q0.05.*, with the close"),
    ):
        write_parquet(tmp_path / "live.parquet", frame)
        with pytest.raises(UserError, match=f"live.parquet: {said}.*; delete it and run again to rebuild it$"):
            forecast_prices(str(tmp_path / "forecast.csv"), str(tmp_path / "live.parquet"), TASK)
    assert not (tmp_path / "forecast.csv").exists()
