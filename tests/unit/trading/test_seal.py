"""What a decision stands on is sealed with it: one changed byte is named."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from audit import audit
from common.errors import UserError
from common.files import read_json
from consensus import consensus
from support.worlds import World
from trading.documents import Inputs
from trading.seal import inputs_of, verify_inputs

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
        with pytest.raises(UserError, match="changed after the decision was sealed") as refused:
            verify_inputs(sealed, decided.inputs(), "mock_trade.json")
        assert f"mock_trade.json: {name} changed" in str(refused.value)
        path.write_bytes(whole)
    assert verify_inputs(sealed, decided.inputs(), "mock_trade.json") == []


def test_the_audit_refuses_a_changed_input_and_keeps_the_last_one(decided: World) -> None:
    audit(**decided.audit_inputs())
    before = decided.audit.read_bytes()
    path = decided.quality("ETHUSDT")
    whole = path.read_bytes()
    path.write_bytes(whole + b" ")
    with pytest.raises(UserError, match="ETHUSDT.quality.json changed after the decision was sealed.*run again"):
        audit(**decided.audit_inputs())
    path.write_bytes(whole)
    assert decided.audit.read_bytes() == before


def test_a_missing_and_a_further_input_are_named(decided: World) -> None:
    sealed = read_json(decided.trade)["inputs"]
    found = decided.inputs()
    files = {name: digest for name, digest in found["files"].items() if name != "evaluation.json"}
    with pytest.raises(UserError, match="another.json, evaluation.json changed"):
        verify_inputs(sealed, cast(Inputs, {**found, "files": files | {"another.json": "0"}}), "trade")


def test_later_code_config_and_image_are_told_and_not_refused(decided: World, tmp_path: Path) -> None:
    sealed = read_json(decided.trade)["inputs"]
    later = cast(Inputs, {**decided.inputs(), "config": "0", "image": "forecast-0.sif"})
    assert verify_inputs(sealed, later, "trade") == ["config", "image"]
    audit(**decided.audit_inputs() | {"inputs": later})
    assert read_json(decided.audit)["changed"] == ["config", "image"]
    # the digest of the scripts is of their bytes
    one, two = (inputs_of({}, {"a": value}, "image") for value in (1, 2))
    assert one["scripts"] == two["scripts"] == sealed["scripts"] and one["config"] != two["config"]
