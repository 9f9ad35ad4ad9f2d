# Needs candles, features, models and forecasts of the test folds; gives artifacts/leak_trial.json and leak_trial.txt. No part
# of `all`: ask for `leak_trial`, which fails at a leak.


rule trial_features:
    """The features' leak trial: no value may change with candles after it."""
    input:
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        extra=[file for feature in FEATURES.values() for file in plug_ins.files(feature)],
        code=code("trial_features"),
    output:
        trials=update(f"{ARTIFACTS}/leak_trial/features.json"),
    log:
        f"{ARTIFACTS}/logs/trial_features/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/trial_features/all.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1500, mem_mb_per_input_mb=10, runtime=60),
        slots=2,
    params:
        spans=SETTINGS["features"]["spans"],
        extra=[[feature.file, feature.name] for feature in FEATURES.values()],
        task=TASK,
        folds=SCHEME,
        stride=SETTINGS["folds"]["stride"],
        cuts=SETTINGS["leak_trial"]["cuts"],
    message:
        "Trying the features for leaks"
    script:
        "../scripts/trial_features.py"


rule trial_member:
    """A baseline's leak trial, or that of a member of the user's own."""
    input:
        features=features_of("train"),
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        plug_in=lambda wildcards: plug_ins.files(PLUGINS[wildcards.member]) if wildcards.member in PLUGINS else [],
        extra=[file for feature in FEATURES.values() for file in plug_ins.files(feature)],
        code=code("trial_member", [MEMBERS[name].module for name in BASELINES]),
    output:
        trials=update(f"{ARTIFACTS}/leak_trial/members/{{member}}.json"),
    log:
        f"{ARTIFACTS}/logs/trial_member/{{member}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/trial_member/{{member}}.tsv"
    wildcard_constraints:
        member="|".join([*BASELINES, *PLUGINS]),
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1500, mem_mb_per_input_mb=3, runtime=60),
        slots=2,
    params:
        plug_in=lambda wildcards: (
            [PLUGINS[wildcards.member].file, wildcards.member] if wildcards.member in PLUGINS else []
        ),
        task=TASK,
        folds=SCHEME,
        stride=SETTINGS["folds"]["stride"],
        baselines=SETTINGS["baselines"],
        spans=SETTINGS["features"]["spans"],
        extra=[[feature.file, feature.name] for feature in FEATURES.values()],
        cuts=SETTINGS["leak_trial"]["cuts"],
    message:
        "Trying {wildcards.member} for leaks"
    script:
        "../scripts/trial_member.py"


rule trial_tft:
    """A TFT's leak trial, with the models of all folds."""
    input:
        models=expand(
            f"{ARTIFACTS}/models/{{fold}}/{{tft}}-seed{{seed}}.ckpt",
            fold=FOLDS,
            seed=SETTINGS["tft"]["seeds"],
            allow_missing=True,
        ),
        base=lambda wildcards: [
            f"{ARTIFACTS}/forecasts/{fold}/{member}.parquet"
            for fold in FOLDS
            for member in MEMBERS[wildcards.tft].needs
        ],
        features=features_of("train"),
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        extra=[file for feature in FEATURES.values() for file in plug_ins.files(feature)],
        code=code("trial_tft"),
    output:
        trials=update(f"{ARTIFACTS}/leak_trial/members/{{tft}}.json"),
    log:
        f"{ARTIFACTS}/logs/trial_tft/{{tft}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/trial_tft/{{tft}}.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=2000, mem_mb_per_input_mb=5, runtime=60),
        slots=1,
    params:
        spans=SETTINGS["features"]["spans"],
        extra=[[feature.file, feature.name] for feature in FEATURES.values()],
        task=TASK,
        folds=SCHEME,
        stride=SETTINGS["folds"]["stride"],
        cuts=SETTINGS["leak_trial"]["cuts"],
    message:
        "Trying {wildcards.tft} for leaks"
    script:
        "../scripts/trial_tft.py"


rule trial_ensemble:
    """The ensemble's leak trial, with the members' forecasts of all folds."""
    input:
        forecasts=expand(f"{ARTIFACTS}/forecasts/{{fold}}/{{member}}.parquet", fold=FOLDS, member=SELECTED),
        validation=expand(f"{ARTIFACTS}/forecasts/{{fold}}/validation/{{member}}.parquet", fold=FOLDS, member=SELECTED),
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        code=code("trial_ensemble"),
    output:
        trials=update(f"{ARTIFACTS}/leak_trial/members/{ENSEMBLE}.json"),
    log:
        f"{ARTIFACTS}/logs/trial_ensemble/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/trial_ensemble/all.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1500, mem_mb_per_input_mb=10, runtime=60),
        slots=1,
    params:
        task=TASK,
        folds=SCHEME,
        stride=SETTINGS["folds"]["stride"],
        ensemble=SETTINGS["ensemble"],
        calibration=SETTINGS["calibration"],
        cuts=SETTINGS["leak_trial"]["cuts"],
    message:
        "Trying the ensemble for leaks"
    script:
        "../scripts/trial_ensemble.py"


rule leak_report:
    """The results of all leak trials, a line a member and feature."""
    input:
        trials=[
            f"{ARTIFACTS}/leak_trial/{name}.json"
            for name in ["features", *(f"members/{member}" for member in [ENSEMBLE, *SELECTED])]
        ],
        code=code("leak_report"),
    output:
        document=update(f"{ARTIFACTS}/leak_trial.json"),
        text=update(f"{ARTIFACTS}/leak_trial.txt"),
    log:
        f"{ARTIFACTS}/logs/leak_report/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/leak_report/all.tsv"
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    message:
        "Gathering the leak trials"
    script:
        "../scripts/leak_report.py"


rule leak_trial:
    """Fails where a member or a feature leaks."""
    input:
        document=f"{ARTIFACTS}/leak_trial.json",
        code=code("leak_trial"),
    output:
        passed=update(f"{ARTIFACTS}/leak_trial/passed.txt"),
    log:
        f"{ARTIFACTS}/logs/leak_trial/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/leak_trial/all.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    message:
        "Looking for leaks"
    script:
        "../scripts/leak_trial.py"
