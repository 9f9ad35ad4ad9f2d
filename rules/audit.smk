# Needs the sealed decision and the candles of its horizon; gives artifacts/mock_eval.json.


rule audit:
    """The realised return of the sealed decision, for HOLD too."""
    input:
        trade=f"{ARTIFACTS}/mock_trade.json",
        path=f"{ARTIFACTS}/forecast_path.csv",
        plans=of_decided(f"{ARTIFACTS}/decisions/{{symbol}}-plans.csv"),
        candles=of_decided(f"{DATA}/outcome/{{symbol}}.parquet"),
        # what the decision seals
        sealed=list(SEALED.values()),
        code=code("audit"),
    output:
        audit=update(f"{ARTIFACTS}/mock_eval.json"),
    log:
        f"{ARTIFACTS}/logs/audit/trade.log",
    benchmark:
        f"{ARTIFACTS}/logs/audit/trade.tsv"
    retries: 0
    localrule: True
    container:
        IMAGE
    resources:
        **LIGHT,
    params:
        sealed=SEALED,
        config=SEALED_CONFIG,
        image=sif_name(),
    message:
        "Auditing the decision"
    script:
        "../scripts/audit.py"
