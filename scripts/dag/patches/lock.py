"""Snakemake (9.27) says of a locked folder that it can be unlocked, and not by which command. Unneeded once it does."""

import shlex
from pathlib import Path

from snakemake import exceptions
from snakemake_interface_common.exceptions import WorkflowError

from dag.patches.installed import expect_parameters


def patch(snakefile: str) -> None:
    """Let Snakemake's error for a locked folder name the command that unlocks it."""
    expect_parameters(exceptions.LockException, "__init__", {"self"}, "snakemake")

    def __init__(self: WorkflowError) -> None:  # noqa: N807
        folder, home = Path.cwd(), Path(snakefile).resolve().parent
        where = [] if home == folder else ["--snakefile", snakefile, "--directory", str(folder)]
        command = shlex.join(["snakemake", "--unlock", *where])
        reason = f"{folder}: locked by another run; wait until it ends, or, if it was killed, unlock it: {command}"
        WorkflowError.__init__(self, reason)

    exceptions.LockException.__init__ = __init__
