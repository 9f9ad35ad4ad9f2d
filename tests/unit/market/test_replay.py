"""A folder of candle files as an exchange: formats, names, intervals, resampling, and damaged files."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from market.candle_files import read_rows
from market.candles import COLUMNS, clean, write_candles
from market.fetching import resolve_symbols
from market.intervals import MINUTE, step_ms
from market.pairs import symbol_in
from market.replay import Replay

START = 1_704_067_200_000  # 2024-01-01
HOUR = 60 * MINUTE


def bars(count: int, bar_ms: int = MINUTE, start: int = START) -> np.ndarray:
    """A regular walk with prices and volumes that text holds exactly."""
    random = np.random.default_rng(count)
    close = np.round(100 + np.cumsum(random.normal(0, 0.1, count)), 2)
    opened = np.append(100, close[:-1])
    high, low = np.round(np.maximum(opened, close) + 0.05, 2), np.round(np.minimum(opened, close) - 0.05, 2)
    return np.stack([start + np.arange(count) * bar_ms, opened, high, low, close, np.arange(count) + 0.5], axis=1)


def table(rows: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"timestamp": "int64"})


def dated(rows: np.ndarray) -> pd.DataFrame:
    """As freqtrade keeps candles."""
    frame = table(rows)
    frame.insert(0, "date", pd.to_datetime(frame.pop("timestamp"), unit="ms", utc=True))
    return frame


def vision(rows: np.ndarray, factor: int = 1) -> pd.DataFrame:
    """The 12 columns of Binance's monthly dumps; since 2025 times are in µs."""
    frame = table(rows)
    frame["close_time"] = (frame["timestamp"] + MINUTE) * factor - 1
    frame["timestamp"] *= factor
    frame[["quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore"]] = [1.5, 3, 0.5, 0.7, 0]
    return frame.rename(columns={"timestamp": "open_time"})


def download(rows: np.ndarray) -> pd.DataFrame:
    """As CryptoDataDownload keeps candles: newest first, with volumes in both currencies."""
    frame = table(rows[::-1]).rename(columns={"timestamp": "Unix", "volume": "Volume BTC"})
    frame.columns = [name if " " in name else name.title() for name in frame.columns]
    frame.insert(1, "Date", pd.to_datetime(frame["Unix"], unit="ms").dt.strftime("%Y-%m-%d %H:%M:%S"))
    frame.insert(2, "Symbol", "BTC/USDT")
    frame.insert(7, "Volume USDT", 7.0)
    return frame.assign(tradecount=5)


def zip_csv(path: Path, frame: pd.DataFrame) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(path.with_suffix(".csv").name, frame.to_csv(index=False, header=False))


WRITERS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "BTCUSDT.parquet": lambda path, rows: table(rows).to_parquet(path, index=False),
    "BTC_USDT-1m.feather": lambda path, rows: dated(rows).to_feather(path),
    "BTC-USDT.parquet": lambda path, rows: dated(rows).set_index("date").to_parquet(path),
    "kraken_BTC_USDT_1m.json": lambda path, rows: path.write_text(json.dumps(rows.tolist())),
    "BTCUSDT-1m.json.gz": lambda path, rows: path.write_bytes(gzip.compress(json.dumps(rows.tolist()).encode())),
    "BTCUSDT.json": lambda path, rows: path.write_text(table(rows).to_json(orient="records")),
    "BTCUSDT_1m.csv": lambda path, rows: table(rows).to_csv(path, index=False),
    "btcusdt.csv": lambda path, rows: table(rows).to_csv(path, index=False, header=False),
    "BTCUSDT-s.csv": lambda path, rows: table(rows / [1000, 1, 1, 1, 1, 1]).to_csv(path, index=False),
    "BTCUSDT-us.csv": lambda path, rows: table(rows * [1000, 1, 1, 1, 1, 1]).to_csv(path, index=False),
    "BTCUSDT-ns.csv": lambda path, rows: table(rows * [1e6, 1, 1, 1, 1, 1]).to_csv(path, index=False),
    "BTCUSDT-iso.csv": lambda path, rows: dated(rows).to_csv(path, index=False),
    "BTCUSDT-iso-bare.csv": lambda path, rows: dated(rows).to_csv(path, index=False, header=False),
    "BTCUSDT.csv.gz": lambda path, rows: dated(rows).to_csv(path, index=False),
    "BTCUSDT-1m-2024-01.csv": lambda path, rows: vision(rows).to_csv(path, index=False),
    "BTCUSDT-1m-2025-01.csv": lambda path, rows: vision(rows, 1000).to_csv(path, index=False, header=False),
    "BTCUSDT-1m-2025-02.zip": lambda path, rows: zip_csv(path, vision(rows, 1000)),
    "Binance_BTCUSDT_minute.csv": lambda path, rows: path.write_text(
        "https://www.CryptoDataDownload.com\n" + download(rows).to_csv(index=False)
    ),
    "cdd_BTCUSDT.csv": lambda path, rows: (
        download(rows).drop(columns="Volume USDT").to_csv(path, index=False, header=False)
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_bars(tmp_path: Path, name: str) -> None:
    rows = bars(50)
    WRITERS[name](tmp_path / name, rows)
    market = Replay(tmp_path, ["BTC/USDT"], "1m")
    assert market.fetch_ohlcv("BTC/USDT", "1m", START) == rows.tolist()
    assert market.milliseconds() == START + 50 * MINUTE
    assert market.load_markets() == {"BTC/USDT": {"id": "BTCUSDT", "symbol": "BTC/USDT"}}


def test_one_file_may_mix_units(tmp_path: Path) -> None:
    rows = bars(50)
    mixed = rows.copy()
    mixed[:20, 0] /= 1000
    table(mixed).to_csv(tmp_path / "BTCUSDT.csv", index=False)
    np.testing.assert_array_equal(read_rows(tmp_path / "BTCUSDT.csv"), rows)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT.parquet", "BTC/USDT"),
        ("1000PEPEUSDT-5m-2024-01.zip", "1000PEPE/USDT"),
        ("binance_BTC_USDT-1m.feather", "BTC/USDT"),
        ("BTC_USDT_USDT-1h-futures.feather", "BTC/USDT:USDT"),
        ("BTCUSDT-USDT.parquet", "BTC/USDT:USDT"),
        ("BTC_USD_BTC-1h-futures.feather", "BTC/USD:BTC"),
        ("cdd_BinanceFutures_BTCUSDT_1m_2019_09_launch.csv", "BTC/USDT"),
        ("ETHBTC-1d.csv", "ETH/BTC"),
        ("BTC_FDUSD.csv", "BTC/FDUSD"),
        ("SUSDT.csv", "S/USDT"),
        ("TUSDUSDT.csv", "TUSD/USDT"),
        ("notes.csv", None),
        ("USDT.csv", None),
    ],
)
def test_the_symbol_in_a_name(name: str, symbol: str | None) -> None:
    assert symbol_in(name) == symbol


@pytest.mark.parametrize("name", ["ETHMXN-1m.csv", "bitso_ETH_MXN-1m.csv", "ETH-MXN.csv"])
@pytest.mark.parametrize("symbol", ["ETH/MXN", "ETHMXN"])
def test_any_quote_currency_is_found_however_the_symbol_is_written(name: str, symbol: str, tmp_path: Path) -> None:
    rows = bars(50)
    table(rows).to_csv(tmp_path / name, index=False)
    for other in ("BETHMXN.csv", "ETH_MXN_MXN-1m.csv", "ETH_MXN_ETH-1m.csv"):
        table(bars(60)).to_csv(tmp_path / other, index=False)
    assert resolve_symbols(Replay(tmp_path, [symbol], "1m"), [symbol]) == {"ETHMXN": symbol}
    assert Replay(tmp_path, [symbol], "1m").fetch_ohlcv(symbol, "1m", START) == rows.tolist()


def test_a_folder_may_carry_the_symbol_and_other_files_are_left_alone(tmp_path: Path) -> None:
    rows = bars(50)
    (tmp_path / "spot" / "ETHMXN").mkdir(parents=True)
    table(rows).to_csv(tmp_path / "spot" / "ETHMXN" / "2024.csv", index=False)
    (tmp_path / "ETHMXN.quality.json").write_text("{}")
    (tmp_path / "ETH_MXN-funding_rate.json").write_text("nothing")
    (tmp_path / "readme.csv").write_text("nothing")
    market = Replay(tmp_path, ["ETH/MXN"], "1m")
    assert list(market.load_markets()) == ["ETH/MXN"]
    assert len(market.fetch_ohlcv("ETH/MXN")) == 50


def test_fetched_candles_can_be_replayed(tmp_path: Path) -> None:
    rows = bars(50)
    candles, quality = clean(rows, "BTCUSDT", "1m", START, START + 50 * MINUTE, 0)
    write_candles(tmp_path / "BTCUSDT.parquet", tmp_path / "BTCUSDT.quality.json", candles, quality)
    assert Replay(tmp_path, ["BTCUSDT"], "1m").fetch_ohlcv("BTCUSDT", "1m", START) == rows.tolist()


def test_monthly_files_are_joined(tmp_path: Path) -> None:
    rows = bars(120)
    for month, part in ((1, rows[:50]), (2, rows[50:80]), (3, rows[79:])):  # the last overlaps by a bar
        vision(part).to_csv(tmp_path / f"BTCUSDT-1m-2024-0{month}.csv", index=False)
    served = np.array(Replay(tmp_path, ["BTCUSDT"], "1m").fetch_ohlcv("BTCUSDT", "1m", START))
    np.testing.assert_array_equal(served, np.insert(rows, 79, rows[79], axis=0))


def test_the_clock_is_the_earliest_end(tmp_path: Path) -> None:
    table(bars(50)).to_parquet(tmp_path / "BTCUSDT.parquet")
    table(bars(40)).to_parquet(tmp_path / "ETHUSDT.parquet")
    assert Replay(tmp_path, ["BTCUSDT", "ETHUSDT"], "1m").milliseconds() == START + 40 * MINUTE
    assert Replay(tmp_path, ["BTCUSDT", "ETHUSDT"], "15m").milliseconds() == START + 30 * MINUTE


def test_pages_start_at_since_and_never_cut_equal_times(tmp_path: Path) -> None:
    rows = bars(50)
    double = np.insert(rows, 10, rows[9], axis=0)
    table(double).to_parquet(tmp_path / "BTCUSDT.parquet")
    market = Replay(tmp_path, ["BTCUSDT"], "1m")
    assert market.fetch_ohlcv("BTCUSDT", "1m", START + 5 * MINUTE - 1, 3) == rows[5:8].tolist()
    assert market.fetch_ohlcv("BTCUSDT", "1m", START, 10) == double[:11].tolist()
    assert market.fetch_ohlcv("BTCUSDT", "1m", None, 2) == rows[-2:].tolist()
    assert market.fetch_ohlcv("BTCUSDT", "1m", START + 50 * MINUTE) == []


def test_coarser_bars_are_resampled_from_finer_ones(tmp_path: Path) -> None:
    rows = bars(33, start=START - 3 * MINUTE)
    spoilt = np.delete(np.insert(rows, 21, rows[20] * [1, 1, 1, 1, 1, 0.5], axis=0), 10, axis=0)
    table(spoilt).to_parquet(tmp_path / "BTCUSDT.parquet")
    market = Replay(tmp_path, ["BTCUSDT"], "5m")
    found = np.array(market.fetch_ohlcv("BTCUSDT", "5m", 0))
    starts = [3, 8, 13, 18, 23, 28]  # not the partial first bar
    parts = [rows[at : at + 5] for at in starts]
    parts[1] = np.delete(parts[1], 2, axis=0)  # it misses a minute
    expected = [
        [part[0, 0], part[0, 1], part[:, 2].max(), part[:, 3].min(), part[-1, 4], part[:, 5].sum()] for part in parts
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert list(market.timeframes) == ["5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]


def test_exact_files_are_preferred_to_finer_ones(tmp_path: Path) -> None:
    table(bars(600)).to_parquet(tmp_path / "BTCUSDT-1m.parquet")
    hours = bars(30, HOUR)
    table(hours).to_parquet(tmp_path / "BTCUSDT-1h.parquet")
    assert Replay(tmp_path, ["BTCUSDT"], "1h").fetch_ohlcv("BTCUSDT", "1h", START) == hours.tolist()
    assert len(Replay(tmp_path, ["BTCUSDT"], "5m").fetch_ohlcv("BTCUSDT", "5m", START)) == 120


def test_finer_bars_are_never_made_from_coarser_ones(tmp_path: Path) -> None:
    table(bars(30, HOUR)).to_parquet(tmp_path / "BTCUSDT.parquet")
    with pytest.raises(
        UserError, match="5m cannot be resampled from the 1h files of BTCUSDT .*choose 1h or a multiple"
    ):
        Replay(tmp_path, ["BTCUSDT"], "5m")


def test_a_name_that_contradicts_the_bars_is_refused(tmp_path: Path) -> None:
    table(bars(30, 5 * MINUTE)).to_parquet(tmp_path / "BTCUSDT-1m.parquet")
    with pytest.raises(UserError, match=r"BTCUSDT-1m\.parquet: its bars are 5m apart but its name says 1m"):
        Replay(tmp_path, ["BTCUSDT"], "1m")


def test_one_bar_needs_its_interval_in_the_name(tmp_path: Path) -> None:
    table(bars(1)).to_parquet(tmp_path / "BTCUSDT.parquet")
    with pytest.raises(UserError, match="holds a single bar"):
        Replay(tmp_path, ["BTCUSDT"], "1m")
    (tmp_path / "BTCUSDT.parquet").rename(tmp_path / "BTCUSDT-1m.parquet")
    assert len(Replay(tmp_path, ["BTCUSDT"], "1m").fetch_ohlcv("BTCUSDT", "1m")) == 1


def test_two_files_of_the_same_time_are_refused(tmp_path: Path) -> None:
    table(bars(30)).to_parquet(tmp_path / "BTCUSDT.parquet")
    table(bars(30)[3:20]).to_csv(tmp_path / "BTCUSDT.csv", index=False)
    with pytest.raises(
        UserError, match=r"BTCUSDT\.parquet and .*BTCUSDT\.csv overlap, both hold BTCUSDT 1m candles of the same time"
    ):
        Replay(tmp_path, ["BTCUSDT"], "1m")


def test_a_missing_folder_or_symbol_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"exchange\.folder: .*nowhere is not a folder"):
        Replay(tmp_path / "nowhere", ["BTCUSDT"], "1m")
    with pytest.raises(UserError, match=r"exchange\.folder: is not set"):
        Replay(None, ["BTCUSDT"], "1m")
    table(bars(30)).to_parquet(tmp_path / "ETHUSDT.parquet")
    with pytest.raises(UserError, match="no candle file of BTCUSDT in .*; available symbols: ETH/USDT"):
        Replay(tmp_path, ["BTC/USDT"], "1m")


CSV = table(bars(30)).to_csv(index=False)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("BTCUSDT.csv", b"", "is empty"),
        ("BTCUSDT.csv", CSV.splitlines()[0].encode(), "is empty"),
        ("BTCUSDT.csv", CSV[:-30].encode(), "its last line is incomplete"),
        (
            "BTCUSDT.csv",
            b"time,price\n1,2\n",
            "not a candle file: the columns time, open, high, low, close and volume are required, it has time, price",
        ),
        ("BTCUSDT.csv", CSV.replace("100.", "x", 1).encode(), "invalid candle file"),
        ("BTCUSDT.csv", CSV.replace("17040", "monday", 1).encode(), "invalid candle file"),
        ("BTCUSDT.csv", b"\x00\xff\xfe\x80" * 50, "BTCUSDT.csv"),
        ("BTCUSDT.json", b"[[1704067200000, 1, 2", "cannot be read"),
        ("BTCUSDT.json", b"[]", "is empty"),
        ("BTCUSDT.json", b'{"result": {}}', "expected a JSON list of bars"),
        ("BTCUSDT.json.gz", b"no gzip", "cannot be read"),
        ("BTCUSDT.zip", b"no zip", "cannot be read"),
        ("BTCUSDT.parquet", b"PAR1 no parquet", "cannot be read"),
        ("BTCUSDT.feather", b"no feather", "cannot be read"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        Replay(tmp_path, ["BTCUSDT"], "1m")
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_cut_off_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.parquet"
    table(bars(500)).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"BTCUSDT\.parquet: cannot be read"):
        Replay(tmp_path, ["BTCUSDT"], "1m")


@pytest.mark.parametrize(
    ("folder", "symbol", "interval", "count", "first"),
    [
        ("candles/binance-spot-1m-2023", "BTCUSDT", "1m", 66_087, 1_679_004_900_000),
        ("candles/binance-spot-1m-2023", "BTCUSDT", "5m", 13_217, 1_679_004_900_000),
        ("candles/binance-spot-1h-2020-2025", "SOL/USDT", "1h", 43_803, 1_600_560_000_000),
        ("candles/binance-spot-1h-2020-2025", "SOL/USDT", "1d", 1_825, 1_600_560_000_000),
        ("candles/binance-vision-csv", "NEARUSDT", "1m", 44_640, 1_690_848_000_000),
        ("candles", "SOLUSDT", "1h", 43_803, 1_600_560_000_000),
        ("candles", "SOLUSDT", "1m", 66_088, 1_679_004_900_000),
        ("dirty", "BTCUSDC", "1m", 30_240, 1_677_628_800_000),
        ("dirty", "BTCUSDT", "1m", 15_000 + 43_201 + 30_954, 1_567_965_420_000),
        ("exchange", "SOLUSDT", "1m", None, None),
    ],
)
def test_real_folders(
    shared_data: Path, folder: str, symbol: str, interval: str, count: int | None, first: int | None
) -> None:  # fmt: skip
    if count is None:
        with pytest.raises(UserError, match="no candle file of SOLUSDT"):
            Replay(shared_data / folder, [symbol], interval)
        return
    market = Replay(shared_data / folder, [symbol], interval)
    rows = np.array(market.fetch_ohlcv(symbol, interval, 0, 200_000))
    assert (len(rows), rows[0, 0]) == (count, first)
    assert (np.diff(rows[:, 0]) >= 0).all()
    assert market.milliseconds() == rows[-1, 0] + step_ms(interval)
