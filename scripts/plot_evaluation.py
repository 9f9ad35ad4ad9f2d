"""Rule plot_evaluation: skill of every member, by step ahead too; coverage and PIT of the model that is judged."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from common.files import read_csv, read_json
from common.job import job
from forecasting.members import MODELS, ORACLE, RANDOM_WALK, display_name
from plotting.style import GREY, INK, legend_below, member_line, new_figure, save

NOMINAL = {"coverage50": 0.5, "coverage90": 0.9}


def plot_evaluation(png: str, pdf: str, table: str, steps: str, summary: str) -> None:
    """Draw the evaluation `table` (a row per fold, symbol, member), `steps` (… and step) and `summary` (JSON)."""
    folds, ahead, told = read_csv(table), read_csv(steps), read_json(summary)
    judged = told["evaluated_model"] or told["best_baseline"]
    lines = [_market(told), told["verdict"], *filter(None, [told["verdict_tft"]])]
    title = f"Evaluation of {display_name(judged)}"
    figure, axes = new_figure(2, 2, (13, 9.2), title, "\n".join(lines), bool(told["simulated"]))
    shown = [name for name in dict.fromkeys([judged, told["best_baseline"], ORACLE]) if name in told["members"]]
    _skill_by_member(axes[0, 0], folds, told, judged)
    _skill_by_step(axes[0, 1], ahead, told, judged)
    _coverage_by_step(axes[1, 0], ahead, shown, told["interval"])
    _pit(axes[1, 1], told, shown)
    save(figure, png, pdf)


def relative_loss(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Pinball loss [values of `by`, members], each symbol's divided by its random walk's so that symbols count alike.

    Cells are weighted by their origins. 1 − a member's ÷ a baseline's is its skill. NaN where nothing was scored.
    """
    floor = weighted_mean(table[table["member"] == RANDOM_WALK], ["symbol"], "pinball")
    scaled = table.assign(relative=table["pinball"] / table["symbol"].map(floor))
    return weighted_mean(scaled, [by, "member"], "relative").unstack("member")


def weighted_mean(table: pd.DataFrame, by: Sequence[str], column: str) -> pd.Series:
    """Mean of a column by groups, a row weighing as its origins; rows without a value do not, and may leave NaN."""
    weight = table["origins"].where(table[column].notna(), 0)
    parts = table[list(by)].assign(weight=weight, weighted=table[column] * weight)
    sums = parts.groupby(list(by)).sum()
    return sums["weighted"] / sums["weight"]


def _market(told: Mapping[str, Any]) -> str:
    symbols = told["symbols"]
    names = ", ".join(symbols[:6]) + (f" and {len(symbols) - 6} more" if len(symbols) > 6 else "")
    return f"{names} ({told['exchange']}), {told['interval']} bars, {told['horizon']} steps ahead."


def _skill_by_member(axes: Axes, folds: pd.DataFrame, told: Mapping[str, Any], judged: str) -> None:
    """Every member's skill over the best baseline, its band, and its skill in each fold; the best on top."""
    against, best, kept = told["against_best"], told["best_baseline"], told["confidence_set"] or []
    order = sorted(against, key=lambda name: against[name]["skill"] or 0)
    losses = relative_loss(folds, "fold")
    by_fold = 1 - losses.div(losses[best], axis=0)
    pooled = {name: [against[name]["skill"], *(against[name]["confidence_interval"] or [])] for name in order}
    drawn = pd.concat([pd.DataFrame.from_dict(pooled, orient="index", dtype=np.float64).T, by_fold[order]])
    lowest, left, right = shown_range(drawn, judged)
    for place, name in enumerate(order):
        style = member_line(name)
        axes.plot(by_fold[name], np.full(len(by_fold), place), "|", color=style["color"], markersize=9, alpha=0.55)
        if against[name]["confidence_interval"] is not None:
            axes.plot(against[name]["confidence_interval"], [place, place], color=style["color"], linewidth=2.4)
        face = style["color"] if name in kept else "white"
        axes.plot(drawn[name].iloc[0], place, "o", color=style["color"], markerfacecolor=face, markersize=8, zorder=3)
        if drawn[name].max() < lowest:
            axes.annotate("◂ off the scale", (0.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    labels = [f"{member_line(name)['label']}  {_percent(against[name]['skill'])}" for name in order]
    axes.set_yticks(range(len(order)), labels)
    axes.set_ylim(-0.6, len(order) - 0.4)
    margin = 0.06 * (right - left) or 0.01  # an axis needs some width, even without skills
    axes.set_xlim(left - margin, right + margin)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(axis="y", visible=False)
    axes.set_title(f"Skill over the best baseline ({member_line(best)['label']})")
    axes.set_xlabel("1 − pinball loss ÷ best baseline's; line: 95 % band, ticks: folds, filled: may be the best")


def _skill_by_step(axes: Axes, ahead: pd.DataFrame, told: Mapping[str, Any], judged: str) -> None:
    """Skill over the best baseline of the models, the random walk and the oracle; the other baselines in grey."""
    best = told["best_baseline"]
    losses = relative_loss(ahead, "step")[list(told["against_best"])]
    skills = 1 - losses.div(losses[best], axis=0)
    lowest, bottom, top = shown_range(skills, judged)
    visible = [name for name in skills if name != best and not skills[name].max() < lowest]
    named = [name for name in [*MODELS, RANDOM_WALK, ORACLE] if name in visible]
    marker = "o" if len(skills) == 1 else None
    grey: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "alpha": 0.6, "marker": marker, "zorder": 1.5}
    for position, name in enumerate(name for name in visible if name not in named):
        axes.plot(skills.index, skills[name], **grey, label=None if position else "other baselines")
    for name in reversed(named):
        axes.plot(skills.index, skills[name], **member_line(name), marker=marker, zorder=3 if name == judged else 2)
    axes.axhline(0, **(member_line(best) | {"linewidth": 1.2}))
    if bottom < top:
        axes.set_ylim(bottom - 0.06 * (top - bottom), top + 0.06 * (top - bottom))
    axes.set_title("Skill over the best baseline by step ahead")
    axes.set_ylabel("1 − pinball loss ÷ best baseline's")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    _step_axis(axes, skills.index.max(), told["interval"])
    legend_below(axes)


def shown_range(skills: pd.DataFrame, judged: str) -> tuple[float, float, float]:
    """Of skills [rows, members]: the lowest that is drawn, and the range of what is drawn, 0 within it.

    A far worse member would flatten the others; the one that is judged is always drawn.
    """
    best, model = np.nanmax(skills.to_numpy(), initial=0), np.nanmin(skills[judged].to_numpy(), initial=0)
    lowest = min(-0.03, -2 * best, model)
    drawn = skills.loc[:, ~(skills.max() < lowest)].clip(lower=lowest).to_numpy()
    return lowest, np.nanmin(drawn, initial=0), best


def _coverage_by_step(axes: Axes, ahead: pd.DataFrame, shown: Sequence[str], interval: str) -> None:
    for name in reversed(shown):
        own = ahead[ahead["member"] == name]
        for level in NOMINAL:
            values = weighted_mean(own, ["step"], level)
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
    axes.set_ylabel("share of closes inside")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_title("Coverage of the intervals by step ahead")
    _step_axis(axes, ahead["step"].max(), interval)
    legend_below(axes)


def _pit(axes: Axes, told: Mapping[str, Any], shown: Sequence[str]) -> None:
    """How often outcomes fell between neighbouring quantiles, over how often they should: bars for the first shown."""
    nominal = np.array(told["pit"]["nominal"])
    places = np.arange(len(nominal))
    for position, name in enumerate(shown):
        style, ratio = member_line(name), np.array(told["pit"]["members"][name]) / nominal
        if position:
            axes.plot(places, ratio, "D", color=style["color"], markersize=6, label=style["label"])
        else:
            axes.bar(places, ratio, 0.92, color=style["color"], alpha=0.75, label=style["label"])
    axes.axhline(1, color=GREY, linewidth=1.2, linestyle=":")
    axes.set_xticks(places[1:] - 0.5, [f"{100 * level:g}" for level in told["quantiles"]])
    axes.grid(axis="x", visible=False)
    axes.set_title("Where the closes fell among the quantiles (PIT)")
    axes.set_xlabel("quantiles, %")
    axes.set_ylabel("share ÷ nominal share")
    legend_below(axes)


def _percent(skill: float | None) -> str:
    return "n/a" if skill is None else f"{100 * skill:+.1f} %"


def _step_axis(axes: Axes, last: int, interval: str) -> None:
    axes.set_xlim(0, last + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(f"steps ahead ({interval} bars)")


if __name__ == "__main__":
    with job() as snakemake:
        plot_evaluation(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            table=snakemake.input.table,
            steps=snakemake.input.steps,
            summary=snakemake.input.summary,
        )
