"""What must hold before the first job: the working folder, the folders of results, and the image with what it sees of
the host."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake.settings.types import DeploymentMethod

from common.errors import UserError
from dag.image import ROOT, check_image, open_to_containers
from dag.layout import check_layout
from dag.plug_ins import folders as plug_in_folders


def check_working_folder() -> None:
    """Raise UserError unless Snakemake can keep its records here."""
    if not os.access(".snakemake" if Path(".snakemake").exists() else ".", os.W_OK):
        raise UserError(f"{Path.cwd()}: cannot be written; make it writable, or give another folder: --directory")


def check_run(workflow: Any, runs: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the folders of all branches, and the image where jobs run in it; let containers see the folders.

    Raises UserError or ImageError. A cluster's jobs need not ask again.
    """
    if workflow.is_main_process:
        for name, run in runs.items():
            check_layout(name, run["paths"])
    if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:
        # the same for all branches: exchange, image
        one = next(iter(runs.values()))
        folders = [folder for run in runs.values() for folder in run["paths"].values()]
        own = [text for run in runs.values() for text in (*run["members"], *run["features"]["extra"])]
        open_to_containers([str(ROOT), *folders, *plug_in_folders(own), one["exchange"]["folder"] or "."])
        if workflow.is_main_process:
            check_image(one["image"])
