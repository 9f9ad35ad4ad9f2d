"""The evaluation's second figure: coverage by state of the market, the width's economic value, direction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

from forecasting.documents import ConditionScores, Direction, Evaluation
from forecasting.members import ORACLE, display_name
from plotting.style import GREY, INK, legend_below, member_line, new_figure

STATES = {
    "low": "low\nvolatility",
    "medium": "medium\nvolatility",
    "high": "high\nvolatility",
    "no_jump": "no jump in\n100 bars",
    "after_jump": "jump in\n100 bars",
}
SIGNIFICANT = 0.05
# lowest R² that is drawn: a far worse one would flatten the others
LOWEST_R2 = -0.02


def detail_figure(evaluation: Evaluation, setting: str) -> Figure:
    """Four panels of evaluation.json. setting: a line on what was evaluated."""
    best = evaluation["best_baseline"]
    evaluated = evaluation["evaluated_model"] or best
    title = f"Evaluation of {display_name(evaluated)}: states of the market, economic value, direction"
    lines = f"{setting}\n{evaluation['verdict_direction']}"
    figure, axes = new_figure(2, 2, (13, 9.2), title, lines, evaluation["simulated"])
    shown = [name for name in dict.fromkeys([evaluated, best, ORACLE]) if name in evaluation["members"]]
    _coverage(axes[0, 0], evaluation, shown)
    _winkler(axes[0, 1], evaluation, shown)
    _utility(axes[1, 0], evaluation, evaluated)
    _direction(axes[1, 1], evaluation)
    return figure


def _coverage(axes: Axes, evaluation: Evaluation, shown: Sequence[str]) -> None:
    """Coverage less nominal in each state: of the 90 % interval filled, of the 50 % open."""
    for offset, name in _places(shown):
        at, style = np.arange(len(STATES)) + offset, _marks(name)
        axes.plot(at, _values(evaluation, name, "coverage90") - 0.9, **style)
        axes.plot(
            at, _values(evaluation, name, "coverage50") - 0.5, **style | {"label": None, "markerfacecolor": "none"}
        )
    axes.axhline(0, color=INK, linewidth=0.8, zorder=0.9)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.05), max(high, 0.05))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="", decimals=0))
    axes.set_ylabel("points; filled: 90 % interval, open: 50 %")
    axes.set_title("Coverage less nominal, by state at the origin")
    _state_axis(axes, evaluation, shown[0])


def _winkler(axes: Axes, evaluation: Evaluation, shown: Sequence[str]) -> None:
    """The Winkler score of the 90 % interval in each state, over the random walk's there."""
    for offset, name in _places(shown):
        axes.plot(np.arange(len(STATES)) + offset, _values(evaluation, name, "winkler90"), **_marks(name))
    axes.axhline(1, color=GREY, linewidth=1.2, linestyle=":", zorder=0.9)
    axes.set_ylabel("score ÷ random walk's (less is better)")
    axes.set_title("Winkler score of the 90 % interval")
    _state_axis(axes, evaluation, shown[0])


def _utility(axes: Axes, evaluation: Evaluation, evaluated: str) -> None:
    """Every member's gain in utility over the best baseline with its confidence interval; best on top."""
    values = {name: value for name, value in evaluation["economic_value"].items() if value["gain"] is not None}
    gains = {name: value["gain"] or 0.0 for name, value in values.items()}
    order = sorted(gains, key=lambda name: gains[name])
    top = max(gains.values(), default=0)
    lowest = min(-0.001, -2 * top, gains.get(evaluated, 0.0) - 0.0002)
    for place, name in enumerate(order):
        color, interval = member_line(name)["color"], values[name]["confidence_interval"]
        if gains[name] < lowest:
            axes.annotate("◂ off the scale", (0.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)
            continue
        if interval is not None:
            axes.plot(interval, [place, place], color=color, linewidth=2.4)
        axes.plot(gains[name], place, "o", color=color, markersize=8, zorder=3)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    labels = [f"{member_line(name)['label']}  {100 * (values[name]['utility'] or 0):.2f} %" for name in order]
    axes.set_yticks(range(len(order)), labels)
    axes.set_ylim(-0.6, max(len(order), 1) - 0.4)
    right = max([top, *(max(value["confidence_interval"] or [0]) for value in values.values())])
    margin = 0.06 * (right - lowest)
    axes.set_xlim(lowest - margin, right + margin)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=2, symbol=" %"))
    axes.grid(axis="y", visible=False)
    axes.set_title("Economic value of the width: utility in % of wealth a year")
    axes.set_xlabel(f"utility less that of {evaluation['best_baseline']}; line: 95 % CI")


def _direction(axes: Axes, evaluation: Evaluation) -> None:
    """R² of the medians that are not always no change, by step; filled where the hit rate is significant."""
    drawn = {name: figures for name, figures in evaluation["direction"].items() if figures}
    drawn = {name: figures for name, figures in drawn.items() if max(_r2(figures)) > LOWEST_R2}
    steps = [figure["step"] for figures in drawn.values() for figure in figures]
    for name, figures in drawn.items():
        style, r2 = member_line(name), _r2(figures)
        at = [figure["step"] for figure in figures]
        axes.plot(at, r2, **style)
        for step, value, figure in zip(at, r2, figures, strict=True):
            significant = figure["p"] is not None and figure["p"] < SIGNIFICANT
            axes.plot(
                step, value, "o", color=style["color"], markerfacecolor=style["color"] if significant else "white"
            )
    axes.axhline(0, color=INK, linewidth=0.8, zorder=1)
    lowest, highest = axes.get_ylim()
    axes.set_ylim(max(lowest, LOWEST_R2), max(highest, 0.002))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1, symbol=" %"))
    axes.set_title("Direction: R² of the median against no change")
    axes.set_ylabel("1 − squared error ÷ that of no change")
    axes.set_xlabel(f"steps ahead ({evaluation['interval']} bars); filled: hit rate significant (p < {SIGNIFICANT:g})")
    if drawn:
        axes.xaxis.set_major_locator(FixedLocator(sorted(set(steps))))
        legend_below(axes)
    else:
        axes.set_xticks([])
        axes.text(0.5, 0.6, "no member forecasts direction", transform=axes.transAxes, ha="center", color=GREY)


def _r2(figures: Sequence[Direction]) -> list[float]:
    return [np.nan if figure["r2"] is None else figure["r2"] for figure in figures]


def _places(shown: Sequence[str]) -> list[tuple[float, str]]:
    """Members with how far beside a state's tick they are drawn."""
    return [(0.16 * (place - (len(shown) - 1) / 2), name) for place, name in enumerate(shown)]


def _marks(name: str) -> dict[str, Any]:
    style = member_line(name)
    return {"color": style["color"], "label": style["label"], "marker": "o", "markersize": 7, "linestyle": ""}


def _values(evaluation: Evaluation, name: str, key: str) -> np.ndarray:
    """A member's score [states]; NaN where it has none."""
    states: dict[str, ConditionScores] = evaluation["by_condition"][name]
    found = [dict(states[state])[key] for state in STATES]
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def _state_axis(axes: Axes, evaluation: Evaluation, name: str) -> None:
    counts = [evaluation["by_condition"][name][state]["origins"] for state in STATES]
    labels = [f"{label}\n{count} origins" for label, count in zip(STATES.values(), counts, strict=True)]
    axes.set_xticks(range(len(STATES)), labels)
    axes.set_xlim(-0.5, len(STATES) - 0.5)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
