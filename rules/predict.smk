# Needs models and features; gives artifacts/forecasts/<fold>/<member>.parquet.


rule predict_tft:
    """The TFT's quantile paths at a fold's test origins, or at the live origin."""
    input:
        models=expand(
            f"{ARTIFACTS}/models/{{fold}}/seed{{seed}}.ckpt",
            seed=SETTINGS["model"]["seeds"],
            allow_missing=True,
        ),
        features=lambda wildcards: features_of("live" if wildcards.fold == "live" else "train"),
        pin=pin_of,
        code=code("predict_tft"),
    output:
        forecasts=update(f"{ARTIFACTS}/forecasts/{{fold}}/tft.parquet"),
    log:
        f"{ARTIFACTS}/logs/predict_tft/{{fold}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/predict_tft/{{fold}}.tsv"
    container:
        SETTINGS["image"]
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: attempt * int(1500 + 3 * input.size_mb),
        runtime=lambda wildcards, attempt: attempt * 15,
        lanes=1,
    params:
        symbols=SYMBOLS,
        interval=SETTINGS["interval"],
        lookback=SETTINGS["lookback"],
        horizon=SETTINGS["horizon"],
        quantiles=SETTINGS["quantiles"],
        folds=SPLIT,
        stride=SETTINGS["folds"]["stride"],
    message:
        "Predicting fold {wildcards.fold} with the TFT"
    script:
        "../scripts/predict_tft.py"


rule predict_baselines:
    """What the honest baselines say at the same origins."""
    input:
        features=lambda wildcards: features_of("live" if wildcards.fold == "live" else "train"),
        candles=[f"{DATA}/candles/train/{symbol}.parquet" for symbol in SYMBOLS],
        live_candles=lambda wildcards: [
            f"{DATA}/candles/live/{symbol}.parquet" for symbol in SYMBOLS if wildcards.fold == "live"
        ],
        pin=pin_of,
        code=code("predict_baselines"),
    output:
        **{member: update(f"{ARTIFACTS}/forecasts/{{fold}}/{member}.parquet") for member in COMPUTED},
    log:
        f"{ARTIFACTS}/logs/predict_baselines/{{fold}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/predict_baselines/{{fold}}.tsv"
    container:
        SETTINGS["image"]
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: attempt * int(1000 + 2 * input.size_mb),
        runtime=lambda wildcards, attempt: attempt * 10,
        # one after the other, on one core beside the trainings
        lanes=2,
    params:
        symbols=SYMBOLS,
        interval=SETTINGS["interval"],
        lookback=SETTINGS["lookback"],
        horizon=SETTINGS["horizon"],
        quantiles=SETTINGS["quantiles"],
        folds=SPLIT,
        stride=SETTINGS["folds"]["stride"],
        baselines=SETTINGS["baselines"],
    message:
        "Predicting fold {wildcards.fold} with the baselines"
    script:
        "../scripts/predict_baselines.py"


if SIMULATED:

    rule predict_oracle:
        """What one would say who knew the simulated market's law: the best forecast there is."""
        input:
            reference=f"{ARTIFACTS}/forecasts/{{fold}}/random_walk.parquet",
            code=code("predict_oracle"),
        output:
            forecasts=update(f"{ARTIFACTS}/forecasts/{{fold}}/oracle.parquet"),
        log:
            f"{ARTIFACTS}/logs/predict_oracle/{{fold}}.log",
        benchmark:
            f"{ARTIFACTS}/logs/predict_oracle/{{fold}}.tsv"
        container:
            SETTINGS["image"]
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: attempt * 1500,
            runtime=lambda wildcards, attempt: attempt * 15,
            lanes=2,
        params:
            exchange=SETTINGS["exchange"],
            interval=SETTINGS["interval"],
            horizon=SETTINGS["horizon"],
            quantiles=SETTINGS["quantiles"],
        message:
            "Asking the simulated market's law about fold {wildcards.fold}"
        script:
            "../scripts/predict_oracle.py"
