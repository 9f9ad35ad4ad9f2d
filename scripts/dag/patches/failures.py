"""What snakemake (9.27) gets wrong when a job with update() outputs fails: it puts earlier ones back with new dates,
and records them as made by the job that failed. They would pass for what it was to make."""

import os
from pathlib import Path
from typing import Any


def invalidate(workflow: Any, since: float) -> None:
    """Forget how outputs were made that were put back after `since` (seconds since 1970); give them the oldest date.

    The next run makes them anew; until then, whoever wants to look at them can.
    """
    for job in workflow.dag.needrun_jobs():
        back = [path for path in map(Path, job.output) if path.exists() and path.stat().st_mtime >= since]
        if back:
            workflow.persistence.cleanup(job)
        for path in back:
            os.utime(path, (0, 0))
