# Needs the folds' forecasts; gives what the policy would have decided and earned at their test origins, artifacts/backtest.json,
# backtest.csv and backtest/, and artifacts/plots/backtest.png and .pdf.


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
        before=weights_before,
        code=code("backtest_fold", POLICY_MODULES),
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


rule backtest:
    """What the policy would have earned at all test origins, beside simpler strategies."""
    input:
        tables=expand(f"{ARTIFACTS}/backtest/{{fold}}.csv", fold=FOLDS),
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        evaluation=f"{ARTIFACTS}/evaluation.json",
        code=code("backtest"),
    output:
        result=update(f"{ARTIFACTS}/backtest.json"),
        table=update(f"{ARTIFACTS}/backtest.csv"),
        equity=update(f"{ARTIFACTS}/backtest_equity.csv"),
    log:
        f"{ARTIFACTS}/logs/backtest/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/backtest/all.tsv"
    # where the trials of earlier runs are
    localrule: True
    container:
        IMAGE
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        symbols=SYMBOLS,
        task=TASK,
        stride=SETTINGS["folds"]["stride"],
        settings=SETTINGS["consensus"] | SETTINGS["decision"],
        config=seal(SEALED_CONFIG),
        # of all configs that were backtested here
        trials=f"{ARTIFACTS}/backtest/trials",
    message:
        "Summing the backtest up"
    script:
        "../scripts/backtest.py"


rule plot_backtest:
    """Wealth and drawdown of each strategy, weights, decisions."""
    input:
        result=f"{ARTIFACTS}/backtest.json",
        equity=f"{ARTIFACTS}/backtest_equity.csv",
        table=f"{ARTIFACTS}/backtest.csv",
        code=code("plot_backtest"),
    output:
        png=pictured("backtest", "Decision"),
        pdf=update(f"{ARTIFACTS}/plots/backtest.pdf"),
    log:
        f"{ARTIFACTS}/logs/plot_backtest/plot.log",
    benchmark:
        f"{ARTIFACTS}/logs/plot_backtest/plot.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    container:
        None
    resources:
        **LIGHT,
    params:
        # a function: Snakemake takes the braces of a text for wildcards
        timefmt=lambda wildcards: SETTINGS["plots"]["timefmt"],
    message:
        "Plotting the backtest"
    script:
        "../scripts/plot_backtest.py"
