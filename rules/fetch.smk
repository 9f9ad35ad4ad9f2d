# Needs the exchange; gives the cutoffs data/as_of/*.json and the candles up to them, data/candles/*/*.parquet.


rule run_config:
    """The resolved config beside the artifacts that it made."""
    input:
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
        settings=as_config(SETTINGS),
    message:
        "Writing the resolved config"
    script:
        "../scripts/run_config.py"


rule as_of:
    """The time after which nothing is known. The decision's is taken last, and never before the training's."""
    input:
        train=trained_before,
        ready=ready,
        files=replay_files(),
        code=code("as_of"),
    output:
        cutoff=update(f"{DATA}/as_of/{{cutoff}}.json"),
    log:
        f"{ARTIFACTS}/logs/as_of/{{cutoff}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/as_of/{{cutoff}}.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        exchange=MARKET,
        connection=connection,
        symbols=SYMBOLS,
        interval=SETTINGS["interval"],
        horizon=SETTINGS["horizon"],
        as_of=requested,
    message:
        "Asking the exchange for its clock ({wildcards.cutoff})"
    script:
        "../scripts/as_of.py"


rule fetch_candles:
    """Candles up to a cutoff, cleaned, and what was found wrong with them."""
    input:
        cutoff=f"{DATA}/as_of/{{cutoff}}.json",
        train=trained_before,
        files=replay_files(),
        code=code("fetch_candles"),
    output:
        candles=[update(f"{DATA}/candles/{{cutoff}}/{symbol}.parquet") for symbol in FETCHED],
        quality=[update(f"{DATA}/candles/{{cutoff}}/{symbol}.quality.json") for symbol in FETCHED],
    log:
        f"{ARTIFACTS}/logs/fetch_candles/{{cutoff}}{FETCH_LOG}.log",
    benchmark:
        f"{ARTIFACTS}/logs/fetch_candles/{{cutoff}}{FETCH_LOG}.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        exchange=MARKET,
        connection=connection,
        symbols=asked_for,
        interval=SETTINGS["interval"],
        bars=lambda wildcards: SETTINGS["history_bars"][wildcards.cutoff],
        candles=SETTINGS["candles"],
        store=SETTINGS["paths"]["store"],
    message:
        "Fetching {params.symbols} ({wildcards.cutoff})"
    script:
        "../scripts/fetch_candles.py"
