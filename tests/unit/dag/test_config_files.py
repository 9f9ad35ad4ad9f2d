"""Files written from the config's models: none is out of date, and each is good for what it is there for."""

import json
import re
from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from dag.config import Config
from dag.config_files import files
from dag.settings import parse, resolve_all
from support.configs import DEFAULTS, resolve, with_keys
from support.workflow import ROOT

CONFIGS = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))
SCHEMA = json.loads((ROOT / "config" / "schema.json").read_text())


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_a_file_is_what_the_models_say(path: Path) -> None:
    assert path.read_text() == files()[path], f"{path.name} is out of date: run make config-files"


def test_the_default_config_is_that_of_the_models() -> None:
    assert parse(DEFAULTS) == Config()


@pytest.mark.parametrize("name", CONFIGS)
def test_ready_configs_are_valid(name: str, tmp_path: Path) -> None:
    changes = load_configfile(ROOT / "config" / name)
    assert changes
    jsonschema.Draft202012Validator(SCHEMA).validate(changes)
    config = deepcopy(DEFAULTS)
    update_config(config, changes)
    if config["exchange"]["id"] == "replay":
        config["exchange"]["folder"] = str(tmp_path)
    assert resolve(config)


def test_an_editor_refuses_what_the_models_refuse() -> None:
    schema = jsonschema.Draft202012Validator(SCHEMA)
    schema.check_schema(SCHEMA)
    for changes in (
        {"horizn": 3}, {"tft__epochs": 0}, {"tft__epoch": 3}, {"tft__dropout": 1}, {"members": ["arima"]},
        {"symbols": ["BTC//"]}, {"ensemble__weights": "best"}, {"quantiles": [0.5]}, {"interval": "1x"},
    ):  # fmt: skip
        assert not schema.is_valid(with_keys(**changes)), changes
    assert schema.is_valid(with_keys(tft__stride=None, tuning__space__dropout={"choices": [0.1, 0.2]}))


def test_an_editor_shows_what_each_setting_is() -> None:
    sections = [SCHEMA, *SCHEMA["$defs"].values()]
    settings = [part for section in sections for part in section["properties"].values() if "$ref" not in part]
    assert len(settings) > 50
    for part in settings:
        assert part["description"]


def test_the_examples_of_the_docs_are_valid() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert examples
    for text in examples:
        assert resolve_all(yaml.safe_load(text)).runs
