"""The rule import_candles: candle files in the store of a live exchange."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from import_candles import import_candles
from market.candles import COLUMNS
from market.intervals import MINUTE, iso
from support.exchanges import BARS, START, exchange_settings, fetch_live, live_settings, serve_walks, walk


def write(folder: Path, rows: np.ndarray) -> str:
    """A candle file of BTCUSDT; its folder."""
    folder.mkdir()
    pd.DataFrame(rows, columns=COLUMNS).astype({"timestamp": "int64"}).to_csv(folder / "BTCUSDT-1m.csv", index=False)
    return str(folder)


def test_what_was_imported_is_not_asked_for(tmp_path: Path) -> None:
    """Older candles than the exchange has any more, and the newest from it."""
    with serve_walks("kraken") as server:
        settings = live_settings(server)
        asked = {**settings, "folder": write(tmp_path / "files", walk(1)[:2000])}
        import_candles(str(tmp_path / "imported.json"), asked, str(tmp_path / "store"), ["BTC/USDT"], "1m")
        report = json.loads((tmp_path / "imported.json").read_text())
        assert report == {
            "BTCUSDT": {"first": iso(START), "end": iso(START + 2000 * MINUTE), "bars": 2000, "stored_before": 0}
        }
        (stored,) = (tmp_path / "store").glob("kraken-*/BTCUSDT/1m")
        (tmp_path / "fetched").mkdir()
        stored.parents[1].rename(tmp_path / "fetched" / "source")
        np.testing.assert_array_equal(fetch_live(server, tmp_path / "fetched", 0, BARS - 1).rows, walk(1)[: BARS - 1])
        assert len(server.asked("candles")) == 1


def test_stored_candles_stay(tmp_path: Path) -> None:
    with serve_walks() as server:
        settings = live_settings(server)
        store = str(tmp_path / "store")
        for number, rows in enumerate((walk(1)[:100], walk(2)[50:200])):
            asked = {**settings, "folder": write(tmp_path / str(number), rows)}
            import_candles(str(tmp_path / "imported.json"), asked, store, ["BTCUSDT"], "1m")
    report = json.loads((tmp_path / "imported.json").read_text())
    assert (report["BTCUSDT"]["bars"], report["BTCUSDT"]["stored_before"]) == (100, 50)
    (part,) = (tmp_path / "store").rglob("*.parquet")
    kept = pd.read_parquet(part).to_numpy()
    np.testing.assert_array_equal(kept, np.concatenate([walk(1)[:100], walk(2)[100:200]]))


def test_an_exchange_without_a_store_is_refused(tmp_path: Path) -> None:
    settings = exchange_settings(folder=write(tmp_path / "files", walk(1)))
    with pytest.raises(UserError, match=r"exchange\.id: simulated has no store; import is for a ccxt exchange"):
        import_candles(str(tmp_path / "imported.json"), settings, str(tmp_path / "store"), ["BTCUSDT"], "1m")
    with pytest.raises(UserError, match=r"exchange\.folder: is not set"):
        import_candles("x.json", exchange_settings(id="binance"), str(tmp_path / "store"), ["BTCUSDT"], "1m")
