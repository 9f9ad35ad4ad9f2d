"""Features are causal, warm when they start, right by hand, and never reach over a gap."""

import numpy as np
import pandas as pd
import pytest

from market.indicators import CROSS, calendar, feature_names, features, garman_klass, parkinson, segments, warm_up
from market.intervals import MINUTE

SPANS = [5, 15, 60, 240]


def candles(rows: int, seed: int = 0, start: int = 1_700_000_040_000) -> pd.DataFrame:
    """A random walk as 1m candles."""
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(draw.standard_t(4, rows) * 5e-4))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = 1 + np.abs(draw.normal(0, 2e-4, (2, rows)))
    return pd.DataFrame(
        {
            "timestamp": start + MINUTE * np.arange(rows),
            "open": open_,
            "high": np.maximum(open_, close) * wick[0],
            "low": np.minimum(open_, close) / wick[1],
            "close": close,
            "volume": draw.exponential(3, rows),
        }
    )


def others(frame: pd.DataFrame) -> pd.DataFrame:
    changes = np.diff(np.log(candles(len(frame), seed=9)["close"]), prepend=np.nan)
    return pd.DataFrame({"timestamp": frame["timestamp"], "log_return": changes})


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
    assert row[CROSS] == pytest.approx(others(frame)["log_return"].iloc[-1] / scale, rel=1e-5)


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
