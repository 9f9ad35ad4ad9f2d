"""Whether Slurm would take a job at all, asked once before the first: the plugin's own words say little, or hang."""

import subprocess
from collections.abc import Mapping
from typing import Any

from common.errors import UserError

NAME_THEM = "name them: --default-resources slurm_partition=… slurm_account=…"


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
