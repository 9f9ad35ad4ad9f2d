# Needs the sealed decision; gives the candles of its horizon, data/outcome/*.parquet.


rule fetch_outcome:
    """Candles after the decision, fetched once that is sealed. No rule before the audit reads them."""
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
        IMAGE
    resources:
        **LIGHT,
    params:
        exchange=MARKET,
        connection=connection,
        store=SETTINGS["paths"]["store"],
        symbol=lambda wildcards: wildcards.symbol,
        interval=SETTINGS["interval"],
        horizon=SETTINGS["horizon"],
        fill=SETTINGS["candles"]["fill"],
    message:
        "Fetching the candles after the decision ({wildcards.symbol})"
    script:
        "../scripts/fetch_outcome.py"
