"""Rule summary: the forecast, whether to believe it, the decision and what came of it, on a page."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from scipy.stats import binomtest

from common.errors import UserError
from common.files import read_csv, read_document, write_text
from common.job import job
from common.text import percent, signed_percent
from forecasting.documents import ConditionScores, CoverageTests, EconomicValue, Evaluation, Skill
from forecasting.members import ENSEMBLE, ORACLE, RANDOM_WALK, in_words
from forecasting.paths.documents import PathScores
from forecasting.regimes import REGIMES
from trading.documents import Audit, Backtest, Trade
from trading.policies import policy_of
from trading.settlement import describe_result

# the latest folds whose ensemble is told, and the smallest weight that is
MOST_FOLDS, NOTABLE = 3, 0.05
WIDTH = 120
QUANTILES = [f"price_q{level}" for level in ("0.05", "0.25", "0.5", "0.75", "0.95")]
Lines = list[tuple[str, str]]


def summary(text: str, evaluation: str, trade: str, audit: str, paths: str, forecast: str, backtest: str) -> None:
    """Write the summary as plain text, and print it. Raises UserError when one of the files is damaged."""
    documents = read_document(evaluation, Evaluation), read_document(trade, Trade), read_document(audit, Audit)
    prices = price_table(forecast, documents[1]["config"]["symbol"])
    lines = summarise(*documents, read_document(paths, PathScores), prices, read_document(backtest, Backtest))
    write_text(text, lines)
    print(lines, end="", flush=True)


def summarise(
    evaluation: Evaluation, trade: Trade, audit: Audit, paths: PathScores, prices: Sequence[str], backtest: Backtest
) -> str:
    """Aligned lines, each a label and its content, in the order of a reader's questions. prices: a table's lines."""
    simulated = evaluation["simulated"] or trade["simulated"]
    market: Lines = [("market", "SIMULATED: no real prices, no real profit" if simulated else evaluation["exchange"])]
    steps = f"{evaluation['horizon']} bars of {evaluation['interval']}"
    at = f"the close {steps} ahead, at {trade['forecast']['times'][-1]}; all steps and quantiles: forecast.csv"
    groups = [
        [*market, *_labelled("forecast", [at, *prices])],
        belief(evaluation, paths),
        [*_labelled("ensemble", ensembles(evaluation, trade))],
        decision(trade, audit),
        _labelled("backtest", dict.fromkeys([backtest["verdicts"][0], backtest["verdicts"][-1]])),
    ]
    width = max(len(label) for group in groups for label, _ in group) + 2
    return "\n".join("".join(_wrapped(label, content, width) for label, content in group) for group in groups)


def price_table(table: str, symbol: str) -> list[str]:
    """Where each symbol's close will be at the last step, and how sure that is, of the table of all steps.

    Raises UserError where it has nothing of `symbol`, that of the decision.
    """
    found = read_csv(table)
    if "symbol" not in found or symbol not in set(found["symbol"]):
        raise UserError(f"{table}: holds no forecast of {symbol}; delete it and run again to rebuild it")
    rows = [("symbol", "last close", "median", "50 % range", "90 % range", "P(up)")]
    for name, steps in found.groupby("symbol", sort=False):
        last: pd.Series = steps.iloc[-1]
        lowest, low, median, high, highest = (f"{last[column]:.6g}" for column in QUANTILES)
        ranges = f"{low} … {high}", f"{lowest} … {highest}"
        rows.append((str(name), f"{last['close']:.10g}", median, *ranges, percent(last["p_up"])))
    return aligned(rows)


def belief(evaluation: Evaluation, paths: PathScores) -> Lines:
    """Whether to believe the forecast: better than simpler ones, by how much; calibrated; worth something."""
    best, trials = evaluation["best_baseline"], evaluation["previous_trials"]
    evaluated = evaluation["evaluated_model"] or best
    scores, gain = evaluation["members"][evaluated], f"of the oracle's gain over {RANDOM_WALK}"
    inside50, inside90 = percent(scores["coverage50"]), percent(scores["coverage90"])
    oracle = f"{percent(scores['oracle_share'])} {gain}; it knows the {evaluation['oracle']}"
    return [
        ("evaluation", origins(evaluation)),
        *([("tuning", f"settings of the TFT chosen from {trials} configurations on early folds")] if trials else []),
        *_labelled("skill", [skill(evaluation, evaluated, rival) for rival in dict.fromkeys([RANDOM_WALK, best])]),
        *_labelled("verdict", verdicts(evaluation)),
        ("coverage", f"{inside90} of outcomes in the 90 % range, {inside50} in the 50 %"),
        ("", states(evaluation["by_condition"][evaluated])),
        ("", interval_test(evaluation["coverage_tests"][evaluated])),
        ("direction", evaluation["verdict_direction"]),
        ("paths", path_skill(paths)),
        ("utility", utility(evaluation["economic_value"][evaluated], best)),
        *([(ORACLE, oracle)] if ORACLE in evaluation["members"] else []),
    ]


def decision(trade: Trade, audit: Audit) -> Lines:
    """The decision, what it rests on, what would change it, and what happened."""
    decided = trade["decision"]
    planned, needed = policy_of(trade["config"]["policy"]).told(trade)
    return [
        ("decision", f"{decided['action']} {trade['config']['symbol']} at {decided['entry_time']}{standing(trade)}"),
        ("reason", decided["reason"]),
        ("plan", planned),
        ("to change", needed),
        ("result", describe_result(audit)),
        ("accuracy", accuracy(audit)),
    ]


def origins(evaluation: Evaluation) -> str:
    """How much the forecast was tested on: origins, which are moments times symbols."""
    folds, names = evaluation["folds"], evaluation["symbols"]
    count, gap = sum(fold["origins"] for fold in folds), evaluation["difference"]
    moments = gap["origin_times"] if gap else None
    product = "" if moments is None or len(names) == 1 else f" ({moments} moments of {len(names)} symbols)"
    return f"{count} origins{product} in {len(folds)} fold(s), each after its members' training"


def skill(evaluation: Evaluation, evaluated: str, rival: str) -> str:
    """How much smaller the loss is than a rival's, with its interval."""
    against = evaluation["comparisons"].get(evaluated, {}).get(rival)
    share = evaluation["members"][evaluated]["skill"][rival]
    name = "the best baseline" if rival == evaluation["best_baseline"] else "a naive forecast"
    return f"{evaluated}: {signed_percent(share)} over {name} ({rival}: {in_words(rival)}){_band(against)}"


def _band(against: Skill | None) -> str:
    interval = against["confidence_interval"] if against else None
    return "" if interval is None else f"; 95 % interval {100 * interval[0]:+.2f} … {100 * interval[1]:+.2f}"


def verdicts(evaluation: Evaluation) -> list[str]:
    """The sentences on the models, and what the figures in them are."""
    told = [sentence for sentence in (evaluation["verdict"], evaluation["verdict_tft"]) if sentence]
    gap = evaluation["difference"]
    tested = gap is not None and gap["p_holm"] is not None
    note = "(of the pinball loss; ±: two standard errors; p: Diebold-Mariano's, by Holm for the number of baselines)"
    return [*told, note] if tested else told


def states(scores: Mapping[str, ConditionScores]) -> str:
    """Coverage of the 90 % interval by volatility at the origin, and after jumps."""
    known = {name: percent(score["coverage90"]) for name, score in scores.items() if score["origins"]}
    volatility = [f"{known[name]} in {name}" for name in REGIMES if name in known]
    parts = [f"{', '.join(volatility)} volatility"] if volatility else []
    parts += [f"{known['after_jump']} after a jump"] if "after_jump" in known else []
    return f"90 % range: {', '.join(parts)}"


def interval_test(tests: CoverageTests) -> str:
    """Coverage of the last step's 90 % interval at origins a horizon apart, with Wilson's interval, and Kupiec's p."""
    count = tests["origins"]
    if not count:
        return "at the last step: no two origins a horizon apart"
    inside = count - round(count * tests["miss_rate"])
    interval = binomtest(inside, count).proportion_ci(method="wilson")
    p = "" if tests["kupiec"] is None else f", Kupiec's p = {tests['kupiec']:.2g}"
    return (
        f"at the last step, a horizon apart: {inside} of {count}, {percent(inside / count)} "
        f"(95 % interval {percent(interval.low)} to {percent(interval.high)}{p})"
    )


def utility(value: EconomicValue, best: str) -> str:
    """What the width is worth, and its gain over the best baseline."""
    gain, interval = value["gain"], value["confidence_interval"]
    worth = "unknown" if value["utility"] is None else f"{100 * value['utility']:.2f} % of wealth a year"
    if gain is None:
        return worth
    band = "" if interval is None else f"; 95 % interval {100 * interval[0]:+.2f} … {100 * interval[1]:+.2f}"
    return f"{worth} by the width of the forecast, {signed_percent(gain)} over {best}{band}"


def path_skill(paths: PathScores) -> str:
    """The energy score of the sample paths beside simpler ones', and how far off probabilities of touching were."""
    tests, tenths = paths["tests"]["energy"], paths["touching"][ENSEMBLE]
    rivals = {"independent": "independent marginals", "gaussian_walk": "a Gaussian walk"}
    skills = [f"{signed_percent(tests[name]['skill'])} over {label}" for name, label in rivals.items()]
    events = sum(tenth["events"] for tenth in tenths)
    off = sum(tenth["events"] * abs((tenth["observed"] or 0) - (tenth["forecast"] or 0)) for tenth in tenths) / events
    return f"energy score {', '.join(skills)}; probabilities of touching a level {100 * off:.1f} points off on average"


def ensembles(evaluation: Evaluation, trade: Trade) -> list[str]:
    """A table of the members' weights in each fold and in the forecast that the decision was taken on, and whether
    these differ: a member of weight there has had none in any fold."""
    folds = {f"fold {fold['fold']}": fold["weights"] for fold in evaluation["folds"]}
    live = {name: vote["weight"] for name, vote in trade["votes"].items() if vote["weight"]}
    columns = {**dict(list(folds.items())[-MOST_FOLDS:]), "live": live}
    told = {name for weights in columns.values() for name, weight in weights.items() if weight >= NOTABLE}
    order = sorted(told, key=lambda name: (-live.get(name, 0), name))
    rows = [[name, in_words(name), *(_weight(weights, name) for weights in columns.values())] for name in order]
    lines = aligned([["member", "which is", *columns], *rows], texts=2)
    known = {name for weights in folds.values() for name, weight in weights.items() if weight >= NOTABLE}
    new = sorted(name for name, weight in live.items() if weight >= NOTABLE and name not in known)
    if new:
        named = ", ".join(new)
        lines.append(
            f"the live ensemble differs from those evaluated: {named} had less than {percent(NOTABLE)} in every fold"
        )
    return lines


def _weight(weights: Mapping[str, float], name: str) -> str:
    return percent(weights[name]) if weights.get(name) else "–"


def standing(trade: Trade) -> str:
    """The symbol's rank, where there are several."""
    candidates = trade["candidates"]
    return f", rank {candidates['rank']} of {candidates['symbols']} symbols" if candidates["symbols"] > 1 else ""


def accuracy(audit: Audit) -> str:
    """The live ensemble forecast against the realised closes."""
    if audit["inside_90"] is None:
        return "no close after the decision is available yet"
    # the closes of a path leave the range together: few are as telling as many
    inside = f"{percent(audit['inside_90'])} of the closes of this one path in the 90 % range of their step"
    error = audit["forecast_error_pct"]
    return inside if error is None else f"{inside}; median forecast {error:+.3f} % off at the sale"


def aligned(rows: Sequence[Sequence[str]], texts: int = 1) -> list[str]:
    """Rows of cells as lines: the first `texts` columns to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _labelled(label: str, contents: Iterable[str]) -> Lines:
    return [("" if place else label, content) for place, content in enumerate(contents)]


def _wrapped(label: str, content: str, width: int) -> str:
    """A label and its content, on further lines where it is long, no figure parted from its %; a table's row stays."""
    joined = content.replace(" %", "\0%")
    lines = textwrap.wrap(joined, WIDTH - width, break_long_words=False, break_on_hyphens=False)
    shown = [content] if len(lines) == 1 else [line.replace("\0", " ") for line in lines]
    return "".join(f"{'' if place else label:<{width}}{line}".rstrip() + "\n" for place, line in enumerate(shown))


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
