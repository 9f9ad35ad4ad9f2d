"""Rule summary: evaluation, sample paths, decision and audit in a dozen lines."""

from collections.abc import Mapping

import pandas as pd

from common.errors import UserError
from common.files import read_csv, read_document, write_text
from common.job import job
from common.text import percent, signed_percent
from forecasting.documents import ConditionScores, EconomicValue, Evaluation
from forecasting.members import ENSEMBLE, ORACLE, RANDOM_WALK
from forecasting.paths.documents import PathScores
from forecasting.regimes import REGIMES
from trading.documents import Audit, Backtest, Trade
from trading.policies import policy_of
from trading.settlement import describe_result

# the latest folds whose ensemble is told, and the smallest weight that is
MOST_FOLDS, NOTABLE = 3, 0.05


def summary(text: str, evaluation: str, trade: str, audit: str, paths: str, forecast: str, backtest: str) -> None:
    """Write the summary as plain text, and print it. Raises UserError when one of the files is damaged."""
    documents = read_document(evaluation, Evaluation), read_document(trade, Trade), read_document(audit, Audit)
    outlook = price_outlook(forecast, documents[1]["config"]["symbol"])
    lines = summarise(*documents, read_document(paths, PathScores), outlook, read_document(backtest, Backtest))
    write_text(text, lines)
    print(lines, end="", flush=True)


def summarise(
    evaluation: Evaluation, trade: Trade, audit: Audit, paths: PathScores, outlook: str, backtest: Backtest
) -> str:
    """A dozen aligned lines, each a label and its content. outlook: the line of prices."""
    decision, best = trade["decision"], evaluation["best_baseline"]
    evaluated = evaluation["evaluated_model"] or best
    scores = evaluation["members"][evaluated]
    simulated = evaluation["simulated"] or trade["simulated"]
    symbols, folds, trials = ", ".join(evaluation["symbols"]), evaluation["folds"], evaluation["previous_trials"]
    skills = [f"{signed_percent(scores['skill'][name])} over {name}" for name in dict.fromkeys([best, RANDOM_WALK])]
    coverage = f"{percent(scores['coverage50'])} in the 50 % interval, {percent(scores['coverage90'])} in the 90 %"
    gain = f"{percent(scores['oracle_share'])} of the oracle's gain over {RANDOM_WALK}"
    planned, needed = policy_of(trade["config"]["policy"]).told(trade)
    lines = [
        ("market", "SIMULATED: no real prices, no real profit" if simulated else evaluation["exchange"]),
        ("forecast", f"{symbols}: {evaluation['horizon']} bars of {evaluation['interval']} ahead"),
        ("evaluation", f"{sum(fold['origins'] for fold in folds)} origins in {len(folds)} fold(s)"),
        *([("tuning", f"settings of the TFT chosen from {trials} configurations on early folds")] if trials else []),
        ("skill", f"{evaluated}: {', '.join(skills)}"),
        ("coverage", coverage),
        ("", states(evaluation["by_condition"][evaluated])),
        ("utility", utility(evaluation["economic_value"][evaluated], best)),
        *(("" if place else "ensemble", line) for place, line in enumerate(ensembles(evaluation, trade))),
        ("verdict", evaluation["verdict"]),
        *([("", evaluation["verdict_tft"])] if evaluation["verdict_tft"] else []),
        ("", evaluation["verdict_direction"]),
        *([(ORACLE, f"{gain}; it knows the {evaluation['oracle']}")] if ORACLE in evaluation["members"] else []),
        ("paths", path_skill(paths)),
        ("prices", outlook),
        ("decision", f"{decision['action']} {trade['config']['symbol']} at {decision['entry_time']}{standing(trade)}"),
        ("reason", decision["reason"]),
        ("plan", planned),
        ("", needed),
        ("result", describe_result(audit)),
        ("accuracy", accuracy(audit)),
        ("backtest", " ".join([backtest["verdicts"][0], backtest["verdicts"][-1]])),
    ]
    width = max(len(label) for label, _ in lines)
    return "".join(f"{label:<{width}}  {content}\n" for label, content in lines)


def price_outlook(table: str, symbol: str) -> str:
    """The symbol's prices at the last step of the forecast, of the table of all. Raises UserError where it has none."""
    found = read_csv(table)
    rows = found[found["symbol"] == symbol] if "symbol" in found else found.iloc[:0]
    if not len(rows):
        raise UserError(f"{table}: holds no forecast of {symbol}; delete it and run again to rebuild it")
    last: pd.Series = rows.iloc[-1]
    return (
        f"{symbol} from {last['close']:.10g} to {last['price_q0.05']:.6g} … {last['price_q0.95']:.6g} (90 %) by "
        f"{last['time']}, a rise {percent(last['p_up'])}; all symbols and steps: forecast.csv"
    )


def states(scores: Mapping[str, ConditionScores]) -> str:
    """Coverage of the 90 % interval by volatility at the origin, and after jumps."""
    known = {name: percent(score["coverage90"]) for name, score in scores.items() if score["origins"]}
    volatility = [f"{known[name]} in {name}" for name in REGIMES if name in known]
    parts = [f"{', '.join(volatility)} volatility"] if volatility else []
    parts += [f"{known['after_jump']} after a jump"] if "after_jump" in known else []
    return f"90 % interval: {', '.join(parts)}"


def utility(value: EconomicValue, best: str) -> str:
    """What the width is worth, and its gain over the best baseline."""
    gain, interval = value["gain"], value["confidence_interval"]
    worth = "unknown" if value["utility"] is None else f"{100 * value['utility']:.2f} % of wealth a year"
    if gain is None:
        return worth
    band = "" if interval is None else f" ({100 * interval[0]:+.2f} … {100 * interval[1]:+.2f})"
    return f"{worth} by the width of the forecast, {signed_percent(gain)}{band} over {best}"


def path_skill(paths: PathScores) -> str:
    """The energy score of the sample paths beside simpler ones', and how far off probabilities of touching were."""
    tests, tenths = paths["tests"]["energy"], paths["touching"][ENSEMBLE]
    rivals = {"independent": "independent marginals", "gaussian_walk": "a Gaussian walk"}
    skills = [f"{signed_percent(tests[name]['skill'])} over {label}" for name, label in rivals.items()]
    events = sum(tenth["events"] for tenth in tenths)
    off = sum(tenth["events"] * abs((tenth["observed"] or 0) - (tenth["forecast"] or 0)) for tenth in tenths) / events
    return f"energy score {', '.join(skills)}; probabilities of touching a level {100 * off:.1f} points off on average"


def ensembles(evaluation: Evaluation, trade: Trade) -> list[str]:
    """The members' weights in each fold and in the forecast that the decision was taken on, and whether these differ: a
    member of weight there has had none in any fold."""
    folds = {f"fold {fold['fold']}": fold["weights"] for fold in evaluation["folds"]}
    live = {name: vote["weight"] for name, vote in trade["votes"].items() if vote["weight"]}
    lines = [f"{name}: {_shares(weights)}" for name, weights in [*list(folds.items())[-MOST_FOLDS:], ("live", live)]]
    known = {name for weights in folds.values() for name, weight in weights.items() if weight >= NOTABLE}
    new = sorted(name for name, weight in live.items() if weight >= NOTABLE and name not in known)
    if new:
        named = ", ".join(new)
        lines.append(
            f"the live ensemble differs from those evaluated: {named} had less than {percent(NOTABLE)} in every fold"
        )
    return lines


def _shares(weights: Mapping[str, float]) -> str:
    ordered = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {percent(weight)}" for name, weight in ordered if weight >= NOTABLE)


def standing(trade: Trade) -> str:
    """The symbol's rank, where there are several."""
    candidates = trade["candidates"]
    return f", rank {candidates['rank']} of {candidates['symbols']} symbols" if candidates["symbols"] > 1 else ""


def accuracy(audit: Audit) -> str:
    """The live ensemble forecast against the realised closes."""
    if audit["inside_90"] is None:
        return "no close after the decision is available yet"
    inside = f"{percent(audit['inside_90'])} of the realised closes in the 90 % interval"
    error = audit["forecast_error_pct"]
    return inside if error is None else f"{inside}; median forecast {error:+.3f} % off at the sale"


if __name__ == "__main__":
    with job() as snakemake:
        summary(
            text=snakemake.output.text,
            evaluation=snakemake.input.evaluation,
            trade=snakemake.input.trade,
            audit=snakemake.input.audit,
            paths=snakemake.input.paths,
            forecast=snakemake.input.forecast,
            backtest=snakemake.input.backtest,
        )
