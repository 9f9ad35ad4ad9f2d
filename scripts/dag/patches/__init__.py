"""What Snakemake and its plugins get wrong, patched until they correct it.

Each patch says which upstream change makes it unneeded, and stops the run with one line where the installed version no
longer has what it patches. An executor's plugin is patched when a run begins with that executor, and only then: which
one it is, Snakemake knows last of all.
"""

import functools
import sys
from typing import Any

from common.errors import UserError
from dag.patches import ancient, containerize, cores, failures, kubernetes, lock, slurm
from dag.patches.installed import expect_parameters

EXECUTORS = {"kubernetes": kubernetes.patch, "slurm": slurm.patch}


def apply(workflow: Any) -> None:
    """Patch Snakemake for this workflow, and the plugin that will run its jobs once that is chosen.

    Where this is a module of another workflow, what concerns that one's whole command line is left alone. Raises
    UserError where the installed Snakemake is not the one that is patched.
    """
    if hasattr(workflow.execute, "__wrapped__"):
        return
    expect_parameters(type(workflow), "execute", {"executor_plugin", "executor_settings"}, "snakemake")
    ancient.patch()
    failures.check()
    lock.patch(workflow.main_snakefile)
    if workflow.modifier.is_main_snakefile():
        cores.use_all(workflow)
        containerize.patch()
    execute = workflow.execute

    @functools.wraps(execute)
    def with_patched_executor(*, executor_plugin: Any, executor_settings: Any, **options: Any) -> Any:
        patch = EXECUTORS.get(executor_plugin.name)
        try:
            if patch:
                patch(workflow, executor_plugin.executor, executor_settings)
        except UserError as error:
            # a WorkflowError from here would be printed with its place in this file
            sys.exit(f"{executor_plugin.name}: {error}")
        return execute(executor_plugin=executor_plugin, executor_settings=executor_settings, **options)

    workflow.execute = with_patched_executor
