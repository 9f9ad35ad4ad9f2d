# Needs a config with branches; gives the forecast of each, in one DAG. A branch is forecast.smk as a module, with the
# branch's config: its name stands before those of its rules (5m_48_train_tft), and its files are in folders of its name.
from dag.branches import label, prefix, share_settings, targets_of
from dag.resources import LIGHT
from dag.sources import code
from trading.policies import MODULES as POLICY_MODULES

# the same for all branches
SETTINGS = {"image": ONE["image"], "paths": CONFIG["paths"]}
ARTIFACTS = SETTINGS["paths"]["artifacts"]
# as in forecast.smk
IMAGE = SETTINGS["image"].replace(" ", "%20")
share_settings(workflow.resource_settings, RUNS, workflow.modifier.modify_rulename)

for name, run in RUNS.items():
    BRANCH = prefix(name)

    module:
        name: BRANCH
        snakefile:
            "forecast.smk"
        config:
            run

    use rule * from BRANCH as BRANCH*


label(workflow, RUNS)
TARGETS = targets_of(workflow, RUNS)
EVERYTHING = [*TARGETS["summary"], f"{ARTIFACTS}/run.yaml", f"{ARTIFACTS}/branches.txt"]

for target in sorted(set(TARGETS) - {"run_config"}):

    rule:
        """This target of every branch."""
        name:
            target
        input:
            TARGETS[target],


rule run_config:
    """The config of all branches, for another run to go on from. That of each branch is beside its artifacts."""
    input:
        TARGETS["run_config"],
        code=code("run_config"),
    output:
        run=update(f"{ARTIFACTS}/run.yaml"),
    log:
        f"{ARTIFACTS}/logs/run_config/run.log",
    benchmark:
        f"{ARTIFACTS}/logs/run_config/run.tsv"
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        settings=CONFIG,
    message:
        "Writing the config of all branches"
    script:
        "../scripts/run_config.py"


rule branches:
    """The branches side by side, a line each."""
    input:
        evaluations=[f"{ARTIFACTS}/{name}/evaluation.json" for name in RUNS],
        trades=[f"{ARTIFACTS}/{name}/mock_trade.json" for name in RUNS],
        audits=[f"{ARTIFACTS}/{name}/mock_eval.json" for name in RUNS],
        # last of all, so that a run ends with it
        summaries=TARGETS["summary"],
        code=code("branches", POLICY_MODULES),
    output:
        text=update(f"{ARTIFACTS}/branches.txt"),
    log:
        f"{ARTIFACTS}/logs/branches/branches.log",
    benchmark:
        f"{ARTIFACTS}/logs/branches/branches.tsv"
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        names=list(RUNS),
    message:
        "Setting the branches side by side"
    script:
        "../scripts/branches.py"
