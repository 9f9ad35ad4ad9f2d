# Needs the live forecasts and the evaluation; gives a sealed decision a symbol, artifacts/decisions/ and decisions.csv, and
# the run's, mock_trade.json and forecast_path.csv.


rule consensus:
    """Decide BUY or HOLD after costs on each symbol, and seal it."""
    input:
        forecast=f"{ARTIFACTS}/forecasts/live/{ENSEMBLE}.parquet",
        weights=f"{ARTIFACTS}/forecasts/live/weights.json",
        forecasts=expand(f"{ARTIFACTS}/forecasts/live/{{member}}.parquet", member=SELECTED),
        paths=f"{ARTIFACTS}/forecasts/live/paths.parquet",
        evaluation=f"{ARTIFACTS}/evaluation.json",
        candles=candles_of("live"),
        quality=expand(f"{DATA}/candles/live/{{symbol}}.quality.json", symbol=SYMBOLS),
        features=features_of("live"),
        trained=features_of("train"),
        cutoff=f"{DATA}/as_of/live.json",
        code=code("consensus", POLICY_MODULES),
    output:
        trade=update(f"{ARTIFACTS}/mock_trade.json"),
        path=update(f"{ARTIFACTS}/forecast_path.csv"),
        table=update(f"{ARTIFACTS}/decisions.csv"),
        documents=update(expand(f"{ARTIFACTS}/decisions/{{symbol}}.json", symbol=SYMBOLS)),
        paths=update(expand(f"{ARTIFACTS}/decisions/{{symbol}}-path.csv", symbol=SYMBOLS)),
        plans=update(expand(f"{ARTIFACTS}/decisions/{{symbol}}-plans.csv", symbol=SYMBOLS)),
    log:
        f"{ARTIFACTS}/logs/consensus/trade.log",
    benchmark:
        f"{ARTIFACTS}/logs/consensus/trade.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        symbols=SYMBOLS,
        symbol=SETTINGS["consensus"]["symbol"],
        task=TASK,
        settings=SETTINGS["consensus"] | SETTINGS["decision"],
        connection=connection,
    message:
        "Deciding"
    script:
        "../scripts/consensus.py"
