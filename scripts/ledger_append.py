"""Rule ledger_append: the run's decisions, with all that they were made on, become an entry of the ledger."""

from collections.abc import Sequence
from pathlib import Path

from common.files import read_document, read_json
from common.job import job, say
from common.notify import notify
from forecasting.documents import Evaluation
from forecasting.members import ENSEMBLE, RANDOM_WALK
from forecasting.task import Task
from trading.ledger.chain import append, read_chain
from trading.ledger.entries import documents, entry_files
from trading.ledger.messages import of_decisions


def ledger_append(
    ledger: str,
    folder: str,
    forecasts: Sequence[str],
    weights: str,
    evaluation: str,
    cutoff: str,
    train_cutoff: str,
    market: str,
    task: Task,
) -> None:
    """Append the decisions in `folder` to the ledger, and print its head; where they are in it already, say so.

    forecasts: a live file a member, the ensemble among them. market: whose prices these are, `market_of`. Raises
    UserError where the decisions are not what was sealed, or the ledger is not, or goes on beyond their time.
    """
    now = read_json(cutoff)
    files = entry_files(folder, list(now["symbols"]), forecasts, weights, now["as_of"] - task.bar_ms)
    entry = {
        "as_of": now["as_of_iso"],
        "trained": read_json(train_cutoff)["as_of_iso"],
        "exchange": now["exchange"],
        "market": market,
        "simulated": now["simulated"],
        "interval": task.interval,
        "horizon": task.horizon,
        "quantile_levels": list(task.quantile_levels),
        "symbols": now["symbols"],
        "skill": read_document(evaluation, Evaluation)["members"][ENSEMBLE]["skill"].get(RANDOM_WALK),
    }
    made = append(ledger, entry, files)
    links = read_chain(ledger)
    last = links[-1]
    if made is None:
        say(f"ledger: the decision of {now['as_of_iso']} is in the ledger already, nothing new; head {last.digest}")
        return
    say(f"ledger: entry {last.entry['number']}, {made.folder}; head {last.digest}")
    for title, text in of_decisions(documents(made), documents(links[-2]) if len(links) > 1 else {}):
        notify(title, text)


if __name__ == "__main__":
    with job() as snakemake:
        ledger_append(
            ledger=str(Path(snakemake.output.head).parent),
            folder=str(Path(snakemake.input.documents[0]).parent),
            forecasts=[snakemake.input.forecast, *snakemake.input.forecasts],
            weights=snakemake.input.weights,
            evaluation=snakemake.input.evaluation,
            cutoff=snakemake.input.cutoff,
            train_cutoff=snakemake.input.train_cutoff,
            market=snakemake.params.market,
            task=Task(**snakemake.params.task),
        )
