# Needs a folder of candle files, `exchange.folder`; gives its candles to the store of the exchange. No part of `all`: ask for it.


rule import_candles:
    """Candles of files in the store, so that a live exchange is asked for the others alone."""
    input:
        files=import_files(),
        code=code("import_candles"),
    output:
        report=update(f"{DATA}/imported.json"),
    log:
        f"{ARTIFACTS}/logs/import_candles/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/import_candles/all.tsv"
    localrule: True
    container:
        IMAGE
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        exchange=MARKET,
        connection=connection,
        symbols=SYMBOLS,
        interval=SETTINGS["interval"],
        store=SETTINGS["paths"]["store"],
    message:
        "Importing candle files"
    script:
        "../scripts/import_candles.py"
