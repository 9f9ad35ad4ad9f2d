"""Answers on the forecast: does it beat the baselines, is it calibrated, what does the model look at."""

from statsmodels.stats.proportion import proportion_confint

from common.text import percent
from forecasting.documents import Evaluation
from forecasting.members import ORACLE, RANDOM_WALK, find_member
from plotting.evaluation_detail import STATES
from reporting.results import Results
from reporting.sections import (
    UNKNOWN,
    Chart,
    Number,
    Picture,
    Section,
    Table,
    interval_text,
    missing,
    p_text,
    picture,
)
from reporting.skill_figures import coverage_figure, pit_figure, skill_figure


def skill(results: Results) -> Section:
    """Whether the forecast beats a naive one and the best baseline, and by how much."""
    name, question = "skill", "Does the forecast beat the baselines, where, by how much?"
    evaluation = results.evaluation
    if evaluation is None:
        return missing(name, question, "the evaluation (evaluation.json)", "snakemake -j4 evaluate")
    best = find_member(evaluation["best_baseline"]).label
    alt = f"Skill of each member over {best}, with 95 % confidence intervals."
    numbers = _skills(evaluation)
    return Section(
        name,
        question,
        evaluation["verdict"],
        short=f"{', '.join(f'{one.value} {one.name} ({one.note})' for one in numbers[:2])}.",
        lines=[*filter(None, [evaluation["verdict_tft"]]), evaluation["verdict_direction"]],
        numbers=numbers,
        charts=[Chart("skill", f"Better or worse than the best baseline, {best}", alt, skill_figure(evaluation))],
        pictures=_pictures(results),
        tables=[_leaderboard(evaluation), _folds(evaluation)],
        notes=_notes(evaluation),
    )


def _skills(evaluation: Evaluation) -> list[Number]:
    """Over the random walk, over the best baseline, and the share of the oracle's gain; those that there are."""
    evaluated, best = evaluated_of(evaluation), evaluation["best_baseline"]
    tests = evaluation["comparisons"].get(evaluated, {})
    numbers = []
    for baseline, label in ((RANDOM_WALK, "a naive forecast"), (best, "the best baseline")):
        if baseline in tests:
            test = tests[baseline]
            band = interval_text(test["confidence_interval"]) or "no interval"
            note = f"{find_member(baseline).label}, pinball loss; {band}; p {p_text(test['p_holm'])}, Holm-corrected"
            numbers.append(Number(f"{100 * test['skill']:+.2f} %", f"over {label}", note))
    if ORACLE in evaluation["members"]:
        share = percent(evaluation["members"][evaluated]["oracle_share"])
        note = f"the oracle knows the {evaluation['oracle']}"
        numbers.append(Number(share, "of the oracle's gain over the random walk", note))
    return numbers


def calibration(results: Results) -> Section:
    """Whether ranges hold the closes as often as they say."""
    name, question = "calibration", "Is it calibrated?"
    evaluation = results.evaluation
    if evaluation is None:
        return missing(name, question, "the evaluation (evaluation.json)", "snakemake -j4 evaluate")
    evaluated = evaluated_of(evaluation)
    scores, tests = evaluation["members"][evaluated], evaluation["coverage_tests"][evaluated]
    held = round((1 - tests["miss_rate"]) * tests["origins"])
    low, high = proportion_confint(held, tests["origins"], method="wilson") if tests["origins"] else (0.0, 1.0)
    overall = f"{percent(scores['coverage90'])} of all closes fell in the 90 % range"
    last = f"{percent(1 - tests['miss_rate'])} (95 % CI {100 * low:.1f} … {100 * high:.1f})"
    judged = "no sign against 90 %" if low <= 0.9 <= high else "which speaks against 90 %"
    return Section(
        name,
        question,
        f"{overall}, {percent(scores['coverage50'])} in the 50 % range. At the last step, at {tests['origins']} "
        f"origins a horizon apart, {last} did: {judged}.",
        short=f"{overall}, {percent(scores['coverage50'])} in the 50 % range; at the last step {last}, {judged}.",
        numbers=[
            Number(percent(scores["coverage50"]), "in the 50 % range", "all symbols, origins and steps"),
            Number(percent(scores["coverage90"]), "in the 90 % range", "all symbols, origins and steps"),
            Number(p_text(tests["kupiec"]), "Kupiec's p", "of the 90 % range's misses at the last step"),
        ],
        charts=_calibration_charts(results, evaluation),
        tables=[_states(evaluation)],
        notes=[
            "The interval is Wilson's, of origins that do not overlap. The shares of all steps overlap: they have none."
        ],
    )


def _calibration_charts(results: Results, evaluation: Evaluation) -> list[Chart]:
    wanted = dict.fromkeys([evaluated_of(evaluation), evaluation["best_baseline"], ORACLE])
    shown, charts = [member for member in wanted if member in evaluation["members"]], []
    if results.steps is not None:
        alt = "Share of closes in the 50 and 90 % intervals by step ahead; the dashed lines are what it should be."
        charts.append(Chart("coverage", "Coverage by step ahead", alt, coverage_figure(results.steps, shown)))
    alt = "Share of outcomes between neighbouring quantiles over its nominal share; 1 is right."
    return [*charts, Chart("pit", "Where outcomes fell among the quantiles, %", alt, pit_figure(evaluation, shown))]


def _states(evaluation: Evaluation) -> Table:
    """Coverage in each state of the market."""
    scores = evaluation["by_condition"][evaluated_of(evaluation)]
    rows = [
        [label.replace("\n", " "), str(scores[state]["origins"]), percent(scores[state]["coverage50"]),
         percent(scores[state]["coverage90"])]
        for state, label in STATES.items()
        if scores[state]["origins"]
    ]  # fmt: skip
    return Table("Coverage by state of the market at the origin", ["state", "origins", "in 50 %", "in 90 %"], rows)


def interpretation(results: Results) -> Section:
    """What the network weighs."""
    name, question = "model", "What does the model look at?"
    plots = results.folder.artifacts / "plots"
    drawn = picture(
        plots, "interpretation", "Variable importance and attention", "Importance of variables, and attention."
    )
    command = "snakemake -j4 artifacts/plots/interpretation.png"
    if not drawn:
        return missing(name, question, "the interpretation, which is made when asked for", command)
    answer = (
        "The network's weights of its inputs, and which bars of the lookback it attends to. A weight is not a cause."
    )
    return Section(name, question, answer, pictures=drawn)


def evaluated_of(evaluation: Evaluation) -> str:
    """The model that is evaluated, or the best baseline where none is."""
    return evaluation["evaluated_model"] or evaluation["best_baseline"]


def _pictures(results: Results) -> list[Picture]:
    plots = results.folder.artifacts / "plots"
    return [
        *picture(
            plots, "evaluation", "Skill by member and step, coverage, PIT", "Skill, coverage and PIT of the evaluation."
        ),
        *picture(
            plots, "evaluation_detail", "States of the market, economic value, direction", "The evaluation in detail."
        ),
    ]


def _leaderboard(evaluation: Evaluation) -> Table:
    """A row a member, the best first."""
    members = evaluation["vs_best_baseline"]
    rows = []
    for member in sorted(members, key=lambda name: -members[name]["skill"]):
        scores = evaluation["members"][member]
        walk = scores["skill"].get(RANDOM_WALK)
        rows.append(
            [
                find_member(member).label,
                f"{100 * members[member]['skill']:+.2f} %",
                interval_text(members[member]["confidence_interval"]) or UNKNOWN,
                UNKNOWN if walk is None else f"{100 * walk:+.2f} %",
                percent(scores["coverage50"]),
                percent(scores["coverage90"]),
                "yes" if member in (evaluation["confidence_set"] or []) else "",
            ]
        )
    head = [
        "member",
        "over the best baseline",
        "its interval",
        "over the random walk",
        "in 50 %",
        "in 90 %",
        "may be the best",
    ]
    return Table("All members, the best first", head, rows)


def _folds(evaluation: Evaluation) -> Table:
    rows = [
        [
            fold["fold"],
            fold["test_start_iso"][:16].replace("T", " "),
            fold["test_end_iso"][:16].replace("T", " "),
            str(fold["origins"]),
            ", ".join(
                f"{find_member(name).label} {percent(weight)}"
                for name, weight in sorted(fold["weights"].items(), key=lambda item: -item[1])
                if weight >= 0.05
            ),
        ]
        for fold in evaluation["folds"]
    ]
    return Table("Folds", ["fold", "tested from (UTC)", "to", "origins", "the ensemble"], rows)


def _notes(evaluation: Evaluation) -> list[str]:
    origins, symbols = sum(fold["origins"] for fold in evaluation["folds"]), len(evaluation["symbols"])
    moments = evaluation["difference"]["origin_times"] if evaluation["difference"] else None
    told = f"{moments} moments of {symbols} symbols" if moments else f"of {symbols} symbols together"
    return [
        f"{origins} origins are {told}: each is a moment at which a symbol is forecast.",
        "± is two standard errors (HAC); p: Diebold–Mariano test of no difference, Holm-corrected for the baselines.",
        "Pinball loss scores a quantile forecast, less is better. “May be the best”: in the model confidence set.",
    ]
