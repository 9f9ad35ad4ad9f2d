# Needs the training cutoff's features and candles; gives artifacts/tuned.yaml and tuning.csv. No part of `all`: ask for it, and
# then run with `--configfile artifacts/tuned.yaml`.


rule tune:
    """The TFT's settings with the smallest validation loss on the early folds; the later ones are not used."""
    input:
        features=features_of("train"),
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        code=code("tune"),
    output:
        config=update(f"{ARTIFACTS}/tuned.yaml"),
        table=update(f"{ARTIFACTS}/tuning.csv"),
    log:
        f"{ARTIFACTS}/logs/tune/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/tune/all.tsv"
    container:
        IMAGE
    threads: SETTINGS["tft"]["threads"]
    resources:
        **GPU,
        # all early folds' bars at once; a second a step, as in train_tft
        **scaled(
            mem_mb=2000,
            mem_mb_per_input_mb=5 * EARLY_FOLDS,
            runtime=30 + SETTINGS["tuning"]["trials"] * EARLY_FOLDS * STEPS // 60,
        ),
    params:
        # of the trainings and of the search
        seed=SETTINGS["tft"]["seeds"][0],
        task=TASK,
        folds=SCHEME,
        tft={key: value for key, value in SETTINGS["tft"].items() if key not in ("seeds", "threads")},
        space=SETTINGS["tuning"]["space"],
        trials=SETTINGS["tuning"]["trials"],
        previous_trials=SETTINGS["tuning"]["previous_trials"],
    message:
        "Tuning the TFT on early folds"
    script:
        "../scripts/tune.py"
