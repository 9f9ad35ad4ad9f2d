# Needs the folds' forecasts; gives what the policy would have decided and earned at their test origins, artifacts/backtest.json,
# backtest.csv and backtest/, and artifacts/plots/backtest.png and .pdf.


def earlier_folds(wildcards):
    """The folds whose outcomes were known before a fold."""
    return [fold for fold in FOLDS if int(fold) < int(wildcards.fold)]


rule backtest_fold:
    """The decisions at a fold's test origins by what was known at each, and what they earned."""
    input:
        forecasts=expand(
            f"{ARTIFACTS}/forecasts/{{fold}}/{{member}}.parquet",
            member=EVALUATED,
            allow_missing=True,
        ),
        weights=f"{ARTIFACTS}/forecasts/{{fold}}/weights.csv",
        earlier=lambda wildcards: expand(
            f"{ARTIFACTS}/forecasts/{{fold}}/{{member}}.parquet",
            fold=earlier_folds(wildcards),
            member=EVALUATED,
        ),
        earlier_weights=lambda wildcards: expand(
            f"{ARTIFACTS}/forecasts/{{fold}}/weights.json",
            fold=earlier_folds(wildcards),
        ),
        candles=candles_of("train"),
        quality=expand(f"{DATA}/candles/train/{{symbol}}.quality.json", symbol=SYMBOLS),
        features=features_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        code=code("backtest_fold"),
    output:
        table=update(f"{ARTIFACTS}/backtest/{{fold}}.csv"),
        documents=update(f"{ARTIFACTS}/backtest/{{fold}}.jsonl"),
    log:
        f"{ARTIFACTS}/logs/backtest_fold/{{fold}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/backtest_fold/{{fold}}.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1000, mem_mb_per_input_mb=15, runtime=30),
        slots=1,
    params:
        symbols=SYMBOLS,
        task=TASK,
        folds=SCHEME,
        stride=SETTINGS["folds"]["stride"],
        exchange=SETTINGS["exchange"]["id"],
        live_bars=SETTINGS["history_bars"]["live"],
        sample_paths=SETTINGS["sample_paths"],
        settings=SETTINGS["consensus"] | SETTINGS["decision"],
        investor=SETTINGS["evaluation"],
        previous_trials=SETTINGS["tuning"]["previous_trials"],
    message:
        "Deciding at the test origins of fold {wildcards.fold}"
    script:
        "../scripts/backtest_fold.py"
