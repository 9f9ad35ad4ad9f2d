"""Rule leak_report: the results of all leak trials, as one JSON and as text, a line a member and feature."""

from collections.abc import Sequence

from common.files import read_document, write_json, write_text
from common.job import job
from forecasting.leaks import Trials, describe


def leak_report(document: str, text: str, trials: Sequence[str]) -> None:
    """Write the results of the files `trials`, those with a leak first."""
    results = [trial for path in trials for trial in read_document(path, Trials)["trials"]]
    results.sort(key=lambda trial: trial["leak"] is None)
    write_json(document, {"trials": results})
    write_text(text, "".join(f"{describe(trial)}\n" for trial in results))


if __name__ == "__main__":
    with job() as snakemake:
        leak_report(
            document=snakemake.output.document,
            text=snakemake.output.text,
            trials=list(snakemake.input.trials),
        )
