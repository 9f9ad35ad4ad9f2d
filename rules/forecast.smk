# Needs a resolved config (dag.settings); gives one whole forecast, from the cutoffs to the summary: the run, or one of its branches.
from pathlib import Path

from snakemake.io import contains_wildcard

from dag import plug_ins
from dag.image import sif_name
from dag.resources import LIGHT, scaled
from dag.settings import as_config
from dag.sources import code
from forecasting.members import ENSEMBLE, MEMBERS, ORACLE, TFT, TFTS, member_name
from market.candle_folder import candle_files
from market.sources import market_of, source_of
from market.exchange import EXCHANGES
from trading.documents import BEST
from trading.policies import MODULES as POLICY_MODULES
from trading.seal import seal

SETTINGS = config
DATA = SETTINGS["paths"]["data"]
ARTIFACTS = SETTINGS["paths"]["artifacts"]
LOGS = SETTINGS["paths"]["logs"]
# a blank is refused where the image is used; Snakemake refuses it everywhere
IMAGE = SETTINGS["image"].replace(" ", "%20")
SYMBOLS = SETTINGS["symbols"]
FOLDS = [str(k) for k in range(SETTINGS["folds"]["count"])]
# forecasting.folds.FoldScheme: another stride is no reason to train again
SCHEME = {key: value for key, value in SETTINGS["folds"].items() if key != "stride"}
# forecasting.task.Task
TASK = {key: SETTINGS[key] for key in ("interval", "lookback", "horizon")} | {"quantile_levels": SETTINGS["quantiles"]}
SELECTED = [member_name(text) for text in SETTINGS["members"]]
NETWORKS = [name for name in SELECTED if name in TFTS]
# functions of a user's files, by name: common.plug_ins.PlugIn
PLUGINS = plug_ins.plug_ins(SETTINGS["members"])
FEATURES = plug_ins.plug_ins(SETTINGS["features"]["extra"])
BASELINES = [name for name in SELECTED if name not in TFTS and name not in PLUGINS]
# the oracle knows the future: it is an upper bound, and never part of a decision
EVALUATED = [ENSEMBLE, *SELECTED, ORACLE]
# of figures of one symbol
SHOWN = SYMBOLS[0] if SETTINGS["consensus"]["symbol"] == BEST else SETTINGS["consensus"]["symbol"]
EARLY_FOLDS = max(1, len(FOLDS) // 2)
# optimiser steps of one training, and the device that it has to itself
STEPS = SETTINGS["tft"]["epochs"] * SETTINGS["tft"]["steps_per_epoch"]
GPU = {"gpu": 1} if SETTINGS["tft"]["device"] == "gpu" else {}
# the summary needs the evaluation, the audited decision and the plots
EVERYTHING = [f"{ARTIFACTS}/run.yaml", f"{ARTIFACTS}/summary.txt"]


wildcard_constraints:
    cutoff="train|live",
    symbol=r"[A-Z0-9-]+",
    fold=r"\d+|live",
    seed=r"\d+",
    tft="|".join(TFTS),
    # of no plug-in, nothing
    plugin="|".join(PLUGINS) or "(?!)",


include: "common.smk"
include: "targets.smk"
include: "fetch.smk"
include: "import.smk"
include: "features.smk"
include: "train.smk"
include: "predict.smk"
include: "ensemble.smk"
include: "forecast_prices.smk"
include: "evaluate.smk"
include: "paths.smk"
include: "consensus.smk"
include: "backtest.smk"
include: "fetch_outcome.smk"
include: "audit.smk"
include: "ledger.smk"
include: "plots.smk"
include: "summary.smk"
include: "report.smk"
include: "interpret.smk"
include: "tune.smk"
include: "leak_trial.smk"
