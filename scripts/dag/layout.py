"""Refuses folders in which an earlier version of the workflow left its results, under names that this one does not
read."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from common.errors import UserError
from dag.renamed import refuse_renamed


def check_layout(branch: str, paths: Mapping[str, str]) -> None:
    """Raise UserError if a run's folders, or a branch's and those around them, hold results of an earlier version."""
    artifacts, data = Path(paths["artifacts"]), Path(paths["data"])
    top = [folder.parent if branch else folder for folder in (artifacts, data)]
    for result in _earlier([artifacts, *top[:1]], data):
        raise UserError(
            f"{result}: is of an earlier version of this workflow, whose results this version cannot read; "
            f"choose other folders (paths), or delete {' and '.join(map(str, top))}"
        )


def _earlier(artifacts: Iterable[Path], data: Path) -> Iterator[Path]:
    """Files and folders that an earlier version alone makes."""
    for folder in artifacts:
        if (folder / "run.yaml").is_file() and _is_renamed(folder / "run.yaml"):
            yield folder / "run.yaml"
        yield from sorted(folder.glob("forecasts/*/consensus.parquet"))
    if (data / "settle").is_dir():
        yield data / "settle"


def _is_renamed(run: Path) -> bool:
    """Has a run's config keys that have another name now?"""
    try:
        refuse_renamed(yaml.safe_load(run.read_text(errors="replace")))
    except UserError:
        return True
    except yaml.YAMLError:
        # whatever it is, this run replaces it
        return False
    return False
