"""The registry of decision policies: config, rules and decisions read it.

A new policy is a module with a `POLICY` (trading.interface), and a line here.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from common.errors import UserError
from trading.documents import CALIBRATION, FRESHNESS, SKILL

if TYPE_CHECKING:
    from trading.interface import Policy


@dataclass(frozen=True)
class Listed:
    """A policy: its name in the config, its module, imported when it decides, and the gates that it requires by
    default."""

    name: str
    module: str
    require: Sequence[str]


REGISTRY = (
    Listed("trade", "trading.trade_policy", (FRESHNESS, SKILL)),
    # the width may be right where the forecast has no skill beyond a baseline's
    Listed("exposure", "trading.exposure_policy", (FRESHNESS, CALIBRATION)),
)
POLICIES = {entry.name: entry for entry in REGISTRY}
# what decides, settles and tells of decisions: inputs of rules that do
MODULES = [entry.module for entry in REGISTRY]


def policy_of(name: str) -> "Policy":
    """The policy of that name. Raises UserError where there is none."""
    if name not in POLICIES:
        near = difflib.get_close_matches(name, POLICIES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it may be one of: {', '.join(POLICIES)}"
        raise UserError(f"decision.policy: unknown policy {name!r}; {hint}")
    return import_module(POLICIES[name].module).POLICY
