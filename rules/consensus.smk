# Needs the live forecasts and the evaluation; gives the sealed decision, and after the fact its audit.


rule consensus:
    """Decide BUY or HOLD after costs, and seal it."""
    input:
        forecast=f"{ARTIFACTS}/forecasts/live/{ENSEMBLE}.parquet",
        weights=f"{ARTIFACTS}/forecasts/live/weights.json",
        forecasts=expand(f"{ARTIFACTS}/forecasts/live/{{member}}.parquet", member=SELECTED),
        evaluation=f"{ARTIFACTS}/evaluation.json",
        candles=f"{DATA}/candles/live/{SETTINGS['consensus']['symbol']}.parquet",
        cutoff=f"{DATA}/as_of/live.json",
        code=code("consensus"),
    output:
        trade=update(f"{ARTIFACTS}/mock_trade.json"),
        path=update(f"{ARTIFACTS}/forecast_path.csv"),
    log:
        f"{ARTIFACTS}/logs/consensus/trade.log",
    benchmark:
        f"{ARTIFACTS}/logs/consensus/trade.tsv"
    retries: 0
    localrule: True
    container:
        SETTINGS["image"]
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        symbol=SETTINGS["consensus"]["symbol"],
        task=TASK,
        consensus=SETTINGS["consensus"],
    message:
        "Deciding"
    script:
        "../scripts/consensus.py"


rule fetch_outcome:
    """Candles after the decision, once that is sealed. No rule before the audit reads them."""
    input:
        cutoff=f"{DATA}/as_of/live.json",
        sealed=f"{ARTIFACTS}/mock_trade.json",
        files=replay_files(),
        code=code("fetch_outcome"),
    output:
        candles=update(f"{DATA}/outcome/{{symbol}}.parquet"),
        quality=update(f"{DATA}/outcome/{{symbol}}.quality.json"),
    log:
        f"{ARTIFACTS}/logs/fetch_outcome/{{symbol}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/fetch_outcome/{{symbol}}.tsv"
    retries: 0
    localrule: True
    container:
        SETTINGS["image"]
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        exchange=SETTINGS["exchange"],
        symbol=lambda wildcards: wildcards.symbol,
        interval=SETTINGS["interval"],
        horizon=SETTINGS["horizon"],
        fill=SETTINGS["candles"]["fill"],
    message:
        "Fetching the candles after the decision ({wildcards.symbol})"
    script:
        "../scripts/fetch_outcome.py"


rule audit:
    """The realised return of the sealed decision, for HOLD too."""
    input:
        trade=f"{ARTIFACTS}/mock_trade.json",
        path=f"{ARTIFACTS}/forecast_path.csv",
        candles=f"{DATA}/outcome/{SETTINGS['consensus']['symbol']}.parquet",
        code=code("audit"),
    output:
        audit=update(f"{ARTIFACTS}/mock_eval.json"),
    log:
        f"{ARTIFACTS}/logs/audit/trade.log",
    benchmark:
        f"{ARTIFACTS}/logs/audit/trade.tsv"
    retries: 0
    localrule: True
    container:
        SETTINGS["image"]
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Auditing the decision"
    script:
        "../scripts/audit.py"


rule summary:
    """A dozen lines that anyone reads in a minute."""
    input:
        evaluation=f"{ARTIFACTS}/evaluation.json",
        trade=f"{ARTIFACTS}/mock_trade.json",
        audit=f"{ARTIFACTS}/mock_eval.json",
        # last of all, so that a run ends with it
        plots=PLOTS,
        code=code("summary"),
    output:
        text=update(f"{ARTIFACTS}/summary.txt"),
    log:
        f"{ARTIFACTS}/logs/summary/summary.log",
    benchmark:
        f"{ARTIFACTS}/logs/summary/summary.tsv"
    localrule: True
    container:
        SETTINGS["image"]
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Summing up"
    script:
        "../scripts/summary.py"
