"""The store: what it keeps, what it lacks, what happens to damaged files."""

import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import write_json
from market.candles import clean, merged
from market.intervals import MINUTE, parse_time
from market.store import Store
from support.exchanges import fetch_live, fetching_process, live_settings, serve_walks, walk

NEW_YEAR = parse_time("2025-01-01T00:00:00Z")


def bars(first: int, count: int) -> np.ndarray:
    """Bars [n, 6] around New Year, so of two months."""
    rows = walk(1)[:count].copy()
    rows[:, 0] = NEW_YEAR + (first + np.arange(count)) * MINUTE
    return rows


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, "binance", "BTCUSDT", "1m")


def test_bars_lie_in_parts_by_month(store: Store) -> None:
    store.add(bars(-5, 10), NEW_YEAR)
    assert sorted(path.name for path in store.folder.iterdir()) == ["2024-12.parquet", "2025-01.parquet"]
    assert len(pd.read_parquet(store.folder / "2024-12.parquet")) == 5
    np.testing.assert_array_equal(store.rows(NEW_YEAR - 3 * MINUTE, NEW_YEAR + 2 * MINUTE), bars(-5, 10)[2:7])


def test_parts_give_the_candles_and_the_record_of_the_whole(store: Store) -> None:
    """Over New Year lie, in turn: nothing remarkable, a gap, a frozen span, an invalid bar."""
    whole = bars(-300, 600)
    gap, frozen, invalid = np.delete(whole, np.arange(298, 302), axis=0), whole.copy(), whole.copy()
    frozen[290:310, 1:6] = [*[frozen[289, 4]] * 4, 0]
    invalid[300, 2] = invalid[300, 3] / 2
    for number, rows in enumerate([whole, gap, frozen, invalid]):
        store = Store(store.folder / str(number), "binance", "BTCUSDT", "1m")
        store.add(rows, NEW_YEAR)
        window = NEW_YEAR - 310 * MINUTE, NEW_YEAR + 310 * MINUTE
        candles, record = clean(store.rows(*window), "BTCUSDT", "1m", *window, 5)
        parts = [clean(*part[:1], "BTCUSDT", "1m", *part[1:], 5) for part in store.parts(*window)]
        assert len(parts) > 1
        pd.testing.assert_frame_equal(pd.concat([part for part, _ in parts], ignore_index=True), candles)
        assert merged([record for _, record in parts]) == record


def test_a_market_without_trades_is_one_part(store: Store) -> None:
    still = bars(-300, 600)
    still[:, 5] = 0
    store.add(still, NEW_YEAR)
    (part,) = store.parts(NEW_YEAR - 300 * MINUTE, NEW_YEAR + 300 * MINUTE)
    np.testing.assert_array_equal(part.rows, still)


def test_missing_is_what_is_neither_stored_nor_absent(store: Store) -> None:
    store.add(np.delete(bars(-5, 12), [4, 6, 7], axis=0), NEW_YEAR)

    def missing(first: int, after: int) -> list[list[int]]:
        spans = store.missing(NEW_YEAR + first * MINUTE, NEW_YEAR + after * MINUTE)
        return ((spans - NEW_YEAR) // MINUTE).tolist()

    assert missing(-8, 10) == [[-8, -5], [-1, 0], [1, 3], [7, 10]]
    store.mark_absent(NEW_YEAR + MINUTE * np.array([[-7, -5], [1, 2]]), NEW_YEAR, NEW_YEAR)
    assert missing(-8, 10) == [[-8, -7], [-1, 0], [2, 3], [7, 10]]
    assert missing(-6, -5) == [] and missing(3, 7) == []
    # another process sees the same
    assert Store(store.folder.parents[2], "binance", "BTCUSDT", "1m").index == store.index


def test_a_damaged_part_is_set_aside_and_fetched_anew(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_walks() as server:
        fetch_live(server, tmp_path, 0, 2000)
        part = tmp_path / "source/BTCUSDT/1m/2024-01.parquet"
        part.write_bytes(part.read_bytes()[:1000])
        np.testing.assert_array_equal(fetch_live(server, tmp_path, 0, 2000).rows, walk(1)[:2000])
    assert part.with_suffix(".damaged").exists()
    assert "2024-01.parquet: missing or damaged" in (said := capsys.readouterr().err) and "fetched anew" in said


@pytest.mark.parametrize("index", [{"version": 99, "absent": [], "revisions": []}, {"version": 1}])
def test_a_store_of_another_version_is_set_aside(
    tmp_path: Path, index: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_walks() as server:
        fetch_live(server, tmp_path, 0, 500)
        write_json(tmp_path / "source/BTCUSDT/1m/index.json", index)
        server.requests.clear()
        np.testing.assert_array_equal(fetch_live(server, tmp_path, 0, 500).rows, walk(1)[:500])
        assert len(server.asked("candles")) == 1
    assert (tmp_path / "source/BTCUSDT/1m/set-aside/2024-01.parquet").exists()
    assert "set aside" in capsys.readouterr().err


@pytest.mark.parametrize("pages", range(4))
def test_a_fetch_that_is_killed_goes_on(tmp_path: Path, pages: int) -> None:
    """Killed after so many of three pages: none is lost, and none asked for again but the one that was coming."""
    with serve_walks() as server:
        process = fetching_process(live_settings(server), tmp_path, 2500)
        while len(server.asked("candles")) < pages and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.wait()
        for file in tmp_path.rglob("[0-9]*.parquet"):
            assert len(pd.read_parquet(file))
        np.testing.assert_array_equal(fetch_live(server, tmp_path, 0, 2500).rows, walk(1)[:2500])
        assert len(server.asked("candles")) <= 4


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("NO MOUNT: a full disk is not tested here")
    try:
        with (
            serve_walks() as server,
            pytest.raises(UserError, match=r"parquet: cannot be written .*No space left.*free some disk space"),
        ):
            fetch_live(server, folder, 0, 2500)
        assert not list(folder.rglob(".partial*"))
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
