"""Snakemake's Slurm plugin (2.8) finds out job by job that Slurm takes none, waits forever where it cannot ask for a
job's status, and starts the jobs of one submission one after the other.

The checks are unneeded once the plugin tries sbatch and its status command before the first job; the rest once a
group's jobs run in one Snakemake, side by side, as https://github.com/snakemake/snakemake-executor-plugin-slurm plans
to ("revisit special handling for group job levels").
"""

import functools
import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from snakemake.logging import logger

from common.errors import UserError
from dag.patches.installed import expect_parameters, expect_text

PLUGIN = "snakemake-executor-plugin-slurm"
JOBSTEP = "--executor slurm-jobstep --jobs 1"
NAME_THEM = "name them: --default-resources slurm_partition=… slurm_account=…"
# the longest time between two of the plugin's queries, in seconds
LONGEST_WAIT = 180
PATIENCE = 60


def patch(workflow: Any, executor: Any, settings: Any) -> None:
    """Check that Slurm takes jobs and says what becomes of them, then let a submission's jobs run in one Snakemake,
    side by side.

    The plugin starts one after the other, each by srun with another Snakemake: three seconds for a second's work.
    That places the processes of a job of many nodes; none of ours has more than one. Here as many run at once as the
    submission has asked cores for, and so memory. Array jobs (--slurm-array-jobs) are left to the steps, which hand out
    an array's tasks.
    """
    expect_parameters(executor, "format_job_exec", {"job"}, PLUGIN)
    expect_text(executor, "additional_general_args", JOBSTEP, PLUGIN)
    check_sbatch(workflow.resource_settings.default_resources, settings)
    check_status(sys.modules[executor.__module__], settings)
    as_steps = executor.format_job_exec

    @functools.wraps(as_steps)
    def side_by_side(executor: Any, job: Any) -> str:
        call = as_steps(executor, job)
        if executor.array_jobs:
            return call
        return call.replace(JOBSTEP, f"--executor local --cores {job.threads}")

    executor.format_job_exec = side_by_side


def check_sbatch(default_resources: Mapping[str, Any] | None, settings: Any) -> None:
    """Raise UserError unless sbatch would take a job of Snakemake's default resources' partition and account.

    Without them the cluster's defaults count.
    """
    keys = ["partition"] if settings.no_account else ["partition", "account"]
    named = {key: getattr((default_resources or {}).get(f"slurm_{key}"), "raw", None) for key in keys}
    wanted = [f"--{key}={value}" for key, value in named.items() if value]
    done = _ask("sbatch", "--test-only", *wanted, "--wrap", "true")
    if done.returncode:
        reason = _reason(done).removeprefix("sbatch: error: ")
        raise UserError(f"{reason} ({' '.join(wanted) or 'default partition and account'}); {NAME_THEM}")


def check_status(plugin: Any, settings: Any) -> None:
    """Where the accounting database does not answer, let squeue say what becomes of a job, and give jobs no account.

    Raises UserError where squeue would forget a job that has ended before it is asked again.
    """
    expect_parameters(plugin, "query_job_status_sacct", {"runid"}, PLUGIN)
    expect_parameters(plugin, "get_min_job_age", set(), PLUGIN)
    if settings.status_command != "sacct":
        return
    done = _ask(*shlex.split(plugin.query_job_status_sacct("none")))
    if not done.returncode:
        return
    age = plugin.get_min_job_age()
    if age is None or age <= LONGEST_WAIT:
        raise UserError(
            f"{_reason(done)} (sacct), and squeue forgets a job {age} s after its end (MinJobAge); "
            f"ask for accounting, or for a MinJobAge over {LONGEST_WAIT} s"
        )
    settings.status_command, settings.no_account = "squeue", True
    logger.warning(f"{_reason(done)} (sacct): going on as with --slurm-status-command squeue --slurm-no-account")


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except FileNotFoundError:
        raise UserError(f"there is no {command[0]}; run on a login node of the cluster, or without --profile") from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"Slurm has not answered {command[0]} for {PATIENCE} s; see whether sinfo does, and try again"
        ) from None


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["no reason given"])[0]
