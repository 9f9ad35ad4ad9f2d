# Needs the evaluation, the audited decision and the plots; gives artifacts/summary.txt.


rule summary:
    """A dozen lines that anyone reads in a minute."""
    input:
        evaluation=f"{ARTIFACTS}/evaluation.json",
        trade=f"{ARTIFACTS}/mock_trade.json",
        audit=f"{ARTIFACTS}/mock_eval.json",
        paths=f"{ARTIFACTS}/path_scores.json",
        forecast=f"{ARTIFACTS}/forecast.csv",
        backtest=f"{ARTIFACTS}/backtest.json",
        # last of all, so that a run ends with it
        plots=PLOTS,
        code=code("summary", POLICY_MODULES),
    output:
        text=update(f"{ARTIFACTS}/summary.txt"),
    log:
        f"{ARTIFACTS}/logs/summary/summary.log",
    benchmark:
        f"{ARTIFACTS}/logs/summary/summary.tsv"
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    message:
        "Summing up"
    script:
        "../scripts/summary.py"
