"""Rule branches: every branch's evaluation, decision and audit, a line each."""

from common.files import read_document, write_text
from common.job import job
from common.text import percent, signed_percent
from forecasting.documents import Evaluation
from trading.documents import Audit, Trade
from trading.settlement import describe_result


def branches(text: str, names: list[str], evaluations: list[str], trades: list[str], audits: list[str]) -> None:
    """Write the table as plain text, and print it."""
    rows = [
        row(name, read_document(evaluation, Evaluation), read_document(trade, Trade), read_document(audit, Audit))
        for name, evaluation, trade, audit in zip(names, evaluations, trades, audits, strict=True)
    ]
    lines = table(rows)
    write_text(text, lines)
    print(lines, end="", flush=True)


def row(name: str, evaluation: Evaluation, trade: Trade, audit: Audit) -> list[str]:
    """The columns of a branch."""
    decision, best = trade["decision"], evaluation["best_baseline"]
    evaluated = evaluation["evaluated_model"] or best
    scores = evaluation["members"][evaluated]
    return [
        name + (" (SIMULATED)" if trade["simulated"] else ""),
        f"{evaluated}: {signed_percent(scores['skill'][best])} over {best}",
        percent(scores["coverage90"]),
        f"{decision['action']} {trade['config']['symbol']} at {decision['entry_time']}",
        describe_result(audit),
    ]


def table(rows: list[list[str]]) -> str:
    """Aligned columns under their names."""
    lines = [["branch", "skill", "in 90 %", "decision", "result"], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)


if __name__ == "__main__":
    with job() as snakemake:
        branches(
            text=snakemake.output.text,
            names=snakemake.params.names,
            evaluations=snakemake.input.evaluations,
            trades=snakemake.input.trades,
            audits=snakemake.input.audits,
        )
