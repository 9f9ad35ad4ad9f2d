"""Rule evaluate: scores of every member against what came, by fold, symbol and step, and whether a model is worth it.

docs/evaluation.md says what each figure is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_json, write_csv, write_json
from common.job import job, say
from forecasting.evaluation.scores import (
    CELL,
    FIGURES,
    Market,
    by_fold,
    naive_scale,
    pit_shares,
    pool,
    score_runs,
    scored,
)
from forecasting.evaluation.significance import make_panel
from forecasting.evaluation.verdict import compare
from forecasting.folds import Fold, make_fold
from forecasting.hac import hac_lags
from forecasting.members import ORACLE, RANDOM_WALK, baselines
from forecasting.realised import log_closes
from market.intervals import iso, step_ms


def evaluate(
    table: str,
    steps: str,
    leaderboard: str,
    summary: str,
    forecasts: list[str],
    candles: list[str],
    cutoff: str,
    exchange: str,
    interval: str,
    symbols: list[str],
    horizon: int,
    quantile_levels: list[float],
    folds: dict[str, int],
    stride: int,
    tried: int = 0,
) -> None:
    """Write the scores of every fold, symbol and member (`table`), of every step too (`steps`), over all (`standing`: a
    row a member, the best first), and the `summary`.

    forecasts: files named <fold>/<member>.parquet; one without rows is of a member that sits the fold out. candles: one
    <symbol>.parquet a symbol, and `cutoff`, both of the training cutoff. folds: count, test_bars, embargo. stride: bars
    between origins. tried: configurations that the model's was chosen among. Raises UserError when members differ in
    their origins, or an outcome is missing from the candles.
    """
    known_until, step = read_json(cutoff), step_ms(interval)
    runs = by_fold(forecasts)
    spans = [make_fold(fold, known_until["as_of"], step, **folds) for fold in runs]
    scores = score_runs(runs, _market(candles, spans[0].train_end, step), horizon, quantile_levels)
    missing = sorted(set(symbols) - set(scores.cells["symbol"]))
    if missing:
        raise UserError(f"evaluate: no test origin of {', '.join(missing)} in any fold; drop it, or lengthen the folds")

    pooled = pool(scores.cells)
    panel = make_panel(
        _in_units(scores.losses), [name for name in pooled.index if name not in scores.sat_out], stride * step
    )
    lags = hac_lags(horizon, stride, panel.moments())
    found = compare(panel, lags)
    ranked = rank(pooled, found, scores.sat_out)
    content = {
        "simulated": known_until["simulated"],
        "exchange": exchange,
        "interval": interval,
        "horizon": horizon,
        "symbols": symbols,
        "quantiles": quantile_levels,
        "folds": [_fold(span, int((scores.losses["fold"] == int(span.name)).sum())) for span in spans],
        "members": _members(pooled, scores.crossings),
        "oracle": None if ORACLE not in pooled.index else "law" if known_until["simulated"] else "realised volatility",
        "pit": _pit(pooled, quantile_levels),
        "sat_out": scores.sat_out,
        "configurations_tried": tried,
    }
    write_csv(table, scored(scores.cells, CELL))
    write_csv(steps, scored(scores.cells, [*CELL, "step"]))
    write_csv(leaderboard, ranked)
    write_json(summary, content | found)
    say(report(ranked, found, scores.sat_out))


def rank(pooled: pd.DataFrame, found: Mapping[str, Any], sat_out: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """A row a member, the best first, with all that the terminal shows; those that sat out a fold come last."""
    best, kept = found["best_baseline"], found["confidence_set"]
    rows = []
    for member in sorted(pooled.index, key=lambda name: (name in sat_out, pooled["pinball"][name])):
        against = found["against_best"].get(member, {"skill": np.nan, "confidence_interval": None})
        low, high = against["confidence_interval"] or (np.nan, np.nan)
        p = found["comparisons"].get(member, {}).get(best, {}).get("p_holm")
        row = {
            "member": member,
            "skill_vs_best_baseline": against["skill"],
            "skill_low": low,
            "skill_high": high,
            "p": np.nan if p is None else p,
            "in_confidence_set": None if kept is None or member in (*sat_out, ORACLE) else member in kept,
        }
        rows.append(row | {name: pooled[name][member] for name in [*FIGURES, "oracle_share"]})
    return pd.DataFrame(rows)


def report(ranked: pd.DataFrame, found: Mapping[str, Any], sat_out: Mapping[str, Sequence[str]]) -> str:
    """A small aligned table of the members, best first, and what it says in words."""
    head = f"{'member':<18}{'pinball':>8}{'skill %':>9}{'95 % band':>18}{'p':>8}{'in 50':>7}{'in 90':>7}{'mae':>8}"
    lines = [f"{head}{'oracle':>8}{'set':>5}"]
    for row in ranked.to_dict("records"):
        low, high, p = 100 * row["skill_low"], 100 * row["skill_high"], row["p"]
        skill = _text(100 * row["skill_vs_best_baseline"], "+.2f")
        interval_95 = f"{low:+.2f} … {high:+.2f}" if low < high else ""
        lines.append(
            f"{row['member']:<18}{row['pinball']:>8.4f}{skill:>9}{interval_95:>18}"
            f"{'<0.001' if p < 0.001 else _text(p, '.3f'):>8}{row['coverage50']:>7.1%}{row['coverage90']:>7.1%}"
            f"{row['mae']:>8.4f}{_text(row['oracle_share'], '.0%'):>8}{'yes' if row['in_confidence_set'] else '':>5}"
        )
    notes = [
        f"(pinball, mae: in units of the random walk's; skill: over {found['best_baseline']}; oracle: share of the",
        " best possible gain on the random walk; set: may be the best, with 90 % confidence)",
        *(f"{member} sat out fold {', '.join(folds)}: it is not compared." for member, folds in sat_out.items()),
    ]
    verdicts = [sentence for sentence in (found["verdict"], found["verdict_tft"]) if sentence]
    return "\n".join([*lines, *notes, *verdicts])


def number(value: float) -> float | None:
    """A number as JSON has it: None for what is not one."""
    return float(value) if np.isfinite(value) else None


def _market(candles: Sequence[str], train_end: int, step: int) -> Market:
    closes = log_closes(candles)
    return Market(closes, {symbol: naive_scale(own, train_end, step) for symbol, own in closes.items()}, step)


def _in_units(losses: pd.DataFrame) -> pd.DataFrame:
    """Losses by origin in units of the random walk's own mean at that symbol."""
    unit = losses.groupby("symbol")[RANDOM_WALK].transform("mean")
    members = losses.columns.drop(["fold", "symbol", "origin"])
    return losses.assign(**{member: losses[member] / unit for member in members})


def _members(pooled: pd.DataFrame, crossings: Mapping[str, int]) -> dict[str, Any]:
    rivals = baselines([name.removeprefix("skill_") for name in pooled.columns])
    told = {}
    for member, row in pooled.iterrows():
        figures = {name: number(row[name]) for name in [*FIGURES, "oracle_share"]}
        skill = {rival: number(row[f"skill_{rival}"]) for rival in rivals}
        told[str(member)] = figures | {"crossings": crossings[str(member)], "skill": skill}
    return told


def _pit(pooled: pd.DataFrame, quantile_levels: Sequence[float]) -> dict[str, Any]:
    """Share of outcomes below, between and above the quantiles: as it should be, and by member."""
    shares = pit_shares(pooled)
    nominal = np.diff([0, *quantile_levels, 1]).tolist()
    return {"nominal": nominal, "members": {str(member): row.tolist() for member, row in shares.iterrows()}}


def _fold(span: Fold, origins: int) -> dict[str, Any]:
    return {
        "fold": span.name,
        "train_end_iso": iso(span.train_end),
        "test_start_iso": iso(span.test_start),
        "test_end_iso": iso(span.test_end),
        "origins": origins,
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
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            exchange=snakemake.params.exchange,
            interval=snakemake.params.interval,
            symbols=snakemake.params.symbols,
            horizon=snakemake.params.horizon,
            quantile_levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
            stride=snakemake.params.stride,
            tried=snakemake.params.tried,
        )
