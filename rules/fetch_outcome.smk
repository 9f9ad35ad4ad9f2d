# Needs the sealed decision; gives the candles of its horizon, data/outcome/*.parquet.


rule fetch_outcome:
    """Candles after the decision, fetched once that is sealed. No rule before the audit reads them."""
    input:
        cutoff=f"{DATA}/as_of/live.json",
        sealed=f"{ARTIFACTS}/mock_trade.json",
        files=replay_files(),
        code=code("fetch_outcome"),
    output:
        candles=[update(f"{DATA}/outcome/{symbol}.parquet") for symbol in FETCHED],
        quality=[update(f"{DATA}/outcome/{symbol}.quality.json") for symbol in FETCHED],
    log:
        f"{ARTIFACTS}/logs/fetch_outcome/{OUTCOME_LOG}.log",
    benchmark:
        f"{ARTIFACTS}/logs/fetch_outcome/{OUTCOME_LOG}.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        exchange=MARKET,
        connection=connection,
        store=SETTINGS["paths"]["store"],
        symbols=asked_for,
        interval=SETTINGS["interval"],
        horizon=SETTINGS["horizon"],
        fill=SETTINGS["candles"]["fill"],
    message:
        "Fetching the candles after the decision ({params.symbols})"
    script:
        "../scripts/fetch_outcome.py"
