"""Candles made regular: what is dropped, kept, filled and refused, and the record of it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from market.candle_files import read_rows
from market.candles import Quality, check_quality, clean, continued, read_candles, write_candles
from market.intervals import MINUTE, iso

START = 1_700_000_040_000  # on the grid of a minute


def bars(count: int, seed: int = 1) -> np.ndarray:
    """A regular walk of `count` one-minute bars from START."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 1e-3, count)))
    opened = np.append(100, close[:-1])
    high, low = np.maximum(opened, close) + 0.1, np.minimum(opened, close) - 0.1
    volume = random.uniform(1, 2, count)
    return np.stack([START + np.arange(count) * MINUTE, opened, high, low, close, volume], axis=1)


def cleaned(rows: np.ndarray, count: int, fill: int = 3) -> tuple[pd.DataFrame, Quality]:
    return clean(rows, "BTCUSDT", "1m", START, START + count * MINUTE, fill)


def checked(
    rows: np.ndarray, count: int, max_missing: float = 0.1, max_conflicting: float = 0.01
) -> tuple[pd.DataFrame, Quality]:
    candles, quality = cleaned(rows, count)
    check_quality(quality, max_missing, max_conflicting)
    return candles, quality


def at(index: int) -> str:
    return iso(START + index * MINUTE)


def test_regular_bars_stay_as_they_are() -> None:
    rows = bars(50)
    candles, quality = checked(rows, 50)
    np.testing.assert_array_equal(candles.to_numpy(), rows)
    assert str(candles["timestamp"].dtype) == "int64"
    counts = {name: value for name, value in quality.items() if name not in ("symbol", "interval", "start", "end")}
    assert counts.pop("bars") == counts.pop("expected") == 50
    assert (counts.pop("lowest"), counts.pop("highest")) == (rows[:, 3].min(), rows[:, 2].max())
    assert not any(counts.values())


def test_candles_are_continued_by_later_ones_where_there_are_any() -> None:
    earlier, later = (pd.DataFrame({"timestamp": times, "close": 1.0 * len(times)}) for times in ([1, 2, 3], [3, 4]))
    assert continued(earlier, later).to_dict("list") == {"timestamp": [1, 2, 3, 4], "close": [3.0, 3, 2, 2]}
    pd.testing.assert_frame_equal(continued(earlier, later.iloc[:0]), earlier)


def test_bars_outside_the_window_are_ignored() -> None:
    candles, quality = cleaned(bars(50), 20)
    assert len(candles) == quality["expected"] == 20
    assert quality["missing"] == 0


def test_order_does_not_matter_and_is_counted() -> None:
    rows = bars(50)
    candles, quality = checked(rows[::-1], 50)
    np.testing.assert_array_equal(candles.to_numpy(), rows)
    assert quality["out_of_order"] == 49


def test_identical_rows_are_dropped_and_of_conflicting_ones_the_fullest_is_kept() -> None:
    rows = bars(500)
    partial = rows[[7, 7]].copy()
    partial[:, 4:6] -= [[0.05, 0.5], [0.02, 0.3]]
    mixed = np.concatenate([rows[:7], partial[:1], rows[7:9], rows[8:9], rows[7:8], partial[1:], rows[9:]])
    candles, quality = checked(mixed, 500)
    np.testing.assert_array_equal(candles.to_numpy(), rows)
    assert quality["duplicates"] == 2
    assert quality["conflicting"] == [at(7)]


def test_invalid_rows_are_dropped_with_the_reason() -> None:
    rows = bars(100)
    rows[10, 4] = np.nan
    rows[20, 3] = -1
    rows[30, 2:4] = rows[30, 3:1:-1]
    rows[40, 5] = -1
    rows[50, 0] += 30_000
    candles, quality = checked(rows, 100)
    assert [(fault["time"], fault["reason"]) for fault in quality["dropped"]] == [
        (at(10), "not finite"),
        (at(20), "price not positive"),
        (at(30), "high below low"),
        (at(40), "negative volume"),
        (iso(START + 50 * MINUTE + 30_000), "off the grid"),
    ]
    assert quality["filled"] == 5
    assert len(candles) == 100


def test_short_gaps_are_filled_flat_and_long_ones_stay() -> None:
    rows = bars(100)
    kept = np.delete(rows, [0, *range(20, 23), *range(50, 54), 98, 99], axis=0)
    candles, quality = cleaned(kept, 100)
    assert quality["missing_spans"] == [
        {"first": at(0), "last": at(0), "bars": 1},  # there is no close before it
        {"first": at(50), "last": at(53), "bars": 4},
        {"first": at(98), "last": at(99), "bars": 2},  # may not exist yet
    ]
    assert quality["filled_spans"] == [{"first": at(20), "last": at(22), "bars": 3}]
    assert (quality["missing"], quality["filled"], quality["bars"]) == (7, 3, 93)
    filled = candles[candles["timestamp"].between(START + 20 * MINUTE, START + 22 * MINUTE)]
    assert (filled[["open", "high", "low", "close"]] == rows[19, 4]).all(axis=None)
    assert (filled["volume"] == 0).all()
    real = candles[~candles["timestamp"].isin([START + index * MINUTE for index in (20, 21, 22)])]
    np.testing.assert_array_equal(real.to_numpy(), kept)


def test_a_bar_that_does_not_exist_yet_is_missing_and_not_flat() -> None:
    candles, quality = checked(bars(99), 100)
    assert candles["timestamp"].iloc[-1] == START + 98 * MINUTE
    assert (quality["missing"], quality["filled"]) == (1, 0)
    with pytest.raises(UserError, match=rf"1 of 100 bars .* are missing \(1.0%, 1 of them from {at(99)}\)"):
        checked(bars(99), 100, max_missing=0)


def test_no_gap_is_filled_when_fill_is_0() -> None:
    _, quality = cleaned(np.delete(bars(100), 20, axis=0), 100, fill=0)
    assert (quality["missing"], quality["filled"]) == (1, 0)


def test_frozen_runs_are_recorded_and_kept() -> None:
    rows = bars(100)
    rows[30:45, 1:5], rows[30:45, 5] = rows[29, 4], 0
    rows[60:69, 1:5], rows[60:69, 5] = rows[59, 4], 0  # nine are not yet a run
    candles, quality = checked(rows, 100)
    assert quality["frozen_spans"] == [{"first": at(30), "last": at(44), "bars": 15}]
    assert len(candles) == 100


def test_no_rows_are_recorded_and_refused() -> None:
    candles, quality = cleaned(np.empty((0, 6)), 10)
    assert candles.empty and quality["missing_spans"] == [{"first": at(0), "last": at(9), "bars": 10}]
    with pytest.raises(UserError, match="no candles from .*; choose another as_of, days or symbol"):
        checked(np.empty((0, 6)), 10)


def test_only_invalid_rows_are_no_candles() -> None:
    rows = bars(10)
    rows[:, 4] = np.inf
    with pytest.raises(UserError, match=r"no candles .*\(10 invalid rows\)"):
        checked(rows, 10)


def test_too_many_missing_bars_are_refused() -> None:
    rows = np.delete(bars(100), range(20, 31), axis=0)
    with pytest.raises(UserError, match=r"11 of 100 bars .* are missing \(11.0%.*candles.max_missing 10.0%"):
        checked(rows, 100)
    assert checked(rows, 100, max_missing=0.11)[1]["missing"] == 11


def test_too_many_conflicting_bars_are_refused() -> None:
    rows = bars(100)
    other = rows[10:12] * [1, 1, 1, 1, 1, 0.5]
    with pytest.raises(
        UserError, match=r"2 of 100 bars have duplicate rows with different values .*candles.max_conflicting 1.0%"
    ):
        checked(np.concatenate([rows, other]), 100)
    assert len(checked(np.concatenate([rows, other]), 100, max_conflicting=0.02)[1]["conflicting"]) == 2


def test_a_price_that_never_moves_is_refused() -> None:
    rows = bars(100)
    rows[:, 1:5] = 42
    with pytest.raises(UserError, match=r"the price is constant \(42 in all 100 bars\)"):
        checked(rows, 100)


@pytest.mark.parametrize(
    ("name", "expected", "missing", "filled", "duplicates", "conflicting", "longest_frozen"),
    [
        ("dirty/binance_BTCUSDT_1m_2019_dups_gap.json", 43_201, 140, 3, 143, 0, 0),
        ("dirty/binance_BTCUSDT_1m_2024_03_dups.csv", 30_900, 0, 0, 30, 24, 0),
        ("dirty/binanceus_BTCUSDC_1m_2023_03_zerovol.csv", 30_240, 0, 0, 0, 0, 54),
        ("dirty/cdd_BinanceFutures_BTCUSDT_1m_2019_09_launch_reversed.csv", 15_001, 0, 1, 0, 0, 171),
        ("candles/binance-vision-csv/NEARUSDT-1m-2023-08.csv", 44_640, 0, 0, 0, 0, 0),
        ("candles/binance-spot-1m-2023/BTCUSDT.parquet", 66_167, 80, 0, 0, 0, 72),
        ("candles/binance-spot-1m-2023/ETHUSDT.parquet", 66_167, 80, 0, 0, 0, 72),
        ("candles/binance-spot-1m-2023/SOLUSDT.parquet", 66_168, 80, 0, 0, 0, 72),
    ],
)
def test_real_minutes(
    shared_data: Path, name: str, expected: int, missing: int, filled: int, duplicates: int, conflicting: int,
    longest_frozen: int,
) -> None:  # fmt: skip
    rows = read_rows(shared_data / name, "BTCUSDT")
    candles, quality = clean(rows, "X", "1m", int(rows[0, 0]), int(rows[-1, 0]) + MINUTE, 3)
    check_quality(quality, max_missing=0.01, max_conflicting=0.001)
    found = [quality[key] for key in ("expected", "missing", "filled", "duplicates")]
    assert [*found, len(quality["conflicting"])] == [expected, missing, filled, duplicates, conflicting]
    assert max((span["bars"] for span in quality["frozen_spans"]), default=0) == longest_frozen
    assert len(candles) == expected - missing
    assert (candles["timestamp"].diff().dropna() % MINUTE == 0).all() and candles["timestamp"].is_monotonic_increasing


def test_real_hours(shared_data: Path) -> None:
    for path in sorted((shared_data / "candles/binance-spot-1h-2020-2025").glob("*.parquet")):
        rows = read_rows(path)
        hour = 60 * MINUTE
        _, quality = clean(rows, path.stem, "1h", int(rows[0, 0]), int(rows[-1, 0]) + hour, 0)
        check_quality(quality, max_missing=0.01, max_conflicting=0)
        assert (quality["missing"], len(quality["missing_spans"])) == (20, 10)


def test_of_a_partial_and_a_complete_bar_the_complete_one_is_kept(shared_data: Path) -> None:
    rows = read_rows(shared_data / "dirty/binance_BTCUSDT_1m_2024_03_dups.csv")
    candles, quality = clean(rows, "BTCUSDT", "1m", int(rows[0, 0]), int(rows[-1, 0]) + MINUTE, 0)
    assert "2024-03-22T10:58:00Z" in quality["conflicting"]
    bar = candles[candles["timestamp"] == 1_711_105_080_000]
    assert bar["close"].item() == 64694.32 and bar["volume"].item() == 24.27545


def test_candles_come_back_as_they_were_written(tmp_path: Path) -> None:
    candles, quality = checked(bars(30), 30)
    write_candles(tmp_path / "BTCUSDT.parquet", tmp_path / "BTCUSDT.quality.json", candles, quality)
    pd.testing.assert_frame_equal(read_candles(tmp_path / "BTCUSDT.parquet", "1m"), candles)
    assert json.loads((tmp_path / "BTCUSDT.quality.json").read_text()) == quality


def test_a_few_columns_come_back_alone(tmp_path: Path) -> None:
    candles, quality = checked(bars(30), 30)
    write_candles(tmp_path / "a.parquet", tmp_path / "a.json", candles, quality)
    few = read_candles(tmp_path / "a.parquet", "1m", ["timestamp", "close"])
    pd.testing.assert_frame_equal(few, candles[["timestamp", "close"]])
    candles.drop(columns="close").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(UserError, match=r"b\.parquet: missing or damaged"):
        read_candles(tmp_path / "b.parquet", "1m", ["timestamp", "close"])
    candles.iloc[::-1].to_parquet(tmp_path / "c.parquet")
    with pytest.raises(UserError, match="its timestamps are not strictly increasing"):
        read_candles(tmp_path / "c.parquet", "1m", ["timestamp", "close"])


def test_no_candles_come_back_as_none(tmp_path: Path) -> None:
    candles, quality = cleaned(np.empty((0, 6)), 10)
    write_candles(tmp_path / "a.parquet", tmp_path / "a.json", candles, quality)
    assert read_candles(tmp_path / "a.parquet", "1m").empty


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda candles: candles.drop(columns="volume"), "its columns are timestamp, open"),
        (lambda candles: candles.astype({"timestamp": "float64"}), "its columns are"),
        (lambda candles: candles.iloc[[0, 2, 1]], "its timestamps are not strictly increasing"),
        (lambda candles: candles.iloc[[0, 1, 1]], "its timestamps are not strictly increasing"),
        (lambda candles: candles.assign(timestamp=candles["timestamp"] + 1), "off the interval's grid"),
        (lambda candles: candles.assign(close=np.nan), "not finite"),
    ],
)
def test_an_invalid_candle_file_is_refused(
    tmp_path: Path, spoil: Callable[[pd.DataFrame], pd.DataFrame], reason: str
) -> None:
    spoil(checked(bars(30), 30)[0]).to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(UserError, match=f"not a valid 1m candle file .*{reason}.*run again"):
        read_candles(tmp_path / "a.parquet", "1m")


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    checked(bars(30), 30)[0].to_parquet(tmp_path / "a.parquet", index=False)
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.parquet: missing or damaged"):
        read_candles(tmp_path / "a.parquet", "1m")
