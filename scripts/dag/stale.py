"""Results that an earlier run left and no rule reads any more."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def stale_folds(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Folders of models and forecasts of folds beyond `folds.count`, of an earlier run with more folds.

    runs: the settings of each branch.
    """
    return [
        str(folder)
        for run in runs
        for kind in ("forecasts", "models")
        for folder in sorted(Path(run["paths"]["artifacts"], kind).glob("[0-9]*"))
        if folder.name.isdigit() and int(folder.name) >= run["folds"]["count"]
    ]
