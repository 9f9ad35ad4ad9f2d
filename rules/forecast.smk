# Needs a resolved config (dag.settings); gives one whole forecast, from the cutoffs to the summary: the run, or one of its branches.
from pathlib import Path

from dag.settings import as_config
from dag.sources import sources
from forecasting.members import BASE, ENSEMBLE, ORACLE, TFT, TFT_RAW

SETTINGS = config
DATA = SETTINGS["paths"]["data"]
ARTIFACTS = SETTINGS["paths"]["artifacts"]
LOGS = SETTINGS["paths"]["logs"]
SYMBOLS = SETTINGS["symbols"]
FOLDS = [str(k) for k in range(SETTINGS["folds"]["count"])]
SPLIT = {key: SETTINGS["folds"][key] for key in ("count", "test_bars", "embargo")}
MEMBERS = SETTINGS["members"]
TFTS = [name for name in MEMBERS if name in (TFT, TFT_RAW)]
ASKED = [name for name in MEMBERS if name not in TFTS]
# the oracle knows what no forecast can: it is measured against, and never part of a decision
MEASURED = [ENSEMBLE, *MEMBERS, ORACLE]
# the summary needs the evaluation, the audited decision and the plots
EVERYTHING = [f"{ARTIFACTS}/run.yaml", f"{ARTIFACTS}/summary.txt"]


wildcard_constraints:
    cutoff="train|live",
    symbol=r"[A-Z0-9-]+",
    fold=r"\d+|live",
    seed=r"\d+",
    tft="tft|tft_raw",


include: "common.smk"
include: "targets.smk"
include: "fetch.smk"
include: "features.smk"
include: "train.smk"
include: "predict.smk"
include: "ensemble.smk"
include: "evaluate.smk"
include: "consensus.smk"
include: "interpret.smk"
include: "tune.smk"
include: "plots.smk"
