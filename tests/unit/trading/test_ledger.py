"""The ledger: its chain and what breaks it, settlement of whole, partial and unsettleable decisions, the table."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import UserError
from common.files import read_json, sha256, write_json
from forecasting.losses import pinball
from forecasting.members import ENSEMBLE
from ledger_append import ledger_append
from ledger_verify import ledger_verify
from market.intervals import iso
from support.evaluations import LEVELS
from support.ledgers import BAR, HORIZON, append_inputs, decide, serve, settle
from support.worlds import AS_OF, World
from trading.ledger.chain import read_chain
from trading.ledger.entries import documents, held_weights, read_entry_forecasts
from trading.ledger.messages import of_decisions

ENTRIES = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of decisions half a horizon apart, on candles that end within the horizon of the last. Not to be
    changed: `copied` is."""
    folder = tmp_path_factory.mktemp("ledger")
    worlds = [decide(folder, bars) for bars in range(0, ENTRIES * HORIZON // 2, HORIZON // 2)]
    serve(folder, worlds, bars=HORIZON // 4)
    settle(folder)
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A copy of the ledger, for a test to change."""
    return Path(shutil.copytree(made / "ledger", tmp_path / "ledger"))


def folder_of(ledger: Path, number: int) -> Path:
    """The folder of an entry, 1 the first."""
    return ledger / iso(AS_OF + (number - 1) * HORIZON // 2 * BAR).replace(":", "")


def refusal(ledger: Path, head: str | None = None) -> str:
    """The line that the ledger is refused with; nothing in it is changed by that."""
    before = {path: path.read_bytes() for path in ledger.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as error:
        ledger_verify(str(ledger), head)
    assert before == {path: path.read_bytes() for path in ledger.rglob("*") if path.is_file()}
    assert "\n" not in str(error.value)
    return str(error.value)


# --- the chain ---


def test_each_entry_holds_the_sha256_of_the_one_before(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [folder_of(made / "ledger", number) / "entry.json" for number in range(1, ENTRIES + 1)]
    assert [read_json(path)["previous"] for path in entries] == [None, *map(sha256, entries[:-1])]
    assert [read_json(path)["number"] for path in entries] == [1, 2, 3, 4]
    ledger_verify(str(made / "ledger"), head=sha256(entries[1]))
    told = f"4 entries as they were sealed, up to {iso(AS_OF + 18 * BAR)}; head {sha256(entries[-1])}"
    assert told in capsys.readouterr().err


def test_one_byte_of_any_file_is_noticed_and_the_entry_named(copied: Path) -> None:
    random = np.random.default_rng(15)
    files = sorted(path for path in copied.glob("2*/*") if path.is_file())
    for _ in range(100):
        path = files[random.integers(len(files))]
        content = path.read_bytes()
        place, flip = int(random.integers(len(content))), int(random.integers(1, 256))
        path.write_bytes(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
        assert path.parent.name in refusal(copied), path
        path.write_bytes(content)
    ledger_verify(str(copied), None)


def test_a_hole_is_named(copied: Path) -> None:
    shutil.rmtree(folder_of(copied, 2))
    told = f"{folder_of(copied, 3)}: is entry 3, and entry 2 after {folder_of(copied, 1).name} is missing"
    assert told in refusal(copied)
    shutil.rmtree(folder_of(copied, 1))
    assert "is entry 3, and entries 1 to 2 at the beginning are missing" in refusal(copied)


def test_a_missing_end_is_named(copied: Path) -> None:
    shutil.rmtree(folder_of(copied, 4))
    assert f"{folder_of(copied, 4)}: entry 4, the last one by head.json, is missing" in refusal(copied)
    (copied / "head.json").unlink()
    assert "head.json: is missing" in refusal(copied)


def test_a_foreign_entry_is_named(copied: Path, tmp_path: Path) -> None:
    for bars in (1, 6, 12):
        decide(tmp_path / "other", bars)
    # the third of another ledger, whose time fits
    shutil.rmtree(folder_of(copied, 3))
    shutil.copytree(folder_of(tmp_path / "other" / "ledger", 3), folder_of(copied, 3))
    assert f"{folder_of(copied, 3)}: does not continue the chain after {folder_of(copied, 2).name}" in refusal(copied)


@pytest.mark.parametrize(("version", "told"), [(2, "a newer version of the ledger (2)"), (0, "an older or another")])
def test_another_version_is_named(copied: Path, version: int, told: str) -> None:
    path = folder_of(copied, 2) / "entry.json"
    write_json(path, read_json(path) | {"version": version})
    assert refusal(copied).startswith(f"{path}: is of {told}")


def test_files_that_are_missing_or_of_no_entry_are_named(copied: Path) -> None:
    weights = folder_of(copied, 1) / "weights.json"
    weights.rename(weights.with_name("mine.json"))
    assert refusal(copied) == f"{weights.with_name('mine.json')}: is no file of this entry; remove it"
    weights.with_name("mine.json").unlink()
    assert refusal(copied).startswith(f"{weights}: is missing from the entry")
    (copied / "notes.txt").write_text("mine")
    assert refusal(copied) == f"{copied / 'notes.txt'}: is no part of a ledger; remove it"


def test_an_entry_in_a_folder_of_another_time_is_named(copied: Path) -> None:
    folder_of(copied, 4).rename(copied / "2024-06-02T000000Z")
    assert "in the folder of another; it was moved" in refusal(copied)


def test_a_head_that_was_posted_must_be_in_the_chain(copied: Path) -> None:
    assert f"no entry has the SHA-256 {'0' * 64} (ledger.head)" in refusal(copied, head="0" * 64)


def test_a_changed_settlement_is_named(copied: Path) -> None:
    path = copied / "settlements" / f"{folder_of(copied, 1).name}.json"
    content = read_json(path)
    content["symbols"]["BTCUSDT"]["closes"][0] += 1
    write_json(path, content)
    assert refusal(copied).startswith(f"{path}: was changed after it was written")
    write_json(path, read_json(copied / "settlements" / f"{folder_of(copied, 2).name}.json"))
    assert refusal(copied).startswith(f"{path}: settles another entry")


def test_a_folder_without_a_ledger_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no ledger; make decide appends the first decision"):
        ledger_verify(str(tmp_path / "ledger"), None)


# --- appending ---


def test_the_same_decision_is_appended_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = decide(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "ledger").rglob("entry.json")}
    ledger_append(**append_inputs(world, tmp_path / "ledger"))
    assert "is in the ledger already, nothing new; head" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "ledger").rglob("entry.json")}


def test_another_decision_of_a_time_and_an_earlier_one_are_refused(tmp_path: Path) -> None:
    decide(tmp_path, 1)
    with pytest.raises(UserError, match="holds another decision of 2024-06-01T00:05:00Z, which stays as it is"):
        decide(tmp_path, 1, cash=5.0)
    with pytest.raises(UserError, match="goes up to 2024-06-01T00:05:00Z, and a decision of 2024-06-01T00:00:00Z"):
        decide(tmp_path, 0)
    assert len(read_chain(tmp_path / "ledger")) == 1


def test_nothing_is_appended_to_a_ledger_that_does_not_fit(copied: Path, tmp_path: Path) -> None:
    world = decide(tmp_path / "other", 60)
    shutil.rmtree(folder_of(copied, 2))
    with pytest.raises(UserError, match="entry 2 after"):
        ledger_append(**append_inputs(world, copied))
    assert len(list(copied.glob("2*"))) == ENTRIES - 1


def test_a_run_that_was_killed_leaves_nothing_in_the_way(copied: Path, tmp_path: Path) -> None:
    (copied / ".partial-2024-06-02T000000Z").mkdir()
    head = read_json(copied / "head.json")
    # killed between the last entry and its head
    before = read_chain(copied)[2]
    write_json(copied / "head.json", {"entries": 3, "last": before.folder.name, "head": before.digest})
    assert "does not name the last entry" in refusal(copied)
    ledger_append(**append_inputs(decide(tmp_path / "other", 60), copied))
    ledger_verify(str(copied), head["head"])
    assert not list(copied.glob(".partial*"))


def test_a_changed_decision_is_not_appended(tmp_path: Path) -> None:
    world = decide(tmp_path)
    path = world.decision("BTCUSDT")
    write_json(path, read_json(path) | {"simulated": True})
    with pytest.raises(UserError, match="changed after it was sealed"):
        ledger_append(**append_inputs(world, tmp_path / "another"))
    assert not (tmp_path / "another").exists()


# --- settlement ---


def test_every_forecast_is_scored_as_its_outcome_arrives(made: Path) -> None:
    table = settle(made)
    assert list(table["as_of"].unique()) == [iso(AS_OF + 6 * place * BAR) for place in range(ENTRIES)]
    by_entry = table.groupby("as_of")[["steps", "status"]]
    assert [tuple(one[name].unique().tolist() for name in one) for _, one in by_entry] == [
        ([12], ["complete"]),
        ([12], ["complete"]),
        ([9], ["partial"]),
        ([3], ["partial"]),
    ]
    link = read_chain(made / "ledger")[2]
    close, quantiles = read_entry_forecasts(link)["ewma", "ETHUSDT"]
    settlement = read_json(made / "ledger" / "settlements" / f"{link.folder.name}.json")
    closes = settlement["symbols"]["ETHUSDT"]["closes"]
    assert [close is None for close in closes] == [False] * 9 + [True] * 3
    loss = pinball(np.log(np.array(closes[:9]) / close), quantiles[:9], LEVELS).mean()
    row = table[(table["as_of"] == link.entry["as_of"]) & (table["member"] == "ewma") & (table["symbol"] == "ETHUSDT")]
    assert row["pinball"].item() == pytest.approx(loss, rel=1e-9)


def test_every_decision_has_what_it_earned_or_missed(made: Path) -> None:
    table = settle(made)
    rows = table[(table["member"] == ENSEMBLE) & (table["status"] == "complete")]
    assert len(rows) == 4
    for row in rows.to_dict("records"):
        settlement = read_json(made / "ledger" / "settlements" / f"{row['as_of'].replace(':', '')}.json")
        audit = settlement["symbols"][row["symbol"]]["audit"]
        missed = audit["missed"]["return_pct"] if audit["missed"] else np.nan
        assert (row["action"], row["return_pct"]) == (audit["action"], pytest.approx(audit["realized_return_pct"]))
        assert row["missed_pct"] == pytest.approx(missed, nan_ok=True)
    assert table[table["member"] != ENSEMBLE]["action"].isna().all()


def test_a_partial_settlement_is_completed_and_a_complete_one_stays(tmp_path: Path) -> None:
    world = decide(tmp_path)
    for bars, status in ((0, "pending"), (5, "partial"), (12, "complete")):
        serve(tmp_path, [world], bars)
        assert set(settle(tmp_path)["status"]) == {status}
    path = next((tmp_path / "ledger" / "settlements").iterdir())
    before = path.read_bytes()
    serve(tmp_path, [world], bars=7)
    settle(tmp_path)
    assert path.read_bytes() == before


def test_a_gap_at_the_fill_cannot_be_settled(tmp_path: Path) -> None:
    world, later = (decide(tmp_path, bars, exits=1, take_profit=[], stop=[]) for bars in (0, 12))
    # two bars are more than what is filled, and later candles are there
    serve(tmp_path, [world, later], bars=12, without=[-2, -1])
    table = settle(tmp_path)
    rows = table[table["as_of"] == iso(AS_OF)]
    assert set(rows["status"]) == {"unsettleable"}
    told = "gap at the fill: no candle closes at the planned exit, 2024-06-01T01:00:00Z, and none will"
    assert set(rows["reason"]) == {told}
    # what is there is scored
    assert set(rows["steps"]) == {10}
    assert set(table[table["as_of"] == iso(later.as_of)]["status"]) == {"complete"}


def test_other_candles_settle_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = decide(tmp_path)
    serve(tmp_path, [World(tmp_path, interval="5m", horizon=HORIZON, volatility=0.01)], bars=12)
    assert set(settle(tmp_path)["status"]) == {"pending"}
    assert "is of other candles of BTCUSDT than the exchange has" in capsys.readouterr().err
    serve(tmp_path, [world], bars=12)
    assert set(settle(tmp_path)["status"]) == {"complete"}


# --- messages ---


def test_a_failed_gate_is_told_once(made: Path) -> None:
    now = documents(read_chain(made / "ledger")[1])
    for trade in now.values():
        trade["gates"] = [{**gate, "passed": gate["name"] != "skill"} for gate in trade["gates"]]
        trade["decision"]["action"] = "HOLD"
    told = of_decisions(now, {})
    assert [title.split(":")[0] for title, _ in told] == ["gate skill failed", "gate skill failed"]
    assert of_decisions(now, now) == []


# --- the weight that is held ---


def test_the_next_decision_is_given_the_weight_that_the_last_entry_left(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"policy": "exposure", "require": []}
    worlds = [decide(tmp_path, bars, **settings) for bars in (0, 6)]
    before, after = (read_json(world.decision("ETHUSDT")) for world in worlds)
    weight = before["exposure"]["weight"]
    assert (before["exposure"]["held"], before["decision"]["action"]) == (0, "BUY")
    assert 0 < weight < 1
    ratio = after["decision"]["entry_price"] / before["decision"]["entry_price"]
    assert ratio != 1
    assert after["exposure"]["held"] == pytest.approx(weight * ratio / (1 + weight * (ratio - 1)))
    # an entry of the same time or later is not looked at
    assert held_weights(tmp_path / "ledger", iso(AS_OF), {"ETHUSDT": 1.0}) == {}
    serve(tmp_path, worlds, bars=12)
    table = settle(tmp_path)
    assert set(table["status"]) == {"complete"}
    assert table[table["member"] == ENSEMBLE]["return_pct"].notna().all()
