"""Snakemake's --containerize (9.27) makes an image of conda environments alone, here that of the plots, though rules
have their container. Unneeded once it takes `container:` into account."""

import sys
from typing import Any, NoReturn

from snakemake.deployment import containerize

from dag.patches.installed import expect_parameters


def patch() -> None:
    """Let --containerize say how this workflow's image is built."""
    expect_parameters(containerize, "containerize", {"workflow", "dag"}, "snakemake")
    containerize.containerize = _refuse


def _refuse(workflow: Any, dag: Any, fmt: str = "dockerfile") -> NoReturn:
    sys.exit(
        "--containerize: this workflow has an image; build it with docker compose build, for Apptainer with make image "
        "(docs/container-orchestration.md)"
    )
