"""Features are causal, warm when they start, right by hand, and never reach over a gap."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from make_features import make_features, mean_return
from market.indicators import (
    CROSS,
    calendar,
    feature_names,
    features,
    garman_klass,
    parkinson,
    segments,
)
from market.intervals import MINUTE
from market.warmup import warm_up
from support.candles import SPANS, candles, others, relative_of


def written(folder: Path, **frames: pd.DataFrame) -> list[str]:
    """The frames as candle files; their paths."""
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return [str(folder / f"{name}.parquet") for name in frames]


def wild(frame: pd.DataFrame, power: float) -> pd.DataFrame:
    """The same coin with returns `power` times as large."""
    prices = ["open", "high", "low", "close"]
    return frame.assign(**{name: 100 * (frame[name] / 100) ** power for name in prices})


def test_longer_history_gives_the_same_features() -> None:
    """The warm-up is long enough: what starts later agrees from its first row on."""
    long = candles(6000)
    short = long.iloc[2500:].reset_index(drop=True)
    whole = features(long, others(long), SPANS, MINUTE)
    part = features(short, others(long), SPANS, MINUTE)
    assert len(part) == len(short) - warm_up(SPANS)
    tail = whole.tail(len(part)).reset_index(drop=True)
    pd.testing.assert_frame_equal(part, tail, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("cut", [700, 1500])
def test_nothing_after_a_row_changes_it(cut: int) -> None:
    before = candles(2000)
    after = before.copy()
    poison = np.random.default_rng(1).uniform(0.5, 2, len(after) - cut)
    for name in ("open", "high", "low", "close"):
        after.loc[cut:, name] *= poison
    after.loc[cut:, "volume"] = 0.0
    mine, theirs = (features(frame, others(frame), SPANS, MINUTE) for frame in (before, after))
    known = mine["timestamp"] < before["timestamp"][cut]
    assert known.sum() == cut - warm_up(SPANS)
    assert mine[known].to_numpy().tobytes() == theirs[known.to_numpy()].to_numpy().tobytes()


def test_values_by_hand() -> None:
    frame = candles(400)
    made = features(frame, others(frame), SPANS, MINUTE)
    row, at = made.iloc[-1], len(frame) - 1
    logs = np.log(frame["close"].to_numpy())
    returns = np.diff(logs)
    scale = np.sqrt(np.mean([np.mean(returns[-span:] ** 2) for span in SPANS]))
    assert row["scale"] == pytest.approx(scale, rel=1e-9)
    assert row["return_15"] == pytest.approx((logs[at] - logs[at - 15]) / (scale * np.sqrt(15)), rel=1e-5)
    assert row["volatility_60"] == pytest.approx(np.log(np.sqrt(np.mean(returns[-60:] ** 2)) / scale), abs=1e-5)
    volume = frame["volume"].to_numpy()
    assert row["volume_5"] == pytest.approx(np.log(volume[-5:].mean() / volume[-240:].mean()), abs=1e-5)
    assert row["average_distance_240"] == pytest.approx((logs[at] - logs[-240:].mean()) / (scale * 240**0.5), abs=1e-5)
    assert row["log_scale"] == pytest.approx(np.log(scale), rel=1e-5)
    assert row[CROSS] == pytest.approx(others(frame)["relative_return"].iloc[-1], rel=1e-5)


def test_a_relative_return_by_hand() -> None:
    frame = candles(400)
    returns = np.diff(np.log(frame["close"].to_numpy()))
    relative = relative_of(frame)
    assert np.isnan(relative[: max(SPANS)]).all() and np.isfinite(relative[max(SPANS) :]).all()
    for row in (max(SPANS), 300, 399):
        last = returns[row - max(SPANS) : row]
        assert relative[row] == pytest.approx(last[-1] / np.sqrt(np.mean(last**2)), rel=1e-9)


def test_a_relative_return_is_none_over_a_gap_and_at_a_price_that_stands_still() -> None:
    frame = candles(2000)
    frame.loc[1300:1700, "close"] = frame["close"][1300]
    frame = frame.drop(index=[700, 701])
    known = frame.index[np.isfinite(relative_of(frame))]
    assert known.tolist() == [*range(240, 700), *range(702 + 240, 1300 + 240), *range(1701, 2000)]


def test_the_others_count_alike_however_wild(tmp_path: Path) -> None:
    calm, other = candles(500, seed=3), candles(500, seed=4)
    tame = mean_return(written(tmp_path, a=calm, b=other), max(SPANS), "1m")
    mixed = mean_return(written(tmp_path, a=calm, b=wild(other, 50)), max(SPANS), "1m")
    np.testing.assert_allclose(tame["relative_return"], mixed["relative_return"], rtol=1e-6, atol=1e-9)
    hand = (relative_of(calm) + relative_of(other)) / 2
    np.testing.assert_allclose(tame["relative_return"], hand[max(SPANS) :], rtol=1e-12)


def test_the_mean_is_that_of_the_symbols_that_have_a_value(tmp_path: Path) -> None:
    frames = {
        "a": candles(900, seed=1),
        "b": candles(700, seed=2).iloc[100:],
        "c": candles(900, seed=3).drop(index=400),
        "none": candles(100, seed=4),
    }
    mean = mean_return(written(tmp_path, **frames), max(SPANS), "1m")
    columns = [pd.Series(relative_of(frame), index=frame["timestamp"]) for frame in frames.values()]
    expected = pd.concat(columns, axis=1).mean(axis=1).dropna()
    np.testing.assert_array_equal(mean["timestamp"], expected.index)
    np.testing.assert_allclose(mean["relative_return"], expected, rtol=1e-12)
    assert mean["timestamp"].dtype == np.int64
    assert mean_return(written(tmp_path, none=frames["none"]), max(SPANS), "1m").empty


def test_the_others_are_warm_where_the_own_candles_are(tmp_path: Path) -> None:
    """From files alone: a history that starts later agrees from its first row on, and no later bar matters."""
    frames = {name: candles(2000, seed=seed) for seed, name in enumerate("abc")}
    first, last = 900, 1800
    made = []
    for number, rows in enumerate((slice(0, 2000), slice(first, last))):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths = written(folder, **{name: frame.iloc[rows] for name, frame in frames.items()})
        make_features(str(folder / "out.parquet"), paths[0], paths[1:], SPANS, "1m")
        made.append(pd.read_parquet(folder / "out.parquet").set_index("timestamp")[CROSS])
    whole, part = made
    assert len(part) == last - first - warm_up(SPANS) and part.abs().min() > 0
    np.testing.assert_allclose(part, whole.loc[part.index], rtol=1e-5, atol=2e-6)


def test_range_volatility_is_that_of_its_papers() -> None:
    one = np.array([100.0]), np.array([104.0]), np.array([98.0]), np.array([103.0])
    assert parkinson(one[1], one[2])[0] == pytest.approx(0.0012735, rel=1e-3)
    assert garman_klass(*one)[0] == pytest.approx(0.5 * 0.0035309 - 0.386294 * 0.00087373, rel=1e-3)


def test_calendar_is_that_of_the_bar_close() -> None:
    # the bar that opens at 23:59 on a Thursday closes at midnight, when the day's wave is at its start
    waves = calendar(np.array([86_400_000 - MINUTE]), MINUTE)
    np.testing.assert_allclose(waves[0, :2], [0, 1], atol=1e-6)
    np.testing.assert_allclose(waves[0, 2:], [np.sin(2 * np.pi / 7), np.cos(2 * np.pi / 7)], atol=1e-6)


def test_a_gap_starts_anew() -> None:
    frame = candles(2000).drop(index=range(1000, 1080)).reset_index(drop=True)
    made = features(frame, None, SPANS, MINUTE)
    warm = warm_up(SPANS)
    assert made["segment"].tolist() == [0] * (1000 - warm) + [1] * (920 - warm)
    steps = np.diff(made["timestamp"])
    assert (steps[np.diff(made["segment"]) == 0] == MINUTE).all()
    alone = features(frame.iloc[1000:].reset_index(drop=True), None, SPANS, MINUTE)
    after = made[made["segment"] == 1].drop(columns="segment").reset_index(drop=True)
    pd.testing.assert_frame_equal(after, alone.drop(columns="segment"), rtol=1e-5, atol=1e-6)


def test_a_frozen_price_has_no_features() -> None:
    frame = candles(1500)
    frame.loc[600:1000, ["open", "high", "low", "close"]] = frame["close"][599]
    frame.loc[600:1000, "volume"] = 0.0
    made = features(frame, None, SPANS, MINUTE)
    assert np.isfinite(made.to_numpy()).all()
    frozen = made["timestamp"].between(frame["timestamp"][600 + 240], frame["timestamp"][1000])
    assert not frozen.any()
    assert made["segment"].nunique() == 2


def test_too_short_a_history_has_no_features() -> None:
    assert features(candles(warm_up(SPANS)), None, SPANS, MINUTE).empty


def test_names_are_the_columns() -> None:
    frame = candles(500)
    keys = ["timestamp", "segment", "close", "scale"]
    assert list(features(frame, others(frame), SPANS, MINUTE)) == [*keys, *feature_names(SPANS, others=True)]
    assert list(features(frame, None, SPANS, MINUTE)) == [*keys, *feature_names(SPANS, others=False)]


def test_segments_count_the_unbroken_runs() -> None:
    assert segments(np.array([0, 1, 2, 5, 6, 9]), 1).tolist() == [0, 0, 0, 1, 1, 2]
