# Needs the training cutoff's features; gives artifacts/models/<fold>/<tft>-seed<seed>.ckpt and the training curves.


rule train_tft:
    """One TFT for one fold and seed, on that fold's training span alone."""
    input:
        features=features_of("train"),
        candles=[f"{DATA}/candles/train/{symbol}.parquet" for symbol in SYMBOLS],
        cutoff=f"{DATA}/as_of/train.json",
        code=code("train_tft"),
    output:
        model=update(f"{ARTIFACTS}/models/{{fold}}/{{tft}}-seed{{seed}}.ckpt"),
        curve=update(f"{LOGS}/fold-{{fold}}-{{tft}}-seed{{seed}}/metrics.csv"),
    log:
        f"{ARTIFACTS}/logs/train_tft/{{fold}}-{{tft}}-seed{{seed}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/train_tft/{{fold}}-{{tft}}-seed{{seed}}.tsv"
    container:
        IMAGE
    threads: SETTINGS["tft"]["threads"]
    resources:
        **GPU,
        # a second a step
        **scaled(mem_mb=2000, mem_mb_per_input_mb=5, runtime=30 + STEPS // 60),
    params:
        task=TASK,
        folds=scheme_of,
        corrects=lambda wildcards: bool(MEMBERS[wildcards.tft].needs),
        # another seed or another core is no reason to train the others again
        tft={key: value for key, value in SETTINGS["tft"].items() if key not in ("seeds", "threads")},
    message:
        "Training {wildcards.tft}, fold {wildcards.fold}, seed {wildcards.seed}"
    script:
        "../scripts/train_tft.py"
