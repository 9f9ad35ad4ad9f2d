"""Rule leak_trial: fails where a member or a feature leaks."""

from common.errors import UserError
from common.files import read_document, write_text
from common.job import job, say
from forecasting.leaks import Trials, describe


def leak_trial(output: str, document: str) -> None:
    """Write one line where all have passed.

    document: leak_trial.json. Raises UserError at a leak, after a line for each.
    """
    trials = read_document(document, Trials)["trials"]
    leaks = [trial for trial in trials if trial["leak"]]
    for trial in leaks:
        say(describe(trial))
    if leaks:
        names = ", ".join(trial["name"] for trial in leaks)
        raise UserError(
            f"{len(leaks)} of {len(trials)} leak: {names}; correct them, or select others (members, features)"
        )
    passed = f"all {len(trials)} members and features passed"
    write_text(output, f"{passed}\n")
    say(f"leak_trial: {passed}")


if __name__ == "__main__":
    with job() as snakemake:
        leak_trial(output=snakemake.output.passed, document=snakemake.input.document)
