"""What a decision stands on is sealed with it: one changed byte is named."""

from typing import cast

import numpy as np
import pytest

from audit import audit
from common.files import read_json
from consensus import consensus
from support.worlds import World
from trading.documents import Inputs
from trading.seal import changed_inputs, inputs_of

TRIES = 100


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("world"))
    consensus(**world.consensus_inputs())
    return world


def test_one_byte_of_any_input_is_named(decided: World) -> None:
    sealed, random = read_json(decided.trade)["inputs"], np.random.default_rng(1)
    names = sorted(sealed["files"])
    # each file is among them
    for name in [*names, *random.choice(names, TRIES - len(names))]:
        path = decided.folder / name
        whole = path.read_bytes()
        place = int(random.integers(len(whole)))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(random.integers(8))]) + whole[place + 1 :])
        assert changed_inputs(sealed, decided.inputs()) == [name]
        path.write_bytes(whole)
    assert changed_inputs(sealed, decided.inputs()) == []


def test_the_audit_names_a_changed_input(decided: World, caplog: pytest.LogCaptureFixture) -> None:
    path = decided.quality("ETHUSDT")
    whole = path.read_bytes()
    path.write_bytes(whole + b" ")
    audit(**decided.audit_inputs())
    path.write_bytes(whole)
    assert read_json(decided.audit)["changed"] == ["candles/ETHUSDT.quality.json"]
    assert "not what the decision was made of, since it was sealed: candles/ETHUSDT.quality.json" in caplog.text
    audit(**decided.audit_inputs())
    assert read_json(decided.audit)["changed"] == []


def test_a_missing_and_a_further_input_are_named(decided: World) -> None:
    sealed = read_json(decided.trade)["inputs"]
    found = decided.inputs()
    files = {name: digest for name, digest in found["files"].items() if name != "evaluation.json"}
    other = cast(Inputs, {**found, "files": files | {"another.json": "0"}})
    assert changed_inputs(sealed, other) == ["another.json", "evaluation.json"]


def test_later_code_config_and_image_are_named(decided: World) -> None:
    sealed = read_json(decided.trade)["inputs"]
    later = cast(Inputs, {**decided.inputs(), "config": "0", "image": "forecast-0.sif"})
    assert changed_inputs(sealed, later) == ["config", "image"]
    audit(**decided.audit_inputs() | {"inputs": later})
    assert read_json(decided.audit)["changed"] == ["config", "image"]
    # the digest of the scripts is of their bytes
    one, two = (inputs_of({}, {"a": value}, "image") for value in (1, 2))
    assert one["scripts"] == two["scripts"] == sealed["scripts"] and one["config"] != two["config"]
