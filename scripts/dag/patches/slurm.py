"""What snakemake's Slurm plugin (2.8) leaves undone: to ask once, before the first job, whether Slurm would take it at
all, and to run a submission's jobs in one Snakemake, side by side."""

import functools
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from common.errors import UserError

NAME_THEM = "name them: --default-resources slurm_partition=… slurm_account=…"


def patch() -> None:
    """Let a submission's jobs, where snakemake has loaded the plugin, run in one Snakemake, side by side.

    The plugin starts one after the other, each by srun with a Snakemake of its own: three seconds for a second's work.
    That places the processes of a job of many nodes; none of ours has more than one. Here as many run at once as the
    submission has asked cores for, and so memory. Array jobs (--slurm-array-jobs) are left to the steps, which hand out
    an array's tasks.
    """
    plugin = sys.modules.get("snakemake_executor_plugin_slurm")
    if plugin is None or hasattr(plugin.Executor.format_job_exec, "__wrapped__"):
        return
    by_step = plugin.Executor.format_job_exec

    @functools.wraps(by_step)
    def side_by_side(executor: Any, job: Any) -> str:
        call = by_step(executor, job)
        if executor.array_jobs:
            return call
        return call.replace("--executor slurm-jobstep --jobs 1", f"--executor local --cores {job.threads}")

    plugin.Executor.format_job_exec = side_by_side


def check_slurm(default_resources: Mapping[str, Any] | None, patience: float = 60) -> None:
    """Raise UserError unless sbatch would take a job of Snakemake's default resources' partition and account.

    Without them it is the cluster's own defaults that count; `patience` is in seconds.
    """
    named = {
        key: getattr((default_resources or {}).get(f"slurm_{key}"), "raw", None) for key in ("partition", "account")
    }
    wanted = [f"--{key}={value}" for key, value in named.items() if value]
    try:
        command = ["sbatch", "--test-only", *wanted, "--wrap", "true"]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=patience)
    except FileNotFoundError:
        raise UserError("sbatch is not there; run on a login node of the cluster, or without --profile") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"Slurm has not answered for {patience:.0f} s; see whether sinfo does, and try again") from None
    if asked.returncode:
        said = (asked.stderr.strip().splitlines() or ["no reason given"])[0].removeprefix("sbatch: error: ")
        raise UserError(f"{said} ({' '.join(wanted) or 'default partition and account'}); {NAME_THEM}")
