"""Rule plot_evaluation: skill and coverage of the TFT by fold and by step ahead."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from common.figures import GREY, INK, legend_below, member_line, new_figure, save
from common.files import read_csv, read_json
from common.job import job
from forecasting.members import ORACLE, RANDOM_WALK, TFT

NOMINAL = {"coverage50": 0.5, "coverage90": 0.9}


def plot_evaluation(png: str, pdf: str, table: str, steps: str, summary: str) -> None:
    """Draw the evaluation `table` (a row per fold, symbol, member), `steps` (… and step) and `summary` (JSON)."""
    folds, ahead, told = read_csv(table), read_csv(steps), read_json(summary)
    figure, axes = new_figure(
        2, 2, (13, 8.6), "Evaluation of the TFT", f"{_market(told)}\n{told['verdict']}", bool(told["simulated"])
    )
    shown = [name for name in dict.fromkeys([TFT, told["best_baseline"], ORACLE]) if name in told["members"]]
    _skill_by_fold(axes[0, 0], folds, told)
    _skill_by_step(axes[0, 1], ahead, told)
    _coverage_by_fold(axes[1, 0], folds, shown)
    _coverage_by_step(axes[1, 1], ahead, shown, told["interval"])
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


def _skill_by_fold(axes: Axes, folds: pd.DataFrame, told: Mapping[str, Any]) -> None:
    """Bars of the TFT's skill against the best baseline and the random walk, and the oracle's as the mark to reach."""
    losses = relative_loss(folds, "fold")
    pooled = told["members"]
    places = np.arange(len(losses) + 1)
    baselines = list(dict.fromkeys([told["best_baseline"], RANDOM_WALK]))
    width = 0.7 / len(baselines)
    for position, baseline in enumerate(baselines):
        skill = [*(1 - losses[TFT] / losses[baseline]), pooled[TFT]["skill"][baseline]]
        at = places + (position - (len(baselines) - 1) / 2) * width
        style = member_line(baseline)
        heights = np.array(skill, dtype=np.float64)
        axes.bar(at, np.nan_to_num(heights), width * 0.92, color=style["color"], label=f"TFT over {style['label']}")
        for x, height in zip(at, heights, strict=True):
            _bar_label(axes, x, height)
    if ORACLE in pooled:
        best = [*(1 - losses[ORACLE] / losses[RANDOM_WALK]), pooled[ORACLE]["skill"][RANDOM_WALK]]
        style = member_line(ORACLE)
        axes.hlines(
            np.array(best, dtype=np.float64),
            places - 0.4,
            places + 0.4,
            color=style["color"],
            linestyle="--",
            label=f"{style['label']} over random walk",
        )
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xticks(places, [*(f"fold {name}" for name in losses.index), "all"])
    axes.set_title("Skill of the TFT by fold")
    axes.set_ylabel("1 − pinball loss ÷ baseline's")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.2)
    if not losses[TFT].notna().any():  # an axis needs some height, even without bars
        axes.set_ylim(-0.01, 0.01)
    legend_below(axes)


def _bar_label(axes: Axes, x: float, height: float) -> None:
    text = f"{100 * height:+.1f} %" if np.isfinite(height) else "n/a"
    below = np.isfinite(height) and height < 0
    axes.annotate(
        text,
        (x, height if np.isfinite(height) else 0),
        (0, -3 if below else 3),
        textcoords="offset points",
        ha="center",
        va="top" if below else "bottom",
        fontsize=8,
    )


def _skill_by_step(axes: Axes, ahead: pd.DataFrame, told: Mapping[str, Any]) -> None:
    """Every member's skill over the random walk; the legend gives it in all, also of those off the scale."""
    losses = relative_loss(ahead, "step")
    skills = (1 - losses.div(losses[RANDOM_WALK], axis=0)).drop(columns=RANDOM_WALK)
    members = [name for name in told["members"] if name in skills]
    lowest, bottom, top = shown_range(skills)
    for name in sorted(members, key=lambda name: name != TFT):
        pooled = told["members"][name]["skill"].get(RANDOM_WALK)
        style = member_line(name)
        style["label"] += " (no value)" if pooled is None else f" {100 * pooled:+.1f} %"
        if skills[name].max() < lowest:
            style["label"] += " (off the scale)"
        axes.plot(
            skills.index,
            skills[name],
            **style,
            marker="o" if len(skills) == 1 else None,
            zorder=3 if name == TFT else 2,
        )
    axes.axhline(0, **(member_line(RANDOM_WALK) | {"linewidth": 1.2}))
    if bottom < top:
        axes.set_ylim(bottom - 0.06 * (top - bottom), top + 0.06 * (top - bottom))
    axes.set_title("Skill over the random walk by step ahead")
    axes.set_ylabel("1 − pinball loss ÷ random walk's")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    _step_axis(axes, skills.index.max(), told["interval"])
    legend_below(axes)


def shown_range(skills: pd.DataFrame) -> tuple[float, float, float]:
    """Of skills [steps, members]: the lowest that is drawn, and the range of what is drawn, 0 within it.

    A far worse member would flatten the others; the TFT is always drawn.
    """
    best, model = np.nanmax(skills.to_numpy(), initial=0), np.nanmin(skills[TFT].to_numpy(), initial=0)
    lowest = min(-0.05, -2 * best, model)
    drawn = skills.loc[:, ~(skills.max() < lowest)].clip(lower=lowest).to_numpy()
    return lowest, np.nanmin(drawn, initial=0), best


def _coverage_by_fold(axes: Axes, folds: pd.DataFrame, shown: Sequence[str]) -> None:
    names = sorted(folds["fold"].unique())
    for position, name in enumerate(shown):
        own = folds[folds["member"] == name]
        at = np.arange(len(names)) + 0.14 * (position - (len(shown) - 1) / 2)
        style = member_line(name)
        for level in NOMINAL:
            values = weighted_mean(own, ["fold"], level).reindex(names)
            label = style["label"] if level == "coverage90" else None
            axes.plot(at, values, "o", color=style["color"], markersize=7, label=label)
    _nominal(axes)
    axes.set_xticks(range(len(names)), [f"fold {name}" for name in names])
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.set_title("Coverage of the intervals by fold")
    legend_below(axes)


def _coverage_by_step(axes: Axes, ahead: pd.DataFrame, shown: Sequence[str], interval: str) -> None:
    for name in reversed(shown):
        own = ahead[ahead["member"] == name]
        for level in NOMINAL:
            values = weighted_mean(own, ["step"], level)
            style = member_line(name) | ({} if level == "coverage90" else {"label": None})
            axes.plot(values.index, values, **style, marker="o" if len(values) == 1 else None)
    _nominal(axes)
    axes.set_title("Coverage of the intervals by step ahead")
    _step_axis(axes, ahead["step"].max(), interval)
    legend_below(axes)


def _nominal(axes: Axes) -> None:
    """The shares that the intervals promise, and the axis of shares."""
    for level in NOMINAL.values():
        axes.axhline(level, color=GREY, linewidth=1.2, linestyle=":", zorder=0.9)
        axes.annotate(
            f"{100 * level:.0f} %\nnominal",
            (1.01, level),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=GREY,
        )
    axes.set_ylim(0, 1.04)
    axes.set_ylabel("share of closes inside")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))


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
