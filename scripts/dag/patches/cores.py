"""Snakemake (9.27) refuses to run here without -j or --cores, and no profile can give a default: `cores` in
profiles/default would win over -j, and `jobs` over that of profiles/slurm. Unneeded once one of the two is changed
upstream."""

from typing import Any

from snakemake.utils import available_cpu_count

from dag.patches.installed import expect


def use_all(workflow: Any) -> None:
    """Give a run all cores of this machine, unless its command line or profile names cores, or jobs on a cluster."""
    settings = workflow.resource_settings
    for name in ("cores", "nodes"):
        expect(hasattr(settings, name), f"ResourceSettings.{name}", "snakemake")
    expect("_cores" in workflow.global_resources, "resource _cores", "snakemake")
    if workflow.is_main_process and settings.cores is None and settings.nodes is None:
        settings.cores = available_cpu_count()
        workflow.register_resource("_cores", settings.cores)
