"""Refuses folders in which an earlier version of the workflow left its results, under names that this one does not
read."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from common.errors import UserError
from dag.renamed import refuse_renamed


def check_layout(branch: str, paths: Mapping[str, str]) -> None:
    """Raise UserError if a run's folders, or a branch's, hold results of an earlier version."""
    artifacts, data = Path(paths["artifacts"]), Path(paths["data"])
    for sign in _signs(artifacts, data, artifacts.parent if branch else artifacts):
        raise UserError(
            f"{artifacts}, {data}: hold results of an earlier version of this workflow ({sign}), which this one cannot "
            f"go on with; name other folders (paths), or delete these two"
        )


def _signs(artifacts: Path, data: Path, top: Path) -> Iterator[str]:
    """Files and folders that an earlier version alone makes. `top` holds the artifacts of all branches."""
    for run in {artifacts / "run.yaml", top / "run.yaml"}:
        if run.is_file() and _is_renamed(run):
            yield str(run)
    yield from map(str, sorted(artifacts.glob("forecasts/*/consensus.parquet")))
    if (data / "settle").is_dir():
        yield str(data / "settle")


def _is_renamed(run: Path) -> bool:
    """Has a run's config keys that have another name now?"""
    try:
        refuse_renamed(yaml.safe_load(run.read_text()))
    except UserError:
        return True
    except yaml.YAMLError:
        # whatever it is, this run replaces it
        return False
    return False
