# Needs artifacts; gives artifacts/plots/*.png and *.pdf, drawn on the host. The conda file names the host's plotting
# packages; it changes nothing under --use-singularity.


rule plot_evaluation:
    """Skill and coverage by fold and by step; states of the market, economic value, direction."""
    input:
        table=f"{ARTIFACTS}/evaluation.csv",
        steps=f"{ARTIFACTS}/evaluation_steps.csv",
        summary=f"{ARTIFACTS}/evaluation.json",
        code=code("plot_evaluation"),
    output:
        png=pictured("evaluation", "Evaluation"),
        pdf=update(f"{ARTIFACTS}/plots/evaluation.pdf"),
        detail_png=pictured("evaluation_detail", "Evaluation"),
        detail_pdf=update(f"{ARTIFACTS}/plots/evaluation_detail.pdf"),
    log:
        f"{ARTIFACTS}/logs/plot_evaluation/plot.log",
    benchmark:
        f"{ARTIFACTS}/logs/plot_evaluation/plot.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    container:
        None
    resources:
        **LIGHT,
    message:
        "Plotting the evaluation"
    script:
        "../scripts/plot_evaluation.py"


rule plot_forecast:
    """The live forecast of each symbol: history, fan chart, realised closes."""
    input:
        forecasts=f"{ARTIFACTS}/forecasts/live/{ENSEMBLE}.parquet",
        candles=[f"{DATA}/candles/live/{symbol}.parquet" for symbol in SYMBOLS],
        realised=[f"{DATA}/outcome/{symbol}.parquet" for symbol in SYMBOLS],
        cutoff=f"{DATA}/as_of/live.json",
        code=code("plot_forecast"),
    output:
        png=pictured("forecast", "Forecast"),
        pdf=update(f"{ARTIFACTS}/plots/forecast.pdf"),
    log:
        f"{ARTIFACTS}/logs/plot_forecast/plot.log",
    benchmark:
        f"{ARTIFACTS}/logs/plot_forecast/plot.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    container:
        None
    resources:
        **LIGHT,
    params:
        symbols=sorted(SYMBOLS, key=lambda symbol: symbol != SHOWN),
        interval=SETTINGS["interval"],
        # a function: Snakemake takes the braces of a text for wildcards
        timefmt=lambda wildcards: SETTINGS["plots"]["timefmt"],
    message:
        "Plotting the forecast"
    script:
        "../scripts/plot_forecast.py"


rule plot_consensus:
    """The decision: history, forecast, entry, exit, breakeven, realised closes; other commissions."""
    input:
        trade=f"{ARTIFACTS}/mock_trade.json",
        audit=f"{ARTIFACTS}/mock_eval.json",
        path=f"{ARTIFACTS}/forecast_path.csv",
        candles=of_decided(f"{DATA}/candles/live/{{symbol}}.parquet"),
        realised=of_decided(f"{DATA}/outcome/{{symbol}}.parquet"),
        code=code("plot_consensus", POLICY_MODULES),
    output:
        png=pictured("consensus", "Decision"),
        pdf=update(f"{ARTIFACTS}/plots/consensus.pdf"),
        breakeven_png=pictured("breakeven", "Decision"),
        breakeven_pdf=update(f"{ARTIFACTS}/plots/breakeven.pdf"),
    log:
        f"{ARTIFACTS}/logs/plot_consensus/plot.log",
    benchmark:
        f"{ARTIFACTS}/logs/plot_consensus/plot.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    container:
        None
    resources:
        **LIGHT,
    params:
        interval=SETTINGS["interval"],
        # a function: Snakemake takes the braces of a text for wildcards
        timefmt=lambda wildcards: SETTINGS["plots"]["timefmt"],
        pad_minutes=SETTINGS["plots"]["pad_minutes"],
    message:
        "Plotting the trade"
    script:
        "../scripts/plot_consensus.py"


rule plot_interpretation:
    """Variable importance and attention of the TFT. No part of `plots`: it needs rule interpret, which `all` does not."""
    input:
        importance=f"{ARTIFACTS}/interpretation.csv",
        attention=f"{ARTIFACTS}/interpretation_attention.csv",
        cutoff=f"{DATA}/as_of/train.json",
        code=code("plot_interpretation"),
    output:
        png=pictured("interpretation", "Model"),
        pdf=update(f"{ARTIFACTS}/plots/interpretation.pdf"),
    log:
        f"{ARTIFACTS}/logs/plot_interpretation/plot.log",
    benchmark:
        f"{ARTIFACTS}/logs/plot_interpretation/plot.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    container:
        None
    resources:
        **LIGHT,
    params:
        interval=SETTINGS["interval"],
    message:
        "Plotting variable importance and attention"
    script:
        "../scripts/plot_interpretation.py"
