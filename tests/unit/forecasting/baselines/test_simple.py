"""The baselines: their formulas by hand, no use of what comes after the origin, and the rule's files."""

from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import write_json, write_parquet
from forecasting.bars import Bars
from forecasting.baselines.fhs import symmetric_quantiles
from forecasting.baselines.interface import BaselineSettings, SymbolSeries, load_baseline
from forecasting.folds import FoldScheme, contiguous
from forecasting.members import BASELINES
from forecasting.quantiles import read_forecasts
from forecasting.split import FoldFiles
from forecasting.task import Task
from market.intervals import DAY, MINUTE, season_bars
from predict_baselines import predict_baselines

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
# ten bars of this interval are a season; otherwise baselines take a bar's length from the bars, of a minute
TASK = Task("144m", lookback=1, horizon=6, quantile_levels=LEVELS)
SETTINGS = BaselineSettings(ewma_halflife=5, drift_halflife=20, refit_bars=None)
EVERY = pytest.mark.parametrize("name", BASELINES)
START = 1_700_000_040_000 // MINUTE * MINUTE


def bars_of(log_close: np.ndarray, segment: np.ndarray, start: int = START) -> Bars:
    """The bars of `candles_of`."""
    return Bars.of(candles_of(log_close, segment, start), MINUTE)


def candles_of(log_close: np.ndarray, segment: np.ndarray, start: int = START) -> pd.DataFrame:
    """Candles with these closes, each opening at the close before it: ten bars are missing before each segment."""
    times = start + MINUTE * (np.arange(len(segment)) + 10 * segment.astype(np.int64))
    close = np.exp(log_close)
    before = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(before, close), np.minimum(before, close)
    return pd.DataFrame(
        {"timestamp": times, "open": before, "high": high, "low": low, "close": close, "volume": np.ones(len(close))}
    )


def forecast_of(
    name: str,
    history: Bars,
    bars: Bars,
    origins: np.ndarray | list[int],
    task: Task = TASK,
    settings: BaselineSettings = SETTINGS,
) -> np.ndarray:
    """A baseline's forecasts of one symbol."""
    return load_baseline(name)([SymbolSeries(history, bars, np.asarray(origins))], task, settings)[0]


def task_of(horizon: int, interval: str = "1m") -> Task:
    return Task(interval, lookback=1, horizon=horizon, quantile_levels=LEVELS)


def half_lives(bars: float, drift: float | None = None) -> BaselineSettings:
    return BaselineSettings(ewma_halflife=bars, drift_halflife=drift or bars, refit_bars=None)


def walk(rows: int = 400, seed: int = 1, gaps: tuple[int, ...] = ()) -> Bars:
    returns = np.random.default_rng(seed).standard_normal(rows) * 0.01
    segment = np.isin(np.arange(rows), gaps).cumsum().astype(np.int32)
    return bars_of(returns.cumsum(), segment)


def until(bars: Bars, end: int) -> Bars:
    return bars_of(bars.log_close[:end], bars.segment[:end])


@EVERY
def test_shape_order_and_spread(name: str) -> None:
    bars = walk()
    forecast = forecast_of(name, until(bars, 300), bars, np.array([310, 350]))
    assert forecast.shape == (2, 6, 5)
    assert (np.diff(forecast, axis=2) > 0).all()


@EVERY
def test_what_comes_after_the_origin_changes_nothing(name: str) -> None:
    bars, origin = walk(), 310
    later = bars.log_close.copy()
    later[origin + 1 :] = np.random.default_rng(9).standard_normal(len(later) - origin - 1)
    first, second = (
        forecast_of(name, until(bars, 300), bars_of(logs, bars.segment), np.array([origin]))
        for logs in (bars.log_close, later)
    )
    assert first.tobytes() == second.tobytes()


@EVERY
def test_what_comes_at_the_origin_or_before_may_change_it_only_as_stated(name: str) -> None:
    bars = walk()
    moved = bars.log_close.copy()
    moved[300:] += 0.5  # one jump behind the origin, after the history
    first, second = (
        forecast_of(name, until(bars, 290), bars_of(logs, bars.segment), np.array([305]))
        for logs in (bars.log_close, moved)
    )
    assert (first.tobytes() == second.tobytes()) == (name == "random_walk")


@EVERY
def test_fitted_on_the_history_alone(name: str) -> None:
    bars = walk(gaps=(200,))
    # the state at row 201 is one bar old, so the history's variance is still in it
    first, second = (
        forecast_of(name, history, bars, np.array([201]))
        for history in (until(bars, 190), bars_of(3 * bars.log_close[:190], bars.segment[:190]))
    )
    assert np.ptp(second, axis=2).min() > 1.5 * np.ptp(first, axis=2).min()


def test_symmetric_quantiles_are_those_of_the_mirrored_sample() -> None:
    samples = np.random.default_rng(2).standard_normal((20_001, 1)) ** 3 + 0.2
    spread = symmetric_quantiles(samples, LEVELS)[0]
    np.testing.assert_allclose(spread, np.quantile(np.concatenate([samples, -samples]), LEVELS), rtol=0.01, atol=1e-3)
    assert spread[2] == 0
    np.testing.assert_allclose(spread, -spread[::-1])


def test_random_walk_by_hand() -> None:
    # one-bar returns: 1 -1 1 -1 …, two-bar returns: 0
    history = bars_of(np.tile([0.0, 1.0], 20), np.zeros(40, dtype=np.int32))
    forecast = forecast_of("random_walk", history, history, np.array([39]), task_of(2))
    np.testing.assert_array_equal(forecast[0], [[-1, -1, 0, 1, 1], [0, 0, 0, 0, 0]])


def test_random_walk_windows_do_not_cross_gaps() -> None:
    history = bars_of(np.repeat([0.0, 50.0], 20), np.repeat([0, 1], 20).astype(np.int32))
    assert (forecast_of("random_walk", history, history, np.array([39])) == 0).all()


def test_ewma_by_hand() -> None:
    history = bars_of(np.array([0.0, 0.1, 0.0, 0.1, 0.0]), np.zeros(5, dtype=np.int32))  # variance 0.01
    bars = bars_of(np.array([5.0, 5.3, 5.3, 9.0, 9.2]), np.array([0, 0, 0, 1, 1], dtype=np.int32))
    forecast = forecast_of("ewma", history, bars, np.array([0, 1, 2, 3, 4]), task_of(4), half_lives(1))
    # halves at every bar: (0.01 + 0.09) / 2, then that / 2; after the gap it restarts
    variance = np.array([0.01, 0.05, 0.025, 0.01, (0.01 + 0.04) / 2])
    steps = np.arange(1, 5)
    np.testing.assert_allclose(forecast[:, :, 4], np.sqrt(variance[:, None] * steps) * NormalDist().inv_cdf(0.95))
    assert (forecast[:, :, 2] == 0).all()


def test_ewma_drift_by_hand() -> None:
    bars = bars_of(np.array([0.0, 0.4, 0.4, 7.0]), np.array([0, 0, 0, 1], dtype=np.int32))
    history = walk()
    forecast = forecast_of("ewma_drift", history, bars, np.arange(4), task_of(3), half_lives(1))
    np.testing.assert_allclose(forecast[:, :, 2], np.outer([0, 0.2, 0.1, 0], [1, 2, 3]), atol=1e-15)
    plain = forecast_of("ewma", history, bars, np.arange(4), task_of(3), half_lives(1))
    np.testing.assert_allclose(forecast - forecast[:, :, 2:3], plain, atol=1e-15)


def test_ewma_covers_what_it_says() -> None:
    bars = walk(20_000)
    origins = np.arange(10_000, 19_990)
    forecast = forecast_of("ewma", until(bars, 10_000), bars, origins, task_of(3), half_lives(200))
    realised = bars.log_close[origins[:, None] + np.arange(1, 4)] - bars.log_close[origins, None]
    inside = ((forecast[:, :, 0] <= realised) & (realised <= forecast[:, :, 4])).mean(axis=0)
    np.testing.assert_allclose(inside, 0.9, atol=0.02)


def test_seasonal_naive_repeats_the_season() -> None:
    season = np.array([0.0, 1.0, 3.0])  # and 5 a season more
    bars = bars_of((season + 5 * np.arange(30)[:, None]).ravel(), np.zeros(90, dtype=np.int32))
    # three bars of eight hours are a day
    forecast = forecast_of("seasonal_naive", until(bars, 60), bars, np.array([72]), task_of(7, "8h"))
    # a perfect season leaves no error, beyond one season too
    np.testing.assert_allclose(forecast[0], np.repeat([[1], [3], [5], [6], [8], [10], [11]], 5, axis=1), atol=1e-12)


def test_seasonal_naive_without_a_season_is_the_random_walk() -> None:
    bars = walk(gaps=(305,))
    history = until(bars, 300)
    origins = np.array([304, 310, 315])
    forecast, plain = (forecast_of(name, history, bars, origins) for name in ("seasonal_naive", "random_walk"))
    assert (forecast[1] == plain[1]).all()
    assert (forecast[[0, 2], :, 2] != 0).all()
    short = until(bars, 12)  # no window with 10 bars behind and 6 ahead
    forecast, plain = (forecast_of(name, short, bars, origins) for name in ("seasonal_naive", "random_walk"))
    assert (forecast == plain).all()


@pytest.mark.parametrize("step, bars", [(MINUTE, 1440), (15 * MINUTE, 96), (240 * MINUTE, 6), (DAY, 7), (7 * DAY, 1)])
def test_season_bars(step: int, bars: int) -> None:
    assert season_bars(step) == bars


RULE: dict[str, Any] = {
    "task": Task("1m", lookback=20, horizon=6, quantile_levels=LEVELS),
    "scheme": FoldScheme(count=2, test_bars=100, embargo=6, validation_fraction=0.2),
    "stride": 5,
    "settings": half_lives(30, 60),
}


WARM = 50  # bars that a segment of features lacks at its start


def files(folder: Path, symbol: str, bars: Bars, start: int = START) -> dict[str, list[str]]:
    """Candles and features of one symbol: the paths of its files."""
    frame = candles_of(bars.log_close, bars.segment, start)
    paths = {kind: str(folder / kind / f"{symbol}.parquet") for kind in ("candles", "features")}
    write_parquet(paths["candles"], frame)
    warm = frame.assign(segment=bars.segment)[contiguous(bars.segment, WARM, 0)]
    write_parquet(paths["features"], warm[["timestamp", "segment"]])
    return {kind: [path] for kind, path in paths.items()}


def cutoff_file(path: Path, rows: int) -> str:
    write_json(path, {"as_of": START + rows * MINUTE})
    return str(path)


def outputs(folder: Path) -> dict[str, str]:
    return {name: str(folder / f"{name}.parquet") for name in BASELINES}


def predict(written: dict[str, str], cutoff: str, fold: str, paths: dict[str, list[str]], **live: Any) -> None:
    """The rule, with the validation forecasts beside the others. live: other files of the live fold."""
    before = {name: str(Path(path).parent / "validation" / f"{name}.parquet") for name, path in written.items()}
    given: dict[str, Any] = {
        "features": paths["features"],
        "train_features": paths["features"],
        "candles": paths["candles"],
        "live_candles": [],
        "train_cutoff": cutoff,
    }
    predict_baselines(written, before, files=FoldFiles(fold=fold, cutoff=cutoff, **given | live), **RULE)


def test_rule_writes_a_fold(tmp_path: Path) -> None:
    eth, btc = (files(tmp_path, name, walk(600, seed)) for seed, name in enumerate(("ETH", "BTC")))
    written, cutoff = outputs(tmp_path / "1"), cutoff_file(tmp_path / "cutoff.json", 600)
    predict(written, cutoff, "1", {kind: eth[kind] + btc[kind] for kind in eth})
    for path in written.values():
        read = read_forecasts(path, 6, LEVELS)
        assert list(read.rows()) == ["BTC", "ETH"]
        # rows 500 to 599 are tested; the last origin with all targets inside is 590
        np.testing.assert_array_equal(read.origin[:19], START + MINUTE * np.arange(500, 591, 5))
    ewma = read_forecasts(written["ewma"], 6, LEVELS)
    bars = walk(600, 0)
    expected = forecast_of("ewma", until(bars, 494), bars, np.arange(500, 591, 5), task_of(6), half_lives(30, 60))
    np.testing.assert_allclose(ewma.quantiles[19:], expected, rtol=1e-9, atol=1e-10)


def test_rule_writes_the_live_origin_and_those_since_training(tmp_path: Path) -> None:
    for path in live_forecasts(tmp_path, walk(600), walk(697)).values():
        read = read_forecasts(path, 6, LEVELS)
        assert read.origin.tolist() == [START + row * MINUTE for row in [*range(600, 696, 5), 696]]


def live_forecasts(folder: Path, fitted: Bars, current: Bars, skipped: int = 0) -> dict[str, str]:
    """The live forecasts from the bars `current`, of which the first `skipped` are not fetched."""
    past = files(folder / "train", "BTC", fitted)
    kept = bars_of(current.log_close[skipped:], current.segment[skipped:])
    live = files(folder / "live", "BTC", kept, START + skipped * MINUTE)
    written, cutoff = outputs(folder), cutoff_file(folder / "cutoff.json", len(current.segment))
    trained = cutoff_file(folder / "train.json", len(fitted.segment))
    later = {"features": live["features"], "live_candles": live["candles"], "train_cutoff": trained}
    predict(written, cutoff, "live", past, **later)
    return written


@pytest.mark.parametrize("end", [3600, 3650, 3700])
def test_ten_half_lives_of_live_candles_are_as_good_as_all(tmp_path: Path, end: int) -> None:
    bars = walk(4000)
    factor = 1 + 2 * (np.arange(4000) < 3300)  # the volatility now is not that of the history
    bars = bars_of((np.diff(bars.log_close, prepend=0) * factor).cumsum(), bars.segment)
    needed = 10 * int(RULE["settings"].drift_halflife) + 1
    whole = live_forecasts(tmp_path / "whole", until(bars, 3000), until(bars, end))
    short = live_forecasts(tmp_path / "short", until(bars, 3000), until(bars, end), end - needed)
    for name in ("ewma", "ewma_drift"):
        one, two = (read_forecasts(paths[name], 6, LEVELS).quantiles[-1:] for paths in (whole, short))
        # where the live candles follow on the training's, nothing is missing at all
        assert np.array_equal(one, two) == (end - needed <= 3000)
        np.testing.assert_allclose(one, two, atol=0.002 * np.ptp(one, axis=2).min(), rtol=0)
        np.testing.assert_allclose(np.ptp(one, axis=2), np.ptp(two, axis=2), rtol=0.002)


def test_rule_sees_the_candles_that_warm_the_features_up(tmp_path: Path) -> None:
    """After a gap the first origin has WARM + lookback candles behind it: all of them count."""
    bars = walk(600, gaps=(520,))
    paths = files(tmp_path, "BTC", bars)
    written, cutoff = outputs(tmp_path / "1"), cutoff_file(tmp_path / "cutoff.json", 610)
    predict(written, cutoff, "1", paths)
    for name, path in written.items():
        read = read_forecasts(path, 6, LEVELS)
        rows = (read.origin - START) // MINUTE - 10 * (read.origin >= START + 530 * MINUTE)
        assert 520 + WARM + RULE["task"].lookback - 1 <= rows[-1]
        expected = forecast_of(name, until(bars, 504), bars, rows, task_of(6), half_lives(30, 60))
        np.testing.assert_allclose(read.quantiles, expected, rtol=1e-9, atol=1e-10)
    features = pd.read_parquet(paths["features"][0])
    assert (pd.read_parquet(paths["candles"][0])["timestamp"].isin(features["timestamp"])).sum() == 600 - 2 * WARM


def test_candles_without_an_origin_s_bar_are_refused(tmp_path: Path) -> None:
    paths, cutoff = files(tmp_path, "BTC", walk(600)), cutoff_file(tmp_path / "cutoff.json", 600)
    candles = pd.read_parquet(paths["candles"][0])
    write_parquet(paths["candles"][0], candles[candles["timestamp"] != START + 505 * MINUTE])
    with pytest.raises(UserError, match="^BTC: the candles lack bars that the features have"):
        predict(outputs(tmp_path), cutoff, "1", paths)


def test_rule_is_blind_to_the_test_span_of_later_folds(tmp_path: Path) -> None:
    """All closes from fold 0's last target on are changed: its bytes are not."""
    bars, cutoff = walk(600), cutoff_file(tmp_path / "cutoff.json", 600)
    poisoned = bars.log_close.copy()
    poisoned[500:] *= -3
    contents = []
    for folder, logs in (("a", bars.log_close), ("b", poisoned)):
        written = outputs(tmp_path / folder / "0")
        predict(written, cutoff, "0", files(tmp_path / folder, "BTC", bars_of(logs, bars.segment)))
        contents.append([Path(path).read_bytes() for path in written.values()])
    assert contents[0] == contents[1]


def test_fold_without_origins_is_refused(tmp_path: Path) -> None:
    gaps = tuple(range(500, 600, 9))
    paths = files(tmp_path, "BTC", walk(600, gaps=gaps))
    cutoff = cutoff_file(tmp_path / "cutoff.json", 600 + 10 * len(gaps))
    message = r"fold 1: no symbol has training windows and an origin with 20 \+ 6 contiguous bars"
    with pytest.raises(UserError, match=message):
        predict(outputs(tmp_path), cutoff, "1", paths)
    assert not list(tmp_path.glob("*_*.parquet"))


def test_symbol_without_history_is_refused(tmp_path: Path) -> None:
    paths = files(tmp_path, "BTC", walk(600), start=START + 490 * MINUTE)
    cutoff = cutoff_file(tmp_path / "cutoff.json", 600)
    with pytest.raises(UserError, match=r"fold 1 \(validation\): no symbol has training windows and an origin with 20"):
        predict(outputs(tmp_path), cutoff, "1", paths)
