# Needs the ensemble forecasts and candles; gives artifacts/forecasts/live/paths.parquet, artifacts/path_scores.csv and
# path_scores.json, and artifacts/plots/paths.png and .pdf.


rule sample_paths:
    """Joint sample paths of all symbols from the live ensemble forecast."""
    input:
        forecasts=f"{ARTIFACTS}/forecasts/live/{ENSEMBLE}.parquet",
        candles=candles_of("train"),
        train_cutoff=f"{DATA}/as_of/train.json",
        code=code("sample_paths"),
    output:
        paths=update(f"{ARTIFACTS}/forecasts/live/paths.parquet"),
    log:
        f"{ARTIFACTS}/logs/sample_paths/live.log",
    benchmark:
        f"{ARTIFACTS}/logs/sample_paths/live.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1000, mem_mb_per_input_mb=15, runtime=10),
        slots=1,
    params:
        task=TASK,
        sample_paths=SETTINGS["sample_paths"],
    message:
        "Drawing sample paths"
    script:
        "../scripts/sample_paths.py"


rule score_paths:
    """Joint scores of sample paths at the folds' test origins, beside those of simpler paths."""
    input:
        forecasts=expand(f"{ARTIFACTS}/forecasts/{{fold}}/{ENSEMBLE}.parquet", fold=FOLDS),
        candles=candles_of("train"),
        cutoff=f"{DATA}/as_of/train.json",
        code=code("score_paths"),
    output:
        table=update(f"{ARTIFACTS}/path_scores.csv"),
        summary=update(f"{ARTIFACTS}/path_scores.json"),
    log:
        f"{ARTIFACTS}/logs/score_paths/all.log",
    benchmark:
        f"{ARTIFACTS}/logs/score_paths/all.tsv"
    container:
        IMAGE
    resources:
        **scaled(mem_mb=1000, mem_mb_per_input_mb=15, runtime=15),
        slots=1,
    params:
        task=TASK,
        folds=SCHEME,
        stride=SETTINGS["folds"]["stride"],
        sample_paths=SETTINGS["sample_paths"],
    message:
        "Scoring sample paths"
    script:
        "../scripts/score_paths.py"


rule plot_paths:
    """Live sample paths, probabilities of touching a level, scores beside those of simpler paths."""
    input:
        paths=f"{ARTIFACTS}/forecasts/live/paths.parquet",
        candles=f"{DATA}/candles/live/{SHOWN}.parquet",
        summary=f"{ARTIFACTS}/path_scores.json",
        cutoff=f"{DATA}/as_of/live.json",
        code=code("plot_paths"),
    output:
        png=pictured("paths", "Forecast"),
        pdf=update(f"{ARTIFACTS}/plots/paths.pdf"),
    log:
        f"{ARTIFACTS}/logs/plot_paths/plot.log",
    benchmark:
        f"{ARTIFACTS}/logs/plot_paths/plot.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    container:
        None
    resources:
        **LIGHT,
    params:
        symbol=SHOWN,
        interval=SETTINGS["interval"],
        # a function: Snakemake takes the braces of a text for wildcards
        timefmt=lambda wildcards: SETTINGS["plots"]["timefmt"],
    message:
        "Plotting sample paths"
    script:
        "../scripts/plot_paths.py"
