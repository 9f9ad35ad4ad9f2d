"""Features are causal, warm when they start, right by hand, never reach over a gap, and are listed in one registry."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from make_features import make_features, others_relative_returns
from market import features
from market.features import FEATURES, OTHERS_RETURN, Feature, Segment, compute_features, feature_names
from market.intervals import MINUTE
from market.warmup import warm_up
from support.candles import SPANS, candles, others, relative_of


def written(folder: Path, **frames: pd.DataFrame) -> list[str]:
    """The frames as candle files; their paths."""
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return [str(folder / f"{name}.parquet") for name in frames]


def volatile(frame: pd.DataFrame, power: float) -> pd.DataFrame:
    """The same coin with returns `power` times as large."""
    prices = ["open", "high", "low", "close"]
    return frame.assign(**{name: 100 * (frame[name] / 100) ** power for name in prices})


def mean_of_others(paths: list[str]) -> pd.DataFrame:
    """That of the first of these symbols."""
    return next(others_relative_returns(paths, max(SPANS), "1m"))


def test_longer_history_gives_the_same_features() -> None:
    """The warm-up is long enough: what starts later agrees from its first row on."""
    long = candles(6000)
    short = long.iloc[2500:].reset_index(drop=True)
    whole = compute_features(long, others(long), SPANS, MINUTE)
    part = compute_features(short, others(long), SPANS, MINUTE)
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
    one, two = (compute_features(frame, others(frame), SPANS, MINUTE) for frame in (before, after))
    earlier = one["timestamp"] < before["timestamp"][cut]
    assert earlier.sum() == cut - warm_up(SPANS)
    assert one[earlier].to_numpy().tobytes() == two[earlier.to_numpy()].to_numpy().tobytes()


def test_values_by_hand() -> None:
    frame = candles(400)
    made = compute_features(frame, others(frame), SPANS, MINUTE)
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
    assert row[OTHERS_RETURN] == pytest.approx(others(frame)["relative_return"].iloc[-1], rel=1e-5)


def test_every_other_symbol_counts_alike_however_volatile(tmp_path: Path) -> None:
    quiet, other = candles(500, seed=3), candles(500, seed=4)
    own = candles(500, seed=5)
    alike = mean_of_others(written(tmp_path, own=own, a=quiet, b=other))
    mixed = mean_of_others(written(tmp_path, own=own, a=quiet, b=volatile(other, 50)))
    np.testing.assert_allclose(alike["relative_return"], mixed["relative_return"], rtol=1e-6, atol=1e-9)
    hand = (relative_of(quiet) + relative_of(other)) / 2
    np.testing.assert_allclose(alike["relative_return"], hand[max(SPANS) :], rtol=1e-12)


def test_the_mean_is_that_of_the_symbols_that_have_a_value(tmp_path: Path) -> None:
    frames = {
        "a": candles(900, seed=1),
        "b": candles(700, seed=2).iloc[100:],
        "c": candles(900, seed=3).drop(index=400),
        "none": candles(100, seed=4),
    }
    mean = mean_of_others(written(tmp_path, own=candles(900, seed=5), **frames))
    columns = [pd.Series(relative_of(frame), index=frame["timestamp"]) for frame in frames.values()]
    expected = pd.concat(columns, axis=1).mean(axis=1).dropna()
    np.testing.assert_array_equal(mean["timestamp"], expected.index)
    np.testing.assert_allclose(mean["relative_return"], expected, rtol=1e-12)
    assert mean["timestamp"].dtype == np.int64
    assert mean_of_others(written(tmp_path, own=candles(900, seed=5), none=frames["none"])).empty


def test_each_symbol_has_the_mean_of_the_others(tmp_path: Path) -> None:
    paths = written(tmp_path, a=candles(900, seed=1), b=candles(700, seed=2).iloc[100:], c=candles(900, seed=3))
    means = list(others_relative_returns(paths, max(SPANS), "1m"))
    for place, path in enumerate(paths):
        first = mean_of_others([path, *(other for other in paths if other != path)])
        pd.testing.assert_frame_equal(means[place], first, check_exact=True)


def test_the_other_symbols_are_warm_where_the_candles_are(tmp_path: Path) -> None:
    """From files alone: a history that starts later agrees from its first row on, and no later bar matters."""
    frames = {name: candles(2000, seed=seed) for seed, name in enumerate("abc")}
    first, last = 900, 1800
    made = []
    for number, rows in enumerate((slice(0, 2000), slice(first, last))):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths = written(folder, **{name: frame.iloc[rows] for name, frame in frames.items()})
        outputs = [str(folder / f"out-{name}.parquet") for name in frames]
        make_features(outputs, paths, SPANS, "1m")
        made.append(pd.read_parquet(outputs[0]).set_index("timestamp")[OTHERS_RETURN])
    whole, part = made
    assert len(part) == last - first - warm_up(SPANS) and part.abs().min() > 0
    np.testing.assert_allclose(part, whole.loc[part.index], rtol=1e-5, atol=2e-6)


def test_a_gap_begins_a_segment() -> None:
    frame = candles(2000).drop(index=range(1000, 1080)).reset_index(drop=True)
    made = compute_features(frame, None, SPANS, MINUTE)
    warm = warm_up(SPANS)
    assert made["segment"].tolist() == [0] * (1000 - warm) + [1] * (920 - warm)
    steps = np.diff(made["timestamp"])
    assert (steps[np.diff(made["segment"]) == 0] == MINUTE).all()
    alone = compute_features(frame.iloc[1000:].reset_index(drop=True), None, SPANS, MINUTE)
    after = made[made["segment"] == 1].drop(columns="segment").reset_index(drop=True)
    pd.testing.assert_frame_equal(after, alone.drop(columns="segment"), rtol=1e-5, atol=1e-6)


def test_a_frozen_price_has_no_features() -> None:
    frame = candles(1500)
    frame.loc[600:1000, ["open", "high", "low", "close"]] = frame["close"][599]
    frame.loc[600:1000, "volume"] = 0.0
    made = compute_features(frame, None, SPANS, MINUTE)
    assert np.isfinite(made.to_numpy()).all()
    frozen = made["timestamp"].between(frame["timestamp"][600 + 240], frame["timestamp"][1000])
    assert not frozen.any()
    assert made["segment"].nunique() == 2


def test_too_short_a_history_has_no_features() -> None:
    assert compute_features(candles(warm_up(SPANS)), None, SPANS, MINUTE).empty


def test_the_columns_of_a_features_file() -> None:
    """Their names and order; others may stand among them."""
    columns = ["timestamp", "segment", "close", "scale", "return_1", "return_5", "return_60"]
    columns += ["volatility_5", "volatility_60", "parkinson_60", "garman_klass_60", "average_distance_60"]
    columns += ["volume_1", "volume_5", "rsi", "log_scale", "day_sin", "day_cos", "week_sin", "week_cos"]
    frame = candles(500)
    alone = list(compute_features(frame, None, [5, 60], MINUTE))
    assert [name for name in alone if name in columns] == columns
    assert alone[:4] == columns[:4] and alone[-4:] == columns[-4:]
    assert feature_names([5, 60], others=False) == alone[4:]
    several = [*alone[:-4], "others_return", *alone[-4:]]
    assert list(compute_features(frame, others(frame), [5, 60], MINUTE)) == several
    assert list(compute_features(candles(50), others(frame), [5, 60], MINUTE)) == several


def test_a_registered_feature_is_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """One function and one line of the registry: a column for each span, before those of the calendar."""

    def range_position(segment: Segment, span: int) -> np.ndarray:
        low, high = (getattr(pd.Series(values).rolling(span), kind)() for values, kind in (
            (segment.low, "min"), (segment.high, "max")))  # fmt: skip
        return ((segment.close - low) / (high - low)).to_numpy()

    monkeypatch.setattr(features, "FEATURES", (*FEATURES, Feature("range_position_{span}", range_position, list)))
    frame = candles(500)
    made = compute_features(frame, None, SPANS, MINUTE)
    added = [f"range_position_{span}" for span in SPANS]
    assert [name for name in feature_names(SPANS, others=False) if name.startswith("range_position")] == added
    assert list(made)[-4 - len(added) : -4] == added
    last = frame.tail(15)
    expected = (last["close"].iloc[-1] - last["low"].min()) / (last["high"].max() - last["low"].min())
    assert made["range_position_15"].iloc[-1] == pytest.approx(expected, rel=1e-5)
    assert made["range_position_15"].dtype == np.float32
