"""Keys of earlier configs: each is refused with the name that it has now."""

from collections.abc import Mapping
from typing import Any

from common.errors import UserError

RENAMED = {
    "model.averaging": "tft.ema_decay",
    "model.scored_steps": "tft.loss_steps",
    "model.validation": "folds.validation_fraction",
    "model": "tft",
    "combination.weights": "ensemble.weights",
    "combination.tolerance": "ensemble.tolerance",
    "combination.window": "calibration.window",
    "combination.strength": "calibration.strength",
    "combination": "ensemble and calibration",
    "tuning.space.averaging": "tuning.space.ema_decay",
    "tuned.trials": "tuning.previous_trials",
    "tuned": "tuning",
    "consensus.horizon_m": "consensus.horizon_minutes",
    "consensus.require_skill": "decision.require",
    "plots.pad_min": "plots.pad_minutes",
    "exchange.tape_end": "exchange.data_end",
}


def refuse_renamed(config: Mapping[Any, Any]) -> None:
    """Raise UserError, one line, if the config has keys that were renamed: each with its new name."""
    found = [old for old in RENAMED if _holds(config, old.split("."))]
    if found:
        raise UserError("; ".join(f"{old}: is now {RENAMED[old]}" for old in found))


def _holds(config: Any, path: list[str]) -> bool:
    """Is there such a key? A section is not reported if all of its keys are, by their names."""
    key, *rest = path
    if not isinstance(config, Mapping) or key not in config:
        return False
    if rest:
        return _holds(config[key], rest)
    inner = config[key] if isinstance(config[key], Mapping) else {}
    return not inner or any(f"{key}.{name}" not in RENAMED for name in inner)
