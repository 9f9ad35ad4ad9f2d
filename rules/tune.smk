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
        SETTINGS["image"]
    threads: SETTINGS["tft"]["threads"]
    resources:
        **({"gpu": 1} if SETTINGS["tft"]["device"] == "gpu" else {}),
        # all early folds' bars at once
        mem_mb=lambda wildcards, input, attempt: attempt * int(2000 + 5 * input.size_mb * max(1, len(FOLDS) // 2)),
        # a second a step, as in train_tft
        runtime=lambda wildcards, attempt: (
            attempt
            * (
                30
                + SETTINGS["tuning"]["trials"]
                * max(1, len(FOLDS) // 2)
                * SETTINGS["tft"]["epochs"]
                * SETTINGS["tft"]["steps_per_epoch"]
                // 60
            )
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
