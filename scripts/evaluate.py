"""Rule evaluate: scores of every member by fold, symbol and step, and whether a model beats the baselines.

docs/evaluation.md defines each figure.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import number, read_document, read_json, write_csv, write_json
from common.job import job, say
from forecasting.documents import Comparison, Details, Evaluation, FoldSpan, MemberScores, Metrics, Pit, Weights
from forecasting.evaluation.conditions import add_states, by_condition, coverage_tests
from forecasting.evaluation.direction import direction_verdict, directions
from forecasting.evaluation.scores import (
    CELL_KEYS,
    METRICS,
    RealisedPrices,
    Scores,
    direction_steps,
    files_by_fold,
    mean_scores,
    naive_mae,
    pit_shares,
    pool,
    relative_losses,
    score_files,
)
from forecasting.evaluation.significance import make_panel
from forecasting.evaluation.utility import Investor, economic_values
from forecasting.evaluation.verdict import compare
from forecasting.folds import Fold, FoldScheme
from forecasting.hac import hac_lags
from forecasting.members import ORACLE, baselines
from forecasting.realised import log_closes
from forecasting.task import Task
from market.intervals import iso


def evaluate(
    table: str,
    steps: str,
    leaderboard: str,
    summary: str,
    forecasts: list[str],
    weights: list[str],
    candles: list[str],
    cutoff: str,
    exchange: str,
    symbols: list[str],
    task: Task,
    scheme: FoldScheme,
    stride: int,
    investor: Investor,
    previous_trials: int = 0,
) -> None:
    """Write the scores of every fold, symbol and member (`table`), of every step too (`steps`), pooled over these
    (`leaderboard`: a row a member, the best first), and the `summary` (an `Evaluation`).

    forecasts: files named <fold>/<member>.parquet; one without rows is of a member that was skipped in the fold.
    weights: of each fold's ensemble, <fold>/weights.json.
    candles: one <symbol>.parquet a symbol, and `cutoff`, both of the training cutoff.
    stride: bars between origins. investor: whose utility is computed. previous_trials: configurations that the TFT's
    was chosen from. Raises UserError when members differ in their origins, or a bar that forecasts are scored against
    is missing from the candles.
    """
    evaluation, cells, ranked = evaluated(
        forecasts, weights, candles, cutoff, exchange, symbols, task, scheme, stride, investor, previous_trials
    )
    write_csv(table, mean_scores(cells, CELL_KEYS))
    write_csv(steps, mean_scores(cells, [*CELL_KEYS, "step"]))
    write_csv(leaderboard, ranked)
    write_json(summary, evaluation)
    say(f"{report(ranked, evaluation, evaluation['skipped'])}\n{evaluation['verdict_direction']}")


def evaluated(
    forecasts: Sequence[str],
    weights: Sequence[str],
    candles: Sequence[str],
    cutoff: str,
    exchange: str,
    symbols: list[str],
    task: Task,
    scheme: FoldScheme,
    stride: int,
    investor: Investor,
    previous_trials: int,
) -> tuple[Evaluation, pd.DataFrame, pd.DataFrame]:
    """The summary, the scores of each fold, symbol, member and step, and the leaderboard; arguments are those of
    `evaluate`, of as many folds as have forecasts."""
    known_until, files = read_json(cutoff), files_by_fold(forecasts)
    spans = [scheme.fold(fold, known_until["as_of"], task.bar_ms) for fold in files]
    shares = {Path(path).parent.name: read_document(path, Weights)["weights"] for path in weights}
    prices = _prices(candles, spans[0].train_end, task.bar_ms)
    scores = score_files(files, prices, task)
    missing = sorted(set(symbols) - set(scores.cells["symbol"]))
    if missing:
        raise UserError(f"no test origin of {', '.join(missing)} in any fold; drop it, or lengthen the folds")

    pooled = pool(scores.cells)
    compared = [name for name in pooled.index if name not in scores.skipped]
    panel = make_panel(relative_losses(scores.losses), compared, stride * task.bar_ms)
    lags = hac_lags(task.horizon, stride, panel.origin_times())
    comparison = compare(panel, lags)
    train_ends = {int(span.name): span.train_end for span in spans}
    cases = add_states(scores.cases, prices.closes, train_ends, task.bar_ms)
    ranked = rank(pooled, comparison, scores.skipped)
    evaluation: Evaluation = {
        "simulated": known_until["simulated"],
        "exchange": exchange,
        "interval": task.interval,
        "horizon": task.horizon,
        "symbols": symbols,
        "quantiles": list(task.quantile_levels),
        "folds": [_fold(span, scores, shares[span.name]) for span in spans],
        "members": _members(pooled, scores.crossings),
        "oracle": None
        if ORACLE not in pooled.index
        else "data-generating process"
        if known_until["simulated"]
        else "realised volatility",
        "pit": _pit(pooled, task.quantile_levels),
        "skipped": scores.skipped,
        "previous_trials": previous_trials,
        **comparison,
        **details(cases, comparison, task, stride, investor, lags),
    }
    return evaluation, scores.cells, ranked


def details(
    cases: pd.DataFrame, comparison: Comparison, task: Task, stride: int, investor: Investor, lags: int
) -> Details:
    """Direction, coverage by state of the market and economic value of every member."""
    best = comparison["best_baseline"]
    evaluated = comparison["evaluated_model"] or best
    direction = directions(cases, direction_steps(task.horizon), stride, task.bar_ms)
    return {
        "direction": direction,
        "verdict_direction": direction_verdict(evaluated, direction[evaluated]),
        "by_condition": by_condition(cases),
        "coverage_tests": coverage_tests(cases, task.horizon * task.bar_ms),
        "economic_value": economic_values(cases, investor, best, stride * task.bar_ms, lags),
    }


def rank(pooled: pd.DataFrame, comparison: Comparison, skipped: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The leaderboard: a row a member, the best first; those that were skipped in a fold come last."""
    best, candidates = comparison["best_baseline"], comparison["confidence_set"]
    rows = []
    for member in sorted(pooled.index, key=lambda name: (name in skipped, pooled["pinball"][name])):
        skill = comparison["vs_best_baseline"].get(member, {"skill": np.nan, "confidence_interval": None})
        lower, upper = skill["confidence_interval"] or (np.nan, np.nan)
        test = comparison["comparisons"].get(member, {}).get(best)
        row = {
            "member": member,
            "skill_vs_best_baseline": skill["skill"],
            "skill_ci_lower": lower,
            "skill_ci_upper": upper,
            "p": np.nan if test is None or test["p_holm"] is None else test["p_holm"],
            "in_confidence_set": None if candidates is None or member in (*skipped, ORACLE) else member in candidates,
        }
        rows.append(row | {name: pooled[name][member] for name in [*METRICS, "oracle_share"]})
    return pd.DataFrame(rows)


def report(ranked: pd.DataFrame, comparison: Comparison, skipped: Mapping[str, Sequence[str]]) -> str:
    """A small aligned table of the members, best first, its legend and the verdict."""
    width = max(18, ranked["member"].str.len().max() + 1)
    head = f"{'member':<{width}}{'pinball':>8}{'skill %':>9}{'95 % CI':>18}{'p':>8}{'in 50':>7}{'in 90':>7}{'mae':>8}"
    lines = [f"{head}{'oracle':>8}{'set':>5}"]
    for row in ranked.to_dict("records"):
        lower, upper, p = 100 * row["skill_ci_lower"], 100 * row["skill_ci_upper"], row["p"]
        skill = _text(100 * row["skill_vs_best_baseline"], "+.2f")
        interval = f"{lower:+.2f} … {upper:+.2f}" if lower < upper else ""
        lines.append(
            f"{row['member']:<{width}}{row['pinball']:>8.4f}{skill:>9}{interval:>18}"
            f"{'<0.001' if p < 0.001 else _text(p, '.3f'):>8}{row['coverage50']:>7.1%}{row['coverage90']:>7.1%}"
            f"{row['mae']:>8.4f}{_text(row['oracle_share'], '.0%'):>8}{'yes' if row['in_confidence_set'] else '':>5}"
        )
    notes = [
        "(pinball, mae: relative to the random walk; skill: over "
        f"{comparison['best_baseline']}, with its confidence interval (CI) and Holm-corrected p;",
        " in 50, in 90: coverage; oracle: share of its gain over the random walk; set: in the 90 % confidence set)",
        *(f"{member} was skipped in fold {', '.join(folds)}: it is not compared." for member, folds in skipped.items()),
    ]
    verdicts = [sentence for sentence in (comparison["verdict"], comparison["verdict_tft"]) if sentence]
    return "\n".join([*lines, *notes, *verdicts])


def _prices(candles: Sequence[str], train_end: int, bar_ms: int) -> RealisedPrices:
    closes = log_closes(candles)
    return RealisedPrices(closes, {name: naive_mae(series, train_end, bar_ms) for name, series in closes.items()})


def _members(pooled: pd.DataFrame, crossings: Mapping[str, int]) -> dict[str, MemberScores]:
    rivals = baselines([name.removeprefix("skill_") for name in pooled.columns if name.startswith("skill_")])
    members: dict[str, MemberScores] = {}
    for member, row in pooled.iterrows():
        members[str(member)] = {
            **cast(Metrics, {name: number(row[name]) for name in METRICS}),
            "oracle_share": number(row["oracle_share"]),
            "crossings": crossings[str(member)],
            "skill": {rival: number(row[f"skill_{rival}"]) for rival in rivals},
        }
    return members


def _pit(pooled: pd.DataFrame, quantile_levels: Sequence[float]) -> Pit:
    shares = pit_shares(pooled)
    nominal = np.diff([0, *quantile_levels, 1]).tolist()
    return {"nominal": nominal, "members": {str(member): row.tolist() for member, row in shares.iterrows()}}


def _fold(span: Fold, scores: Scores, weights: dict[str, float]) -> FoldSpan:
    return {
        "fold": span.name,
        "train_end_iso": iso(span.train_end),
        "test_start_iso": iso(span.test_start),
        "test_end_iso": iso(span.test_end),
        "origins": int((scores.losses["fold"] == int(span.name)).sum()),
        "weights": weights,
    }


def _text(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)


if __name__ == "__main__":
    with job() as snakemake:
        evaluate(
            table=snakemake.output.table,
            steps=snakemake.output.steps,
            leaderboard=snakemake.output.leaderboard,
            summary=snakemake.output.summary,
            forecasts=list(snakemake.input.forecasts),
            weights=list(snakemake.input.weights),
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            exchange=snakemake.params.exchange,
            symbols=snakemake.params.symbols,
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            investor=Investor(**snakemake.params.investor),
            previous_trials=snakemake.params.previous_trials,
        )
