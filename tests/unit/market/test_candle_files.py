"""Further shapes of candle files: each gives the candles it holds, or is refused with the reason and a row."""

import bz2
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from as_of import as_of
from common.errors import UserError
from fetch_candles import fetch_candles
from market.candle_table import candle_rows
from market.candles import COLUMNS
from market.intervals import DAY
from market.pairs import canonical, currencies
from market.replay import Replay
from support.exchanges import exchange_settings
from support.shapes import HOUR, START, bars, table

ROWS = bars(600)
FRAME = table(ROWS)
WHEN = pd.to_datetime(FRAME["timestamp"], unit="ms")
QUOTED = FRAME.assign(quote=(FRAME["volume"] * FRAME["close"]).round(4))


def dated(form: str, frame: pd.DataFrame = FRAME) -> pd.DataFrame:
    """The candles with times as texts."""
    when = pd.to_datetime(frame["timestamp"], unit="ms")
    return frame.assign(timestamp=when.dt.strftime(form)).rename(columns={"timestamp": "Date"})


def stamps(when: pd.Series) -> pd.Series:
    return when.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def in_german(value: float) -> str:
    return f"{value:,.3f}".translate(str.maketrans(",.", ".,"))


def as_csv(frame: pd.DataFrame, path: Path, **how: object) -> None:
    frame.to_csv(path, index=False, **how)  # type: ignore[call-overload]


def listed(frame: pd.DataFrame) -> list[list[float]]:
    return [list(row) for row in frame.itertuples(index=False)]


def zipped(path: Path, members: dict[str, str | bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def reordered(*columns: str) -> pd.DataFrame:
    return QUOTED[list(columns)]


# what is written, by the file's name; all are hours of BTCUSDT
SHAPES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "gate: quote volume second": (
        "BTCUSDT.json",
        lambda path: path.write_text(
            json.dumps(listed(reordered("timestamp", "quote", "close", "high", "low", "open", "volume")))
        ),
    ),
    "kraken: vwap before the volume": (
        "BTCUSDT.json",
        lambda path: path.write_text(
            json.dumps(
                {
                    "error": [],
                    "result": {
                        "XBTUSDT": [
                            [int(t) // 1000, str(o), str(h), str(lo), str(c), str(round((h + lo) / 2, 4)), str(v), 7]
                            for t, o, h, lo, c, v in ROWS
                        ],
                        "last": 1,
                    },
                }
            )
        ),
    ),
    "bybit's reply, newest first": (
        "BTCUSDT.json",
        lambda path: path.write_text(
            json.dumps({"retCode": 0, "result": {"list": [list(map(str, row)) for row in listed(QUOTED)][::-1]}})
        ),
    ),
    "a closing time second": (
        "BTCUSDT.csv",
        lambda path: FRAME.assign(end=FRAME["timestamp"] + HOUR)[["timestamp", "end", *COLUMNS[1:]]].to_csv(
            path, index=False, header=False
        ),
    ),
    "columns by their letters": (
        "BTCUSDT.json",
        lambda path: path.write_text(
            json.dumps({"s": "ok"} | dict(zip("tohlcv", (ROWS / [1000, 1, 1, 1, 1, 1]).T.tolist(), strict=True)))
        ),
    ),
    "pandas' split": ("BTCUSDT.json", lambda path: path.write_text(FRAME.to_json(orient="split"))),
    "pandas' columns, times in the index": (
        "BTCUSDT.json",
        lambda path: path.write_text(FRAME.set_index("timestamp").to_json(orient="columns")),
    ),
    "pandas' index": (
        "BTCUSDT.json",
        lambda path: path.write_text(FRAME.set_index("timestamp").to_json(orient="index")),
    ),
    "pandas' table": ("BTCUSDT.json", lambda path: path.write_text(FRAME.to_json(orient="table", index=False))),
    "JSON lines": ("BTCUSDT.jsonl", lambda path: path.write_text(FRAME.to_json(orient="records", lines=True))),
    "date and clock apart, no names": (
        "BTCUSDT.csv",
        lambda path: pd.concat(
            [WHEN.dt.strftime("%Y.%m.%d"), WHEN.dt.strftime("%H:%M"), FRAME[COLUMNS[1:]]], axis=1
        ).to_csv(path, index=False, header=False),
    ),
    "names in angle brackets, tabs": (
        "BTCUSDT.csv",
        lambda path: as_csv(dated("%Y%m%d %H%M%S").rename(columns=lambda label: f"<{label.upper()}>"), path, sep="\t"),
    ),
    "day first, pipes": ("BTCUSDT.csv", lambda path: as_csv(dated("%d/%m/%Y %H:%M"), path, sep="|")),
    "month first, 12 hours": ("BTCUSDT.csv", lambda path: as_csv(dated("%m/%d/%Y %I:%M:%S %p"), path)),
    "a zone in words": ("BTCUSDT.csv", lambda path: as_csv(dated("%Y-%m-%d %H:%M:%S UTC"), path)),
    "dukascopy": (
        "BTCUSDT.csv",
        lambda path: as_csv(dated("%d.%m.%Y %H:%M:%S.000 GMT+0000").rename(columns={"Date": "Gmt time"}), path),
    ),
    "UTF-16": ("BTCUSDT.csv", lambda path: as_csv(FRAME, path, encoding="utf-16")),
    "a byte-order mark and no names": (
        "BTCUSDT.csv",
        lambda path: as_csv(FRAME, path, encoding="utf-8-sig", header=False),
    ),
    "thousands in groups": (
        "BTCUSDT.csv",
        lambda path: as_csv(
            dated("%b %d, %Y %H:%M").assign(**{name: FRAME[name].map("{:,.4f}".format) for name in COLUMNS[1:]}), path
        ),
    ),
    "heads again in the middle": (
        "BTCUSDT.csv",
        lambda path: path.write_text(FRAME[:300].to_csv(index=False) + FRAME[300:].to_csv(index=False)),
    ),
    "several pairs in a table": (
        "all_BTCUSDT.csv",
        lambda path: as_csv(
            pd.concat(
                [
                    FRAME.assign(symbol="ETHUSDT", open=1.0, close=1.0, high=1.0, low=1.0),
                    FRAME.assign(symbol="BTC-USDT"),
                ]
            ),
            path,
        ),
    ),
    "volumes of both, names swapped": (
        "BTCUSDT.csv",
        lambda path: as_csv(
            QUOTED.rename(columns={"quote": "volume", "volume": "vol"})[["timestamp", *COLUMNS[1:5], "volume", "vol"]],
            path,
        ),
    ),
    "the volume's currency in brackets": (
        "BTCUSDT.csv",
        lambda path: as_csv(QUOTED.rename(columns={"volume": "Volume_(BTC)", "quote": "Volume_(Currency)"}), path),
    ),
    "a unix time that was rounded": (
        "BTCUSDT.csv",
        lambda path: as_csv(dated("%Y-%m-%d %H:%M").assign(unix=(FRAME["timestamp"] / 1e7).round() * 1e4), path),
    ),
    "a further column, empty at the end": (
        "BTCUSDT.csv",
        lambda path: as_csv(FRAME.assign(funding=[0.1] * 599 + [np.nan]), path),
    ),
    "a mark at the lines' ends": (
        "BTCUSDT.csv",
        lambda path: path.write_text(FRAME.to_csv(index=False, sep=";").replace("\n", ";\n")),
    ),
    "points between thousands": (
        "BTCUSDT.csv",
        lambda path: as_csv(FRAME.assign(**{name: FRAME[name].map(in_german) for name in COLUMNS[1:]}), path, sep=";"),
    ),
    "names in another language": (
        "BTCUSDT.csv",
        lambda path: as_csv(
            FRAME.set_axis(["Zeit", "Eröffnung", "Hoch", "Tief", "Schluss", "Umsatz"], axis=1), path, encoding="latin-1"
        ),
    ),
    "an empty row at the end": ("BTCUSDT.csv", lambda path: path.write_text(FRAME.to_csv(index=False) + ",,,,,\n")),
    "several times, of which one is of the open": (
        "BTCUSDT.csv",
        lambda path: as_csv(
            FRAME.assign(
                timeHigh=stamps(WHEN + pd.Timedelta("13min")),
                timeClose=stamps(WHEN + pd.Timedelta("59min59s999ms")),
                timeOpen=stamps(WHEN),
            ).drop(columns="timestamp"),
            path,
            sep=";",
        ),
    ),
    "closing times, so called": (
        "BTCUSDT.csv",
        lambda path: as_csv(
            FRAME.assign(timestamp=FRAME["timestamp"] + HOUR).rename(columns={"timestamp": "close_time"}), path
        ),
    ),
    "xz": ("BTCUSDT.CSV.xz", lambda path: path.write_bytes(lzma.compress(FRAME.to_csv(index=False).encode()))),
    "bz2": ("BTCUSDT.csv.bz2", lambda path: path.write_bytes(bz2.compress(FRAME.to_csv(index=False).encode()))),
    "a zip of Parquet and a README": (
        "BTCUSDT.ZIP",
        lambda path: zipped(path, {"README.md": "1,2", "__MACOSX/._BTCUSDT.csv": "x", "BTCUSDT.parquet": parquet()}),
    ),
}


def parquet() -> bytes:
    content = io.BytesIO()
    FRAME.to_parquet(content, index=False)
    return content.getvalue()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_gives_the_candles_it_holds(tmp_path: Path, shape: str) -> None:
    name, write = SHAPES[shape]
    write(tmp_path / name)
    served = np.array(Replay(tmp_path, ["BTC/USDT"], "1h").fetch_ohlcv("BTC/USDT", "1h", 0))
    np.testing.assert_allclose(served, ROWS, rtol=1e-12)


def refusal(folder: Path, symbol: str = "BTC/USDT", **how: object) -> str:
    """The one line by which the files are refused."""
    with pytest.raises(UserError) as caught:
        Replay(folder, [symbol], "1h", **how)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_taken_for_what_is_on_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in range(3):
        as_csv(dated("%d/%m/%Y %H:%M", FRAME[part * 200 :][:200]), tmp_path / f"BTCUSDT-{part}.csv", sep=";")
    market = Replay(tmp_path, ["BTCUSDT"], "1h")
    fields = {name: name for name in COLUMNS[1:]}
    read = {"table": "semicolon", "time": "Date (%d/%m/%Y %H:%M)", **fields}
    assert market.readings("BTCUSDT", "1h") == [{"first_file": "BTCUSDT-0.csv", "files": 3, "columns": read}]
    assert "BTCUSDT-0.csv and 2 more read as table: semicolon, time: Date (%d/%m/%Y %H:%M)" in capsys.readouterr().err


def test_columns_that_cannot_be_told_are_refused_with_a_row(tmp_path: Path) -> None:
    shuffled = FRAME.copy()
    shuffled[COLUMNS[1:]] = shuffled[COLUMNS[1:]].sample(frac=1, random_state=1).to_numpy()
    as_csv(shuffled[["timestamp", "low", "high", "close", "open", "volume"]], tmp_path / "BTCUSDT.csv", header=False)
    said = refusal(tmp_path)
    assert "open and close cannot be told apart" in said and "a row is 38" in said and "exchange.columns" in said
    order = ["time", "low", "high", "close", "open", "volume"]
    served = Replay(tmp_path, ["BTCUSDT"], "1h", order).fetch_ohlcv("BTCUSDT", "1h", 0)
    np.testing.assert_array_equal(np.array(served), shuffled.to_numpy())
    assert "has 6 columns, but exchange.columns names 7" in refusal(tmp_path, columns=[*order, "-"])


@pytest.mark.parametrize("folder", ["binance-spot-1m-2023", "binance-spot-1h-2020-2025", "binance-perp-1m-2023-tick"])
def test_any_order_of_real_columns_is_told(shared_data: Path, folder: str) -> None:
    for path in sorted((shared_data / "candles" / folder).glob("*.parquet")):
        frame = pd.read_parquet(path, columns=COLUMNS)[:5000]
        for prices in permutations(COLUMNS[1:5]):
            unnamed = frame[["timestamp", *prices, "volume"]].set_axis(range(6), axis=1)
            np.testing.assert_array_equal(candle_rows(unnamed, "")[0], frame.to_numpy())


def test_a_flat_market_without_names_is_refused(tmp_path: Path) -> None:
    as_csv(FRAME.assign(open=1.5, high=1.5, low=1.5, close=1.5), tmp_path / "BTCUSDT.csv", header=False)
    assert "no price moves within a bar, so high and low cannot be told" in refusal(tmp_path)


def test_dates_that_may_be_of_two_kinds_are_refused(tmp_path: Path) -> None:
    as_csv(dated("%d/%m/%Y", table(ROWS[[0, 24]])), tmp_path / "BTCUSDT.csv")
    assert "'01/01/2024' may be %d/%m/%Y or %m/%d/%Y" in refusal(tmp_path)


@pytest.mark.parametrize("label", ["Volume USDT", "quote_volume", "volumeto"])
def test_the_quote_volume_alone_is_refused(tmp_path: Path, label: str) -> None:
    as_csv(FRAME.rename(columns={"volume": label}), tmp_path / "BTCUSDT.csv")
    assert f"BTCUSDT.csv: has no volume in BTC, only {label}" in refusal(tmp_path)


def test_a_currency_that_begins_anothers_name_is_another(tmp_path: Path) -> None:
    frame = FRAME.rename(columns={"volume": "Volume USDT"}).assign(**{"Volume USD": 3.0})
    as_csv(frame, tmp_path / "USDTUSD.csv")
    served = Replay(tmp_path, ["USDT/USD"], "1h").fetch_ohlcv("USDT/USD", "1h", 0)
    np.testing.assert_array_equal(np.array(served), ROWS)


def test_an_archive_of_other_pairs_is_refused(tmp_path: Path) -> None:
    zipped(tmp_path / "BTCUSDT.zip", {"ETHUSDT.csv": FRAME.to_csv(index=False), "ADAUSDT.csv": "1"})
    assert "holds ETHUSDT.csv, ADAUSDT.csv, which are not of BTC/USDT" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["BTCUSDT.zip", "BTCUSDT.csv.gz", "BTCUSDT.csv.xz", "BTCUSDT.csv.bz2"])
def test_a_damaged_archive_is_one_line(tmp_path: Path, name: str) -> None:
    as_csv(FRAME, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + b"\0" * 50 + whole[middle + 50 :], b""):
        (tmp_path / name).write_bytes(damaged)
        assert f"{name}: " in refusal(tmp_path)


def test_pairs_that_a_table_lacks_are_named(tmp_path: Path) -> None:
    pairs = ["ETHUSDT", "ADAUSDT"] * 300
    as_csv(FRAME.assign(symbol=pairs), tmp_path / "BTCUSDT.csv")
    assert "its column symbol has ETHUSDT, ADAUSDT, not BTC/USDT" in refusal(tmp_path)


def test_files_of_two_expiries_are_never_joined(tmp_path: Path) -> None:
    near, far = FRAME[:300], FRAME[300:].copy()
    far[COLUMNS[1:5]] *= 1.03
    as_csv(near, tmp_path / "BTCUSDT_240329.csv")
    as_csv(far, tmp_path / "BTCUSDT_240628.csv")
    assert "BTCUSDT_240329.csv and " in refusal(tmp_path) and "are of two markets" in refusal(tmp_path)
    as_csv(FRAME[300:], tmp_path / "BTCUSDT_240628.csv")
    assert len(Replay(tmp_path, ["BTCUSDT"], "1h").fetch_ohlcv("BTC/USDT", "1h", 0, 1000)) == 600


def test_real_files_cut_anywhere_are_of_one_market(shared_data: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(shared_data / "candles/binance-spot-1h-2020-2025/XRPUSDT.parquet")
    for number, (start, end) in enumerate(pairs_of(np.linspace(0, len(frame), 60).astype(int))):
        frame[start:end].to_parquet(tmp_path / f"XRPUSDT-{number}.parquet")
    assert len(Replay(tmp_path, ["XRPUSDT"], "1h").fetch_ohlcv("XRP/USDT", "1h", 0, 10**6)) == len(frame)


def pairs_of(cuts: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))


def test_a_day_that_is_partly_there_is_made_of_its_hours(tmp_path: Path) -> None:
    """Of three days in ten some hours are missing: 4, 12 and 13 of 24."""
    gone = [*range(30, 34), *range(80, 92), *range(125, 138)]
    as_csv(FRAME.drop(index=gone)[: 240 - len(gone)], tmp_path / "BTCUSDT.csv")
    market = Replay(tmp_path, ["BTCUSDT"], "1d")
    served = np.array(market.fetch_ohlcv("BTC/USDT", "1d", 0))
    assert ((served[:, 0] - START) // DAY).tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    there = np.delete(ROWS[:48], range(30, 34), axis=0)[24:]
    day = [there[0, 1], there[:, 2].max(), there[:, 3].min(), there[-1, 4], there[:, 5].sum()]
    np.testing.assert_allclose(served[1, 1:], day, rtol=1e-12)
    partial = [{"time": "2024-01-02T00:00:00Z", "share": 0.8333}, {"time": "2024-01-04T00:00:00Z", "share": 0.5}]
    assert market.partial("BTCUSDT", "1d", START, START + 10 * DAY) == partial
    assert market.partial("BTCUSDT", "1d", START + 2 * DAY, START + 10 * DAY) == partial[1:]
    assert len(Replay(tmp_path, ["BTCUSDT"], "1d", min_share=1).fetch_ohlcv("BTC/USDT", "1d", 0)) == 7


def test_a_folder_may_be_linked_and_hold_a_runs_own_files(tmp_path: Path) -> None:
    for name in ("far", "run/data/as_of", "run/data/candles", "run/artifacts/logs/as_of", "run/.cache"):
        (tmp_path / name).mkdir(parents=True)
    as_csv(FRAME, tmp_path / "far" / "{new} BTC-USDT.CSV")
    (tmp_path / "run" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "itself").symlink_to(tmp_path / "far")
    (tmp_path / "run" / "data" / "as_of" / "train.json").write_text("{}")
    for own in ("data/candles/BTCUSDT.parquet", "artifacts/BTCUSDT.tsv", ".cache/BTCUSDT.csv"):
        (tmp_path / "run" / own).write_text("not to be read")
    served = Replay(tmp_path / "run", ["BTCUSDT"], "1h").fetch_ohlcv("BTC/USDT", "1h", 0)
    np.testing.assert_array_equal(np.array(served), ROWS)


def test_index_and_premium_candles_are_left_out(tmp_path: Path) -> None:
    for kind in ("klines", "indexPriceKlines", "premiumIndexKlines", "markPriceKlines"):
        (tmp_path / kind).mkdir()
        as_csv(FRAME, tmp_path / kind / "BTCUSDT-1h.csv")
    assert len(Replay(tmp_path, ["BTCUSDT"], "1h").fetch_ohlcv("BTC/USDT", "1h", 0)) == 600


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("BNBUSD", ("BNB", "USD")), ("ARBUSD", ("ARB", "USD")), ("DOTUSD", ("DOT", "USD")), ("HNTUSD", ("HNT", "USD")),
        ("USDTUSD", ("USDT", "USD")), ("BTCBUSD", ("BTC", "BUSD")), ("OPBUSD", ("OP", "BUSD")),
        ("GMTBUSD", ("GMT", "BUSD")), ("XBTUSD", ("XBT", "USD")), ("TUSDUSDT", ("TUSD", "USDT")),
        ("ETHMXN", ("ETHMXN", "")),
    ],
)  # fmt: skip
def test_the_two_currencies_of_a_name(name: str, pair: tuple[str, str]) -> None:
    assert currencies(name) == pair


def test_one_pair_has_one_name_however_it_is_spelt() -> None:
    assert {canonical(name) for name in ("XBT/USD", "BTCUSD", "XXBTZUSD", "btc/usd")} == {"BTCUSD"}
    assert canonical("XBTUSD-USD") != canonical("XBTUSD")


def test_the_quality_record_says_what_was_read_and_what_is_partial(tmp_path: Path) -> None:
    as_csv(FRAME.drop(index=range(410, 414)), tmp_path / "BTCUSDT.csv", sep="|")
    settings = exchange_settings(id="replay", folder=str(tmp_path))
    cutoff, out, quality = (str(tmp_path / "out" / name) for name in ("cutoff.json", "c.parquet", "c.json"))
    as_of(cutoff, settings, ["BTCUSDT"], "4h", 6, "latest", None)
    limits = {"fill": 0, "max_missing": 0, "max_conflicting": 0}
    fetch_candles(out, quality, cutoff, settings, str(tmp_path), "BTCUSDT", "4h", 60, limits)
    record = json.loads(Path(quality).read_text())
    assert [part["columns"]["table"] for part in record["read"]] == ["pipe"]
    assert record["partial"] == [
        {"time": "2024-01-18T00:00:00Z", "share": 0.5},
        {"time": "2024-01-18T04:00:00Z", "share": 0.5},
    ]
    fetch_candles(out, quality, cutoff, settings, str(tmp_path), "BTCUSDT", "4h", 20, limits)
    assert json.loads(Path(quality).read_text())["partial"] == []  # of the window alone
