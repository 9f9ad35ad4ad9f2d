"""What is notified of a run that failed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.notify import notify


def tell(workflow: Any) -> None:
    """Notify of the run's failure (common.notify), with the last line of each failed job's log. A cluster's jobs leave
    that to the run that submitted them."""
    if workflow.is_main_process:
        notify(f"the run in {Path.cwd()} failed", "\n".join(last_lines(workflow)) or "see its output")


def last_lines(workflow: Any) -> Iterator[str]:
    """The last line of the logs that were written in this run, of jobs that did not finish."""
    since = workflow.start_time.timestamp()
    for log in (Path(log) for job in workflow.dag.needrun_jobs() for log in job.log):
        if log.is_file() and log.stat().st_mtime >= since:
            lines = log.read_text(errors="replace").splitlines()
            yield next((line for line in reversed(lines) if line), str(log))
