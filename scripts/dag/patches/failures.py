"""When a job with update() outputs fails, snakemake (9.27) restores those of an earlier run with new dates, and records
them as made by the job that failed: the next run would take them for what that job was to make. Unneeded once a
restored file keeps its date and its record."""

import os
from pathlib import Path
from typing import Any

import snakemake.api
from snakemake.persistence import PersistenceBase

from dag.patches.installed import expect_parameters


def check() -> None:
    """Raise UserError unless Snakemake has what `invalidate` calls."""
    expect_parameters(snakemake.dag.DAG, "needrun_jobs", set(), "snakemake")
    expect_parameters(PersistenceBase, "cleanup", {"job"}, "snakemake")


def invalidate(workflow: Any) -> None:
    """Of outputs that were restored in this run, remove the record of how they were made, and give them the oldest
    date.

    The next run makes them anew; until then they can be looked at.
    """
    since = workflow.start_time.timestamp()
    for job in workflow.dag.needrun_jobs():
        restored = [path for path in map(Path, job.output) if path.exists() and path.stat().st_mtime >= since]
        if restored:
            workflow.persistence.cleanup(job)
        for path in restored:
            os.utime(path, (0, 0))
