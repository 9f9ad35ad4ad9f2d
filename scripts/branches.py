"""Rule branches: every branch's evaluation, decision and audit, a line each."""

from collections.abc import Mapping
from typing import Any

from common.files import read_json, write_text
from common.job import job
from common.text import percent, share
from trading.settlement import result


def branches(text: str, names: list[str], evaluations: list[str], trades: list[str], audits: list[str]) -> None:
    """Write the table as plain text, and print it."""
    files = zip(names, evaluations, trades, audits, strict=True)
    told = table([row(name, *map(read_json, made)) for name, *made in files])
    write_text(text, told)
    print(told, end="", flush=True)


def row(name: str, evaluation: Mapping[str, Any], trade: Mapping[str, Any], audit: Mapping[str, Any]) -> list[str]:
    """What a branch's line says."""
    decision, best = trade["decision"], evaluation["best_baseline"]
    judged = evaluation["evaluated_model"] or best
    scores = evaluation["members"][judged]
    return [
        name + (" (SIMULATED)" if trade["simulated"] else ""),
        f"{judged}: {percent(scores['skill'][best])} over {best}",
        share(scores["coverage90"]),
        f"{decision['action']} {trade['config']['symbol']} at {decision['entry_time']}",
        result(audit),
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
