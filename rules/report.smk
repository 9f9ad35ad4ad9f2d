# Needs a run; gives artifacts/report.html, made on the host. No part of a default run.


# what the page is made of beside Python
PAGE = [f"reporting/{name}" for name in ("page.html.j2", "page.css", "charts.js", "explorer.js")]


rule report:
    """The run as one HTML page, to be read and explored without a network."""
    input:
        results=reported,
        code=code("report", POLICY_MODULES, PAGE),
    output:
        html=report(
            update(f"{ARTIFACTS}/report.html"),
            caption="../docs/report/report.rst",
            category="Report",
        ),
    log:
        f"{ARTIFACTS}/logs/report/report.log",
    benchmark:
        f"{ARTIFACTS}/logs/report/report.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    container:
        None
    resources:
        **LIGHT,
    params:
        # functions: the linter takes a folder for the start of a file's name
        artifacts=lambda wildcards: ARTIFACTS,
        data=lambda wildcards: DATA,
    message:
        "Writing the report"
    script:
        "../scripts/report.py"
