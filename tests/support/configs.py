"""The default config, and changed ones."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from dag.settings import resolve_all
from support.workflow import ROOT

DEFAULTS: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def resolve(config: Mapping[Any, Any]) -> dict[str, Any]:
    """The settings of a run without branches."""
    return resolve_all(config).runs[""]


def with_keys(**changes: Any) -> dict[str, Any]:
    """The default config with some keys changed; `a__b` is the key b in section a."""
    config = deepcopy(DEFAULTS)
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = config
        for section in sections:
            place = place[section]
        place[key] = value
    return config
