"""Rule summary: evaluation, decision and audit in a dozen lines."""

from collections.abc import Mapping
from typing import Any

from common.files import read_json, write_text
from common.job import job
from common.text import percent, share
from forecasting.members import ORACLE, RANDOM_WALK
from trading.settlement import result


def summary(text: str, evaluation: str, trade: str, audit: str) -> None:
    """Write the summary as plain text, and print it."""
    told = summarise(read_json(evaluation), read_json(trade), read_json(audit))
    write_text(text, told)
    print(told, end="", flush=True)


def summarise(evaluation: Mapping[str, Any], trade: Mapping[str, Any], audit: Mapping[str, Any]) -> str:
    """A dozen aligned lines, each a label and what there is to say."""
    decision, best = trade["decision"], evaluation["best_baseline"]
    judged = evaluation["evaluated_model"] or best
    scores = evaluation["members"][judged]
    simulated = evaluation["simulated"] or trade["simulated"]
    symbols, folds = ", ".join(evaluation["symbols"]), evaluation["folds"]
    skills = [f"{percent(scores['skill'][name])} over {name}" for name in dict.fromkeys([best, RANDOM_WALK])]
    knows = "the market's law" if evaluation["oracle"] == "law" else "the volatility to come"
    reached = f"{share(scores['oracle_share'])} of the skill of one who knows {knows}"
    tried = evaluation["configurations_tried"]
    lines = [
        ("market", "SIMULATED: no real prices, no real profit" if simulated else evaluation["exchange"]),
        ("forecast", f"{symbols}: {evaluation['horizon']} bars of {evaluation['interval']} ahead"),
        ("evaluated", f"{sum(fold['origins'] for fold in folds)} origins in {len(folds)} fold(s)"),
        *([("tuned", f"the model's settings are the choice of {tried} tried on early folds")] if tried else []),
        ("skill", f"{judged}: {', '.join(skills)}"),
        ("coverage", f"{share(scores['coverage50'])} in the 50 % interval, {share(scores['coverage90'])} in the 90 %"),
        ("verdict", evaluation["verdict"]),
        *([("", evaluation["verdict_tft"])] if evaluation["verdict_tft"] else []),
        *([(ORACLE, reached)] if ORACLE in evaluation["members"] else []),
        ("decision", f"{decision['action']} {trade['config']['symbol']} at {decision['entry_time']}"),
        ("reason", decision["reason"]),
        ("plan", plan(trade)),
        ("result", result(audit)),
        ("forecast hit", hit(audit)),
    ]
    width = max(len(label) for label, _ in lines)
    return "".join(f"{label:<{width}}  {content}\n" for label, content in lines)


def plan(trade: Mapping[str, Any]) -> str:
    """What a BUY would do, expect, and need to come out even."""
    decision, breakeven = trade["decision"], trade["breakeven"]
    return (
        f"sell at {decision['target_time']}, expecting {decision['expected_return_pct']:+.3f} % after "
        f"{decision['commission_total_usd']:.2f} USD commission; breakeven at {breakeven['return_pct']:+.3f} %"
    )


def hit(audit: Mapping[str, Any]) -> str:
    """How the ensemble forecast fared against what came."""
    if audit["inside_90"] is None:
        return "nothing to compare with yet"
    inside = f"{share(audit['inside_90'])} of the closes in the 90 % interval"
    error = audit["forecast_error_pct"]
    return inside if error is None else f"{inside}; median {error:+.3f} % off at the sale"


if __name__ == "__main__":
    with job() as snakemake:
        summary(
            text=snakemake.output.text,
            evaluation=snakemake.input.evaluation,
            trade=snakemake.input.trade,
            audit=snakemake.input.audit,
        )
