# Needs the sealed decisions; gives the ledger, artifacts/ledger/, and of what came after them artifacts/ledger.csv,
# ledger_drift.csv and artifacts/plots/ledger.png and .pdf. No part of `all`: ask for it (make decide, make settle).
LEDGER = f"{ARTIFACTS}/ledger"


rule ledger_append:
    """The decisions on all symbols become the ledger's next entry."""
    input:
        documents=expand(f"{ARTIFACTS}/decisions/{{symbol}}.json", symbol=SYMBOLS),
        paths=expand(f"{ARTIFACTS}/decisions/{{symbol}}-path.csv", symbol=SYMBOLS),
        plans=expand(f"{ARTIFACTS}/decisions/{{symbol}}-plans.csv", symbol=SYMBOLS),
        forecast=f"{ARTIFACTS}/forecasts/live/{ENSEMBLE}.parquet",
        forecasts=expand(f"{ARTIFACTS}/forecasts/live/{{member}}.parquet", member=SELECTED),
        weights=f"{ARTIFACTS}/forecasts/live/weights.json",
        evaluation=f"{ARTIFACTS}/evaluation.json",
        cutoff=f"{DATA}/as_of/live.json",
        train_cutoff=f"{DATA}/as_of/train.json",
        code=code("ledger_append"),
    output:
        head=update(f"{LEDGER}/head.json"),
    log:
        f"{ARTIFACTS}/logs/ledger_append/entry.log",
    benchmark:
        f"{ARTIFACTS}/logs/ledger_append/entry.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        market=market_of(SETTINGS["exchange"]),
        task=TASK,
    message:
        "Appending to the ledger"
    script:
        "../scripts/ledger_append.py"


rule ledger_settle:
    """What came after the ledger's decisions, and the scores of its forecasts."""
    input:
        files=replay_files(),
        code=code("ledger_settle", POLICY_MODULES),
    output:
        table=update(f"{ARTIFACTS}/ledger.csv"),
        drift=update(f"{ARTIFACTS}/ledger_drift.csv"),
    log:
        f"{ARTIFACTS}/logs/ledger_settle/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/ledger_settle/all.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        ledger=lambda wildcards: LEDGER,
        connection=connection,
        store=SETTINGS["paths"]["store"],
        fill=SETTINGS["candles"]["fill"],
        window=SETTINGS["ledger"]["window"],
    message:
        "Settling the ledger"
    script:
        "../scripts/ledger_settle.py"


rule ledger_verify:
    """Whether the ledger is what was sealed. It writes nothing, so that it runs whenever it is asked for."""
    input:
        code=code("ledger_verify"),
    log:
        f"{ARTIFACTS}/logs/ledger_verify/all.log",
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        ledger=LEDGER,
        head=SETTINGS["ledger"]["head"],
    message:
        "Verifying the ledger"
    script:
        "../scripts/ledger_verify.py"


rule plot_ledger:
    """Decisions, members' skill, rolling skill and coverage. No part of `plots`: the default run has no ledger."""
    input:
        table=f"{ARTIFACTS}/ledger.csv",
        drift=f"{ARTIFACTS}/ledger_drift.csv",
        code=code("plot_ledger"),
    output:
        png=update(f"{ARTIFACTS}/plots/ledger.png"),
        pdf=update(f"{ARTIFACTS}/plots/ledger.pdf"),
    log:
        f"{ARTIFACTS}/logs/plot_ledger/plot.log",
    benchmark:
        f"{ARTIFACTS}/logs/plot_ledger/plot.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    container:
        None
    resources:
        **LIGHT,
    params:
        # a function: Snakemake takes the braces of a text for wildcards
        timefmt=lambda wildcards: SETTINGS["plots"]["timefmt"],
    message:
        "Plotting the ledger"
    script:
        "../scripts/plot_ledger.py"
