# Forecasts crypto prices, decides whether to trade on them, and audits the decision. See README.md.
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from snakemake_interface_executor_plugins.settings import DeploymentMethod

from common.errors import UserError
from dag.image import ImageError, check_image, open_to_containers
from dag.pods import mend
from dag.settings import as_config, history_bars, resolve
from dag.slurm import check_slurm
from dag.sources import sources
from forecasting.members import BASE, CONSENSUS, ORACLE, TFT, TFT_RAW
from market.intervals import step_ms

mend()
if not os.access(".snakemake" if Path(".snakemake").exists() else ".", os.W_OK):
    sys.exit(f"config: {Path.cwd()}: cannot be written; make it writable, or give another folder: --directory")


configfile: str(Path(workflow.basedir) / "config" / "config.yaml")


try:
    SETTINGS = resolve(config)
    if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:
        open_to_containers([workflow.basedir, *SETTINGS["paths"].values(), SETTINGS["exchange"]["folder"] or "."])
        # a cluster's jobs need not ask again
        if workflow.is_main_process:
            check_image(SETTINGS["image"])
    # the executor is not known yet where a Snakefile is read; its name, or its profile's, is
    if workflow.is_main_process and any(Path(word.split("=")[-1]).name == "slurm" for word in sys.argv):
        check_slurm(workflow.resource_settings.default_resources)
except (UserError, ImageError) as error:
    sys.exit(f"config: {error}")

DATA = SETTINGS["paths"]["data"]
ARTIFACTS = SETTINGS["paths"]["artifacts"]
LOGS = SETTINGS["paths"]["logs"]
SYMBOLS = SETTINGS["symbols"]
SIMULATED = SETTINGS["exchange"]["id"] == "simulated"
FOLDS = [str(k) for k in range(SETTINGS["folds"]["count"])]
SPLIT = {key: SETTINGS["folds"][key] for key in ("count", "test_bars", "embargo")}
MEMBERS = SETTINGS["members"]
TFTS = [name for name in MEMBERS if name in (TFT, TFT_RAW)]
ASKED = [name for name in MEMBERS if name not in TFTS]
# the oracle knows what no forecast can: it is measured against, and never part of a decision
MEASURED = [CONSENSUS, *MEMBERS, ORACLE]


wildcard_constraints:
    pin="train|live",
    symbol=r"[A-Z0-9-]+",
    fold=r"\d+|live",
    seed=r"\d+",
    tft="tft|tft_raw",


localrules:
    all,


rule all:
    """Everything: the summary needs the evaluation, the audited decision and the plots."""
    input:
        f"{ARTIFACTS}/run.yaml",
        f"{ARTIFACTS}/summary.txt",


include: "rules/common.smk"
include: "rules/targets.smk"
include: "rules/fetch.smk"
include: "rules/features.smk"
include: "rules/train.smk"
include: "rules/predict.smk"
include: "rules/combine.smk"
include: "rules/evaluate.smk"
include: "rules/consensus.smk"
include: "rules/interpret.smk"
include: "rules/plots.smk"
