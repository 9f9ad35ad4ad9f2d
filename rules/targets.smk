# One named target a stage. evaluate, consensus and audit are rules without wildcards, and so targets themselves.


rule fetch:
    """All candles up to each as_of."""
    input:
        expand(
            f"{DATA}/candles/{{cutoff}}/{{symbol}}.parquet",
            cutoff=["train", "live"],
            symbol=SYMBOLS,
        ),


rule features:
    """All features."""
    input:
        features_of("train"),
        features_of("live"),


rule train:
    """A model for each evaluation fold and seed, and for the decision."""
    input:
        expand(
            f"{ARTIFACTS}/models/{{fold}}/{{tft}}-seed{{seed}}.ckpt",
            fold=[*FOLDS, "live"],
            tft=NETWORKS,
            seed=SETTINGS["tft"]["seeds"],
        ),


rule predict:
    """All forecasts: of each fold's test origins, and the live ones with their sample paths and their table."""
    input:
        expand(
            f"{ARTIFACTS}/forecasts/{{fold}}/{{member}}.parquet",
            fold=FOLDS,
            member=EVALUATED,
        ),
        expand(f"{ARTIFACTS}/forecasts/live/{{member}}.parquet", member=[ENSEMBLE, *SELECTED]),
        f"{ARTIFACTS}/forecasts/live/paths.parquet",
        f"{ARTIFACTS}/forecast.csv",


rule plots:
    """The pictures."""
    input:
        PLOTS,
