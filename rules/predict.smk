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
        # what it corrects, in validation and in test
        base=lambda wildcards: [
            f"{ARTIFACTS}/forecasts/{wildcards.fold}/{part}{member}.parquet"
            for part in ("validation/", "")
            for member in MEMBERS[wildcards.tft].needs
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
        IMAGE
    resources:
        **scaled(mem_mb=1500, mem_mb_per_input_mb=3, runtime=15),
        slots=1,
    params:
        task=TASK,
        folds=scheme_of,
        stride=SETTINGS["folds"]["stride"],
    message:
        "Predicting fold {wildcards.fold} with {wildcards.tft}"
    script:
        "../scripts/predict_tft.py"


rule predict_baselines:
    """The baselines' quantile paths at the same origins."""
    input:
        features=lambda wildcards: features_of("live" if wildcards.fold == "live" else "train"),
        train_features=features_of("train"),
        candles=candles_of("train"),
        live_candles=lambda wildcards: candles_of("live") if wildcards.fold == "live" else [],
        cutoff=cutoff_of,
        train_cutoff=f"{DATA}/as_of/train.json",
        code=code("predict_baselines", [MEMBERS[name].module for name in BASELINES]),
    output:
        **{member: update(f"{ARTIFACTS}/forecasts/{{fold}}/{member}.parquet") for member in BASELINES},
        **{
            f"{member}_validation": update(f"{ARTIFACTS}/forecasts/{{fold}}/validation/{member}.parquet")
            for member in BASELINES
        },
    log:
        f"{ARTIFACTS}/logs/predict_baselines/{{fold}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/predict_baselines/{{fold}}.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1000, mem_mb_per_input_mb=2, runtime=10),
        # one after the other, on one core beside the trainings
        slots=2,
    params:
        task=TASK,
        folds=scheme_of,
        stride=SETTINGS["folds"]["stride"],
        members=BASELINES,
        baselines=SETTINGS["baselines"],
        extra=list(FEATURES),
    message:
        "Predicting fold {wildcards.fold} with the baselines"
    script:
        "../scripts/predict_baselines.py"


rule predict_plugin:
    """The quantile paths of a member of a user's own at the same origins, each in a job of its own."""
    input:
        features=lambda wildcards: features_of("live" if wildcards.fold == "live" else "train"),
        train_features=features_of("train"),
        candles=candles_of("train"),
        live_candles=lambda wildcards: candles_of("live") if wildcards.fold == "live" else [],
        cutoff=cutoff_of,
        train_cutoff=f"{DATA}/as_of/train.json",
        # its code, hashed as ours is
        plug_in=lambda wildcards: plug_ins.files(PLUGINS[wildcards.plugin]),
        trials=lambda wildcards: trials_if_required([f"members/{wildcards.plugin}"]),
        code=code("predict_plugin"),
    output:
        forecasts=update(f"{ARTIFACTS}/forecasts/{{fold}}/{{plugin}}.parquet"),
        validation=update(f"{ARTIFACTS}/forecasts/{{fold}}/validation/{{plugin}}.parquet"),
    log:
        f"{ARTIFACTS}/logs/predict_plugin/{{fold}}-{{plugin}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/predict_plugin/{{fold}}-{{plugin}}.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1500, mem_mb_per_input_mb=3, runtime=30),
        slots=2,
    params:
        plug_in=lambda wildcards: [PLUGINS[wildcards.plugin].file, wildcards.plugin],
        task=TASK,
        folds=scheme_of,
        stride=SETTINGS["folds"]["stride"],
        baselines=SETTINGS["baselines"],
        extra=list(FEATURES),
    message:
        "Predicting fold {wildcards.fold} with {wildcards.plugin}"
    script:
        "../scripts/predict_plugin.py"


rule predict_oracle:
    """An upper bound: the simulated market's true distribution, or a real market's realised volatility."""
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
        IMAGE
    resources:
        **scaled(mem_mb=1500, mem_mb_per_input_mb=2, runtime=15),
        slots=2,
    params:
        exchange=MARKET,
        task=TASK,
        folds=SCHEME,
    message:
        "Predicting fold {wildcards.fold} with the oracle"
    script:
        "../scripts/predict_oracle.py"
