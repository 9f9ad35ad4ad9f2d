# Needs models, features and candles; gives artifacts/forecasts/<fold>/<member>.parquet, and the same for the validation
# origins before it: artifacts/forecasts/<fold>/validation/<member>.parquet.


rule predict_tft:
    """The TFT's quantile paths at a fold's test origins, or at the live origin."""
    input:
        models=expand(
            f"{ARTIFACTS}/models/{{fold}}/{{tft}}-seed{{seed}}.ckpt",
            seed=SETTINGS["tft"]["seeds"],
            allow_missing=True,
        ),
        features=lambda wildcards: features_of("live" if wildcards.fold == "live" else "train"),
        train_features=features_of("train"),
        candles=candles_of("train"),
        live_candles=lambda wildcards: candles_of("live") if wildcards.fold == "live" else [],
        # what it corrects
        base=lambda wildcards: [
            f"{ARTIFACTS}/forecasts/{wildcards.fold}/{part}{BASE}.parquet"
            for part in ("", "validation/")
            if wildcards.tft == TFT
        ],
        cutoff=cutoff_of,
        train_cutoff=f"{DATA}/as_of/train.json",
        code=code("predict_tft"),
    output:
        forecasts=update(f"{ARTIFACTS}/forecasts/{{fold}}/{{tft}}.parquet"),
        validation=update(f"{ARTIFACTS}/forecasts/{{fold}}/validation/{{tft}}.parquet"),
    log:
        f"{ARTIFACTS}/logs/predict_tft/{{fold}}-{{tft}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/predict_tft/{{fold}}-{{tft}}.tsv"
    container:
        SETTINGS["image"]
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: attempt * int(1500 + 3 * input.size_mb),
        runtime=lambda wildcards, attempt: attempt * 15,
        slots=1,
    params:
        symbols=SYMBOLS,
        interval=SETTINGS["interval"],
        lookback=SETTINGS["lookback"],
        horizon=SETTINGS["horizon"],
        quantiles=SETTINGS["quantiles"],
        folds=SPLIT,
        stride=SETTINGS["folds"]["stride"],
        validation_fraction=SETTINGS["folds"]["validation_fraction"],
    message:
        "Predicting fold {wildcards.fold} with {wildcards.tft}"
    script:
        "../scripts/predict_tft.py"


rule predict_baselines:
    """What the honest baselines say at the same origins."""
    input:
        features=lambda wildcards: features_of("live" if wildcards.fold == "live" else "train"),
        train_features=features_of("train"),
        candles=candles_of("train"),
        live_candles=lambda wildcards: candles_of("live") if wildcards.fold == "live" else [],
        cutoff=cutoff_of,
        train_cutoff=f"{DATA}/as_of/train.json",
        code=code("predict_baselines"),
    output:
        **{member: update(f"{ARTIFACTS}/forecasts/{{fold}}/{member}.parquet") for member in ASKED},
        **{
            f"{member}_validation": update(f"{ARTIFACTS}/forecasts/{{fold}}/validation/{member}.parquet")
            for member in ASKED
        },
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
        slots=2,
    params:
        symbols=SYMBOLS,
        interval=SETTINGS["interval"],
        lookback=SETTINGS["lookback"],
        horizon=SETTINGS["horizon"],
        quantiles=SETTINGS["quantiles"],
        folds=SPLIT,
        stride=SETTINGS["folds"]["stride"],
        members=ASKED,
        baselines=SETTINGS["baselines"],
        validation_fraction=SETTINGS["folds"]["validation_fraction"],
    message:
        "Predicting fold {wildcards.fold} with the baselines"
    script:
        "../scripts/predict_baselines.py"


rule predict_oracle:
    """The best forecast there is: of one who knows the simulated market's law, or a real market's coming volatility."""
    input:
        reference=f"{ARTIFACTS}/forecasts/{{fold}}/random_walk.parquet",
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
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
        mem_mb=lambda wildcards, input, attempt: attempt * int(1500 + 2 * input.size_mb),
        runtime=lambda wildcards, attempt: attempt * 15,
        slots=2,
    params:
        symbols=SYMBOLS,
        exchange=SETTINGS["exchange"],
        interval=SETTINGS["interval"],
        horizon=SETTINGS["horizon"],
        quantiles=SETTINGS["quantiles"],
        folds=SPLIT,
    message:
        "Asking the oracle about fold {wildcards.fold}"
    script:
        "../scripts/predict_oracle.py"
