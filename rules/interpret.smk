# Needs the last fold's models and the training cutoff's features; gives artifacts/interpretation.csv and
# interpretation_attention.csv. No part of `all`: ask for it, or for its plot.


rule interpret:
    """The TFT's variable importance and attention, in windows that it was not trained on."""
    input:
        models=expand(
            f"{ARTIFACTS}/models/{FOLDS[-1]}/{TFT}-seed{{seed}}.ckpt",
            seed=SETTINGS["tft"]["seeds"],
        ),
        features=features_of("train"),
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        code=code("interpret"),
    output:
        importance=update(f"{ARTIFACTS}/interpretation.csv"),
        attention=update(f"{ARTIFACTS}/interpretation_attention.csv"),
    log:
        f"{ARTIFACTS}/logs/interpret/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/interpret/all.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1500, mem_mb_per_input_mb=3, runtime=15),
        slots=1,
    params:
        fold=FOLDS[-1],
        task=TASK,
        folds=SCHEME,
        stride=SETTINGS["folds"]["stride"],
    message:
        "Interpreting the TFT"
    script:
        "../scripts/interpret.py"
