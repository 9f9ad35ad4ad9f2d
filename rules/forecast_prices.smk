# Needs the live ensemble forecast; gives artifacts/forecast.csv.


rule forecast_prices:
    """The live forecast of all symbols as prices, with the probability of a rise."""
    input:
        forecasts=f"{ARTIFACTS}/forecasts/live/{ENSEMBLE}.parquet",
        code=code("forecast_prices"),
    output:
        table=update(f"{ARTIFACTS}/forecast.csv"),
    log:
        f"{ARTIFACTS}/logs/forecast_prices/live.log",
    benchmark:
        f"{ARTIFACTS}/logs/forecast_prices/live.tsv"
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        task=TASK,
    message:
        "Tabulating the forecast"
    script:
        "../scripts/forecast_prices.py"
