"""Candle files that readers get wrong, one of each kind: all give the candles they hold, or are refused in one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from market.candles import clean
from market.intervals import step_ms
from market.replay import Replay

# kind: symbol, interval, reason of the refusal, or none where it is the truth that is expected
KINDS = {
    "plain": ("BTCUSDT", "1h", ""),
    "time_low_high_open_close": ("BTCUSD", "1h", ""),
    "time_open_close_high_low": ("BTCUSD", "1h", ""),
    "volume_from_and_to": ("BTCUSD", "1h", ""),
    "high_low_swapped": ("BTCUSDT", "1h", "BTCUSDT-1h.csv: high below low in 9000 of 9000 rows"),
    "two_markets": ("BTCUSDT", "1h", r"BTCUSDT-1h-a\.csv and .*BTCUSDT-1h-b\.csv are of two markets: .* from 280.* to"),
    "two_spellings": ("BNBUSD", "1h", ""),
    "zip_of_parts": ("BTCUSDT", "1h", ""),
    "zip_of_pairs": ("XBTUSD", "1h", ""),
    "zip_with_folder": ("BTCUSDT", "1h", ""),
    "zip_empty": ("BTCUSDT", "1h", r"BTCUSDT-1h\.zip: holds no file"),
    "zip_encrypted": ("BTCUSDT", "1h", r"BTCUSDT-1h\.zip: is encrypted"),
    "days_from_16_utc": ("BTCUSDT", "1d", r"BTCUSDT-1d\.csv: its 1d bars open at 16:00 UTC, not at 00:00"),
    "closing_times": ("BTCUSDT", "1d", ""),
    "preamble_and_12h_clock": ("BTCUSD", "1h", ""),
    "semicolons_decimal_commas": ("BTCUSDT", "1h", ""),
    "tabs": ("BTCUSDT", "1h", ""),
    "three_heads": ("BTCUSD", "1h", ""),
    "unnamed_time_index": ("BTCUSDT", "1h", ""),
}


@pytest.fixture(scope="module")
def hard_files(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool's folder of files, one of each kind."""
    tool = shared_data.parent / "tools" / "make-hard-files.py"
    if not tool.is_file():
        pytest.skip(f"NO HARD FILES: {tool} is missing")
    folder = tmp_path_factory.mktemp("hard")
    subprocess.run([sys.executable, tool, folder], check=True)
    return folder


def served(folder: Path, symbol: str, interval: str) -> np.ndarray:
    market = Replay(folder, [symbol], interval)
    (unified,) = (name for name in market.load_markets() if name.replace("/", "") == symbol)
    return np.array(market.fetch_ohlcv(unified, interval, 0, 100_000))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hard_file_is_read_right_or_refused(hard_files: Path, kind: str) -> None:
    symbol, interval, refusal = KINDS[kind]
    if refusal:
        with pytest.raises(UserError, match=refusal) as caught:
            Replay(hard_files / kind, [symbol], interval)
        assert "\n" not in str(caught.value)
        return
    truth = pd.read_parquet(hard_files / f"truth-{interval}.parquet").to_numpy()
    np.testing.assert_allclose(served(hard_files / kind, symbol, interval), truth, rtol=1e-12)


def test_bars_that_cannot_be_are_dropped_and_counted(hard_files: Path) -> None:
    rows = served(hard_files / "open_outside_range", "BTCUSDT", "1h")
    start, end = int(rows[0, 0]), int(rows[-1, 0]) + step_ms("1h")
    candles, quality = clean(rows, "BTCUSDT", "1h", start, end, 0)
    inner = rows[:, [1, 4]]
    impossible = int(((inner.max(axis=1) > rows[:, 2]) | (inner.min(axis=1) < rows[:, 3])).sum())
    assert 890 <= impossible <= 900  # of 900 that were squeezed, a few still hold their open and close
    assert (quality["impossible"], quality["missing"], len(candles)) == (impossible, impossible, 9000 - impossible)
    assert {row["reason"] for row in quality["dropped"]} == {"open or close outside low to high"}


def test_two_spellings_are_one_symbol(hard_files: Path) -> None:
    for asked in ("BNBUSD", "BNB/USD"):
        assert list(Replay(hard_files / "two_spellings", [asked], "1h").load_markets()) == ["BNB/USD"]
