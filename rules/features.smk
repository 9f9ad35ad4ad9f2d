# Needs candles; gives data/features/*/*.parquet.


rule make_features:
    """Causal features of all symbols, each with the other symbols' mean relative return."""
    input:
        candles=candles_of("{cutoff}"),
        # functions of the user's, hashed as our code is
        extra=[file for feature in FEATURES.values() for file in plug_ins.files(feature)],
        trials=trials_if_required(["features"] if FEATURES else []),
        code=code("make_features"),
    output:
        [update(path) for path in features_of("{cutoff}")],
    log:
        f"{ARTIFACTS}/logs/make_features/{{cutoff}}.log",
    benchmark:
        f"{ARTIFACTS}/logs/make_features/{{cutoff}}.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1000, mem_mb_per_input_mb=5, runtime=10),
        slots=1,
    params:
        spans=SETTINGS["features"]["spans"],
        interval=SETTINGS["interval"],
        extra=[[feature.file, feature.name] for feature in FEATURES.values()],
    message:
        "Making features ({wildcards.cutoff})"
    script:
        "../scripts/make_features.py"
