# Needs the folds' forecasts and the realised candles; gives artifacts/evaluation.csv, evaluation_steps.csv, evaluation_pooled.csv
# and evaluation.json.


rule evaluate:
    """Score every member on every fold, against the baselines and, where there is one, the oracle."""
    input:
        forecasts=expand(
            f"{ARTIFACTS}/forecasts/{{fold}}/{{member}}.parquet",
            fold=FOLDS,
            member=EVALUATED,
        ),
        weights=expand(f"{ARTIFACTS}/forecasts/{{fold}}/weights.json", fold=FOLDS),
        candles=[f"{DATA}/candles/train/{symbol}.parquet" for symbol in SYMBOLS],
        cutoff=f"{DATA}/as_of/train.json",
        code=code("evaluate"),
    output:
        table=update(f"{ARTIFACTS}/evaluation.csv"),
        steps=update(f"{ARTIFACTS}/evaluation_steps.csv"),
        leaderboard=update(f"{ARTIFACTS}/evaluation_pooled.csv"),
        summary=update(f"{ARTIFACTS}/evaluation.json"),
    log:
        f"{ARTIFACTS}/logs/evaluate/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/evaluate/all.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1000, mem_mb_per_input_mb=10, runtime=15),
        slots=1,
    params:
        symbols=SYMBOLS,
        task=TASK,
        folds=SCHEME,
        stride=SETTINGS["folds"]["stride"],
        exchange=SETTINGS["exchange"]["id"],
        investor=SETTINGS["evaluation"],
        previous_trials=SETTINGS["tuning"]["previous_trials"],
    message:
        "Scoring the forecasts"
    script:
        "../scripts/evaluate.py"
