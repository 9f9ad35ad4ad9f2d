# Forecasts crypto prices, decides whether to trade on them, and audits the decision. See README.md.
import os
import shlex
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from snakemake_interface_executor_plugins.settings import DeploymentMethod

from common.errors import UserError
from dag.patches import failures, kubernetes, slurm
from dag.image import ImageError, check_image, open_to_containers
from dag.settings import resolve_all
from dag.stale import stale_folds

STARTED = time.time()
kubernetes.patch()
slurm.patch()
if not os.access(".snakemake" if Path(".snakemake").exists() else ".", os.W_OK):
    sys.exit(f"config: {Path.cwd()}: cannot be written; make it writable, or give another folder: --directory")


configfile: str(Path(workflow.basedir) / "config" / "config.yaml")


try:
    CONFIG, RUNS = resolve_all(config)
    # for what is the same in all branches: exchange, image
    ONE = next(iter(RUNS.values()))
    if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:
        paths = [path for run in RUNS.values() for path in run["paths"].values()]
        open_to_containers([workflow.basedir, *paths, ONE["exchange"]["folder"] or "."])
        # a cluster's jobs need not ask again
        if workflow.is_main_process:
            check_image(ONE["image"])
    # the executor is not known yet where a Snakefile is read; its name, or its profile's, is
    if workflow.is_main_process and any(Path(word.split("=")[-1]).name == "slurm" for word in sys.argv):
        slurm.check_slurm(workflow.resource_settings.default_resources)
except (UserError, ImageError) as error:
    sys.exit(f"config: {error}")

# both say what EVERYTHING is
if "" in RUNS:
    # forecast.smk takes a resolved config
    config = ONE

    include: "rules/forecast.smk"

else:

    include: "rules/branches.smk"


localrules:
    all,


rule all:
    """Everything that the run makes."""
    input:
        EVERYTHING,


onerror:
    failures.invalidate(workflow, STARTED)


onsuccess:
    if stale := stale_folds(RUNS.values()):
        print(f"note: left by a run with more folds, unused: rm -r {shlex.join(stale)}", file=sys.stderr)
