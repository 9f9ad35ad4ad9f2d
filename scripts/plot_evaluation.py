"""Rule plot_evaluation: skill of every member, also by step ahead; coverage and PIT of the evaluated model. A second
figure: states of the market, economic value, direction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from common.files import read_csv, read_document
from common.job import job
from forecasting.documents import Evaluation
from forecasting.members import MODELS, ORACLE, RANDOM_WALK, display_name
from plotting.evaluation_detail import detail_figure
from plotting.style import GREY, INK, legend_below, member_line, new_figure, save

NOMINAL = {"coverage50": 0.5, "coverage90": 0.9}


def plot_evaluation(png: str, pdf: str, detail_png: str, detail_pdf: str, table: str, steps: str, summary: str) -> None:
    """Draw the evaluation `table` (a row per fold, symbol, member), `steps` (… and step) and `summary` (JSON): skill
    and coverage (`png`, `pdf`); states of the market, economic value and direction (`detail_png`, `detail_pdf`)."""
    evaluation = read_document(summary, Evaluation)
    save(evaluation_figure(read_csv(table), read_csv(steps), evaluation), png, pdf)
    save(detail_figure(evaluation, _setting(evaluation)), detail_png, detail_pdf)


def evaluation_figure(folds: pd.DataFrame, steps: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Four panels of evaluation.csv, evaluation_steps.csv and evaluation.json."""
    best = evaluation["best_baseline"]
    evaluated = evaluation["evaluated_model"] or best
    lines = [_setting(evaluation), evaluation["verdict"], *filter(None, [evaluation["verdict_tft"]])]
    title = f"Evaluation of {display_name(evaluated)}"
    figure, axes = new_figure(2, 2, (13, 9.2), title, "\n".join(lines), evaluation["simulated"])
    shown = [name for name in dict.fromkeys([evaluated, best, ORACLE]) if name in evaluation["members"]]
    _skill_by_member(axes[0, 0], folds, evaluation, evaluated)
    _skill_by_step(axes[0, 1], steps, evaluation, evaluated)
    _coverage_by_step(axes[1, 0], steps, shown, evaluation["interval"])
    _pit(axes[1, 1], evaluation, shown)
    return figure


def relative_loss(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Pinball loss [values of `by`, members], each symbol's divided by its random walk's so that symbols weigh alike.

    Cells are weighted by their origins. 1 − a member's ÷ a baseline's is its skill. NaN where a member was skipped.
    """
    reference = weighted_mean(table[table["member"] == RANDOM_WALK], ["symbol"], "pinball")
    scaled = table.assign(relative=table["pinball"] / table["symbol"].map(reference))
    return weighted_mean(scaled, [by, "member"], "relative").unstack("member")


def weighted_mean(table: pd.DataFrame, by: Sequence[str], column: str) -> pd.Series:
    """Mean of a column by groups, a row weighing as its origins; rows without a value do not, and may leave NaN."""
    weight = table["origins"].where(table[column].notna(), 0)
    parts = table[list(by)].assign(weight=weight, weighted=table[column] * weight)
    sums = parts.groupby(list(by)).sum()
    return sums["weighted"] / sums["weight"]


def _setting(evaluation: Evaluation) -> str:
    symbols = evaluation["symbols"]
    names = ", ".join(symbols[:6]) + (f" and {len(symbols) - 6} more" if len(symbols) > 6 else "")
    market = f"{names} ({evaluation['exchange']})"
    return f"{market}, {evaluation['interval']} bars, {evaluation['horizon']} steps ahead."


def _skill_by_member(axes: Axes, folds: pd.DataFrame, evaluation: Evaluation, evaluated: str) -> None:
    """Every member's skill over the best baseline, its confidence interval, and its skill in each fold; best on top."""
    members, best = evaluation["vs_best_baseline"], evaluation["best_baseline"]
    candidates = evaluation["confidence_set"] or []
    order = sorted(members, key=lambda name: members[name]["skill"])
    losses = relative_loss(folds, "fold")
    by_fold = 1 - losses.div(losses[best], axis=0)
    pooled = {name: [members[name]["skill"], *(members[name]["confidence_interval"] or [])] for name in order}
    drawn = pd.concat([pd.DataFrame.from_dict(pooled, orient="index", dtype=np.float64).T, by_fold[order]])
    lowest, left, right = shown_range(drawn, evaluated)
    for place, name in enumerate(order):
        color, interval = member_line(name)["color"], members[name]["confidence_interval"]
        axes.plot(by_fold[name], np.full(len(by_fold), place), "|", color=color, markersize=9, alpha=0.55)
        if interval is not None:
            axes.plot(interval, [place, place], color=color, linewidth=2.4)
        face = color if name in candidates else "white"
        axes.plot(members[name]["skill"], place, "o", color=color, markerfacecolor=face, markersize=8, zorder=3)
        if drawn[name].max() < lowest:
            axes.annotate("◂ off the scale", (0.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    labels = [f"{member_line(name)['label']}  {100 * members[name]['skill']:+.1f} %" for name in order]
    axes.set_yticks(range(len(order)), labels)
    axes.set_ylim(-0.6, len(order) - 0.4)
    margin = 0.06 * (right - left) or 0.01  # an axis needs some width, even where all skills are equal
    axes.set_xlim(left - margin, right + margin)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(axis="y", visible=False)
    axes.set_title(f"Skill over the best baseline ({member_line(best)['label']})")
    axes.set_xlabel("1 − pinball loss ÷ best baseline's; line: 95 % CI, ticks: folds, filled: in the confidence set")


def _skill_by_step(axes: Axes, steps: pd.DataFrame, evaluation: Evaluation, evaluated: str) -> None:
    """Skill over the best baseline of the models, the random walk and the oracle; the other baselines in grey."""
    best = evaluation["best_baseline"]
    losses = relative_loss(steps, "step")[list(evaluation["vs_best_baseline"])]
    skills = 1 - losses.div(losses[best], axis=0)
    lowest, bottom, top = shown_range(skills, evaluated)
    visible = [name for name in skills if name != best and not skills[name].max() < lowest]
    named = [name for name in [*MODELS, RANDOM_WALK, ORACLE] if name in visible]
    marker = "o" if len(skills) == 1 else None
    grey: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "alpha": 0.6, "marker": marker, "zorder": 1.5}
    for position, name in enumerate(name for name in visible if name not in named):
        axes.plot(skills.index, skills[name], **grey, label=None if position else "other baselines")
    for name in reversed(named):
        axes.plot(skills.index, skills[name], **member_line(name), marker=marker, zorder=3 if name == evaluated else 2)
    axes.axhline(0, **(member_line(best) | {"linewidth": 1.2}))
    if bottom < top:
        axes.set_ylim(bottom - 0.06 * (top - bottom), top + 0.06 * (top - bottom))
    axes.set_title("Skill over the best baseline by step ahead")
    axes.set_ylabel("1 − pinball loss ÷ best baseline's")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    _step_axis(axes, skills.index.max(), evaluation["interval"])
    legend_below(axes)


def shown_range(skills: pd.DataFrame, evaluated: str) -> tuple[float, float, float]:
    """Of skills [rows, members]: the lowest that is drawn, and the range of what is drawn, 0 within it.

    A far worse member would flatten the others; the evaluated one is always drawn.
    """
    best, model = np.nanmax(skills.to_numpy(), initial=0), np.nanmin(skills[evaluated].to_numpy(), initial=0)
    lowest = min(-0.03, -2 * best, model)
    drawn = skills.loc[:, ~(skills.max() < lowest)].clip(lower=lowest).to_numpy()
    return lowest, np.nanmin(drawn, initial=0), best


def _coverage_by_step(axes: Axes, steps: pd.DataFrame, shown: Sequence[str], interval: str) -> None:
    for name in reversed(shown):
        rows = steps[steps["member"] == name]
        for level in NOMINAL:
            values = weighted_mean(rows, ["step"], level)
            style = member_line(name) | ({} if level == "coverage90" else {"label": None})
            axes.plot(values.index, values, **style, marker="o" if len(values) == 1 else None)
    for share in NOMINAL.values():
        axes.axhline(share, color=GREY, linewidth=1.2, linestyle=":", zorder=0.9)
        axes.annotate(
            f"{100 * share:.0f} %\nnominal",
            (1.01, share),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=GREY,
        )
    axes.set_ylim(0, 1.04)
    axes.set_ylabel("coverage")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_title("Coverage of the 50 % and 90 % intervals by step ahead")
    _step_axis(axes, steps["step"].max(), interval)
    legend_below(axes)


def _pit(axes: Axes, evaluation: Evaluation, shown: Sequence[str]) -> None:
    """PIT histogram: share of outcomes between neighbouring quantiles over its nominal share; bars for the first."""
    nominal = np.array(evaluation["pit"]["nominal"])
    places = np.arange(len(nominal))
    for position, name in enumerate(shown):
        style, ratio = member_line(name), np.array(evaluation["pit"]["members"][name]) / nominal
        if position:
            axes.plot(places, ratio, "D", color=style["color"], markersize=6, label=style["label"])
        else:
            axes.bar(places, ratio, 0.92, color=style["color"], alpha=0.75, label=style["label"])
    axes.axhline(1, color=GREY, linewidth=1.2, linestyle=":")
    axes.set_xticks(places[1:] - 0.5, [f"{100 * level:g}" for level in evaluation["quantiles"]])
    axes.grid(axis="x", visible=False)
    axes.set_title("PIT histogram: outcomes between the quantiles")
    axes.set_xlabel("quantiles, %")
    axes.set_ylabel("share ÷ nominal share")
    legend_below(axes)


def _step_axis(axes: Axes, last: int, interval: str) -> None:
    axes.set_xlim(0, last + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(f"steps ahead ({interval} bars)")


if __name__ == "__main__":
    with job() as snakemake:
        plot_evaluation(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            detail_png=snakemake.output.detail_png,
            detail_pdf=snakemake.output.detail_pdf,
            table=snakemake.input.table,
            steps=snakemake.input.steps,
            summary=snakemake.input.summary,
        )
