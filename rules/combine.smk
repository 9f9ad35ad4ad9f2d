# Needs all members' forecasts of a fold; gives the consensus forecast, artifacts/forecasts/<fold>/consensus.parquet.


rule combine:
    """One forecast of the members that did well in validation, calibrated by what came."""
    input:
        forecasts=expand(f"{ARTIFACTS}/forecasts/{{fold}}/{{member}}.parquet", member=MEMBERS, allow_missing=True),
        validation=expand(
            f"{ARTIFACTS}/forecasts/{{fold}}/validation/{{member}}.parquet", member=MEMBERS, allow_missing=True
        ),
        candles=candles_of("train"),
        live_candles=lambda wildcards: candles_of("live") if wildcards.fold == "live" else [],
        code=code("combine"),
    output:
        forecasts=update(f"{ARTIFACTS}/forecasts/{{fold}}/consensus.parquet"),
        weights=update(f"{ARTIFACTS}/forecasts/{{fold}}/weights.json"),
    log:
        f"{ARTIFACTS}/logs/combine/{{fold}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/combine/{{fold}}.tsv"
    container:
        SETTINGS["image"]
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: attempt * int(1000 + 10 * input.size_mb),
        runtime=lambda wildcards, attempt: attempt * 10,
        lanes=1,
    params:
        interval=SETTINGS["interval"],
        horizon=SETTINGS["horizon"],
        quantiles=SETTINGS["quantiles"],
        combination=SETTINGS["combination"],
    message:
        "Combining the forecasts of fold {wildcards.fold}"
    script:
        "../scripts/combine.py"
