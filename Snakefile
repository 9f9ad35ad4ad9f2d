# Forecasts crypto prices, decides whether to trade on them, and audits the decision. See README.md.
import shlex
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")
# where this file really is: it may be reached by a link, or be a module of another workflow
CHECKOUT = Path(workflow.snakefile).resolve().parent
if not (CHECKOUT / "scripts").is_dir():
    sys.exit(
        f"{workflow.snakefile}: is not in a checkout; clone the project, and name the clone's Snakefile by its path"
    )
sys.path.insert(0, str(CHECKOUT / "scripts"))

from common.errors import UserError
from dag import failed, patches
from dag.checks import check_run, check_working_folder
from dag.image import ImageError
from dag.patches import failures
from dag.settings import resolve_all
from dag.stale import stale_folds


configfile: CHECKOUT / "config" / "config.yaml"


try:
    patches.apply(workflow)
    check_working_folder()
    CONFIG, RUNS = resolve_all(config, [Path(file).parent for file in workflow.configfiles])
    # for what is the same in all branches
    ONE = next(iter(RUNS.values()))
    check_run(workflow, RUNS)
except (UserError, ImageError) as error:
    sys.exit(f"config: {error}")

# either defines EVERYTHING
if "" in RUNS:
    # forecast.smk takes a resolved config
    config = ONE

    include: CHECKOUT / "rules" / "forecast.smk"

else:

    include: CHECKOUT / "rules" / "branches.smk"


rule all:
    """Everything that the run makes."""
    input:
        EVERYTHING,


onerror:
    failures.invalidate(workflow)
    failed.tell(workflow)


onsuccess:
    if stale := stale_folds(RUNS.values()):
        print(f"note: left by a run with more folds, unused: rm -r {shlex.join(stale)}", file=sys.stderr)
