"""Rule report: the run as one HTML page, whose figures can be explored, without a network."""

from pathlib import Path

from common.files import write_text
from common.job import job, say
from reporting.page import page
from reporting.results import read_results


def report(html: str, artifacts: str, data: str) -> None:
    """Write the report of the run in these folders; what is missing there is named in it.

    Raises UserError where there is no run.
    """
    results = read_results(Path(artifacts), Path(data))
    write_text(html, page(results))
    for line in results.folder.missing:
        say(f"missing: {line}")


if __name__ == "__main__":
    with job() as snakemake:
        report(
            html=snakemake.output.html,
            artifacts=snakemake.params.artifacts,
            data=snakemake.params.data,
        )
