# Needs candles; gives data/features/*/*.parquet.


rule make_features:
    """Causal features of one symbol, with the other symbols' mean relative return."""
    input:
        candles=f"{DATA}/candles/{{cutoff}}/{{symbol}}.parquet",
        others=lambda wildcards: [
            f"{DATA}/candles/{wildcards.cutoff}/{symbol}.parquet" for symbol in SYMBOLS if symbol != wildcards.symbol
        ],
        # functions of the user's, hashed as our code is
        extra=[file for feature in FEATURES.values() for file in plug_ins.files(feature)],
        trials=trials_if_required(["features"] if FEATURES else []),
        code=code("make_features"),
    output:
        features=update(f"{DATA}/features/{{cutoff}}/{{symbol}}.parquet"),
    log:
        f"{ARTIFACTS}/logs/make_features/{{cutoff}}-{{symbol}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/make_features/{{cutoff}}-{{symbol}}.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1000, mem_mb_per_input_mb=5, runtime=5),
        slots=1,
    params:
        spans=SETTINGS["features"]["spans"],
        interval=SETTINGS["interval"],
        extra=[[feature.file, feature.name] for feature in FEATURES.values()],
    message:
        "Making features of {wildcards.symbol} ({wildcards.cutoff})"
    script:
        "../scripts/make_features.py"
