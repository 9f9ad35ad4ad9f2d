# Needs all members' forecasts of a fold; gives the ensemble forecast, artifacts/forecasts/<fold>/ensemble.parquet.


rule ensemble:
    """The calibrated average of the members with the smallest validation losses."""
    input:
        forecasts=expand(f"{ARTIFACTS}/forecasts/{{fold}}/{{member}}.parquet", member=SELECTED, allow_missing=True),
        validation=expand(
            f"{ARTIFACTS}/forecasts/{{fold}}/validation/{{member}}.parquet", member=SELECTED, allow_missing=True
        ),
        candles=candles_of("train"),
        live_candles=lambda wildcards: candles_of("live") if wildcards.fold == "live" else [],
        code=code("ensemble"),
    output:
        forecasts=update(f"{ARTIFACTS}/forecasts/{{fold}}/ensemble.parquet"),
        weights=update(f"{ARTIFACTS}/forecasts/{{fold}}/weights.json"),
        shares=update(f"{ARTIFACTS}/forecasts/{{fold}}/weights.csv"),
    log:
        f"{ARTIFACTS}/logs/ensemble/{{fold}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/ensemble/{{fold}}.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1000, mem_mb_per_input_mb=10, runtime=10),
        slots=1,
    params:
        task=TASK,
        ensemble=SETTINGS["ensemble"],
        calibration=SETTINGS["calibration"],
    message:
        "Combining the forecasts of fold {wildcards.fold}"
    script:
        "../scripts/ensemble.py"
