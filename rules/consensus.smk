# Needs the live forecasts and the evaluation; gives the sealed decision, artifacts/mock_trade.json, and forecast_path.csv.


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
        IMAGE
    resources:
        **LIGHT,
    params:
        symbol=SETTINGS["consensus"]["symbol"],
        task=TASK,
        consensus=SETTINGS["consensus"],
        connection=connection,
    message:
        "Deciding"
    script:
        "../scripts/consensus.py"
