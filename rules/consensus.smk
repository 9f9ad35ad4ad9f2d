# Needs the live forecasts and the evaluation; gives a sealed decision a symbol, artifacts/decisions/ and decisions.csv, and
# the run's, mock_trade.json and forecast_path.csv.


# what a decision stands on; it seals the digests of all of it, which its audit recomputes
LIVE = f"{ARTIFACTS}/forecasts/live"
DECIDED_ON = {
    "forecast": f"{LIVE}/{ENSEMBLE}.parquet",
    "weights": f"{LIVE}/weights.json",
    "forecasts": expand(f"{LIVE}/{{member}}.parquet", member=SELECTED),
    "paths": f"{LIVE}/paths.parquet",
    "models": expand(f"{ARTIFACTS}/models/live/{{tft}}-seed{{seed}}.ckpt", tft=NETWORKS, seed=SETTINGS["tft"]["seeds"]),
    "evaluation": f"{ARTIFACTS}/evaluation.json",
    "candles": candles_of("live"),
    "quality": expand(f"{DATA}/candles/live/{{symbol}}.quality.json", symbol=SYMBOLS),
    "train_candles": candles_of("train"),
    "features": features_of("live"),
    "trained": features_of("train"),
    "cutoff": f"{DATA}/as_of/live.json",
    "train_cutoff": f"{DATA}/as_of/train.json",
    "plug_ins": [file for one in [*PLUGINS.values(), *FEATURES.values()] for file in plug_ins.files(one)],
}
SEALED = {
    sealed_name(path): path for files in DECIDED_ON.values() for path in ([files] if isinstance(files, str) else files)
}
# the config as far as it decides
SEALED_CONFIG = {
    key: value
    for key, value in SETTINGS.items()
    if key not in ("exchange", "ledger", "plots", "paths", "image", "branches")
} | {"exchange": {key: value for key, value in MARKET.items() if key != "folder"}}


rule consensus:
    """Decide BUY or HOLD after costs on each symbol, and seal it."""
    input:
        **DECIDED_ON,
        code=code("consensus", POLICY_MODULES),
    output:
        trade=update(f"{ARTIFACTS}/mock_trade.json"),
        path=update(f"{ARTIFACTS}/forecast_path.csv"),
        table=update(f"{ARTIFACTS}/decisions.csv"),
        documents=update(expand(f"{ARTIFACTS}/decisions/{{symbol}}.json", symbol=SYMBOLS)),
        paths=update(expand(f"{ARTIFACTS}/decisions/{{symbol}}-path.csv", symbol=SYMBOLS)),
        plans=update(expand(f"{ARTIFACTS}/decisions/{{symbol}}-plans.csv", symbol=SYMBOLS)),
    log:
        f"{ARTIFACTS}/logs/consensus/trade.log",
    benchmark:
        f"{ARTIFACTS}/logs/consensus/trade.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        symbols=SYMBOLS,
        symbol=SETTINGS["consensus"]["symbol"],
        task=TASK,
        settings=SETTINGS["consensus"] | SETTINGS["decision"],
        connection=connection,
        ledger=lambda wildcards: LEDGER,
        sealed=SEALED,
        config=SEALED_CONFIG,
        image=sif_name(),
    message:
        "Deciding"
    script:
        "../scripts/consensus.py"
