"""Figures of the evaluation: skill by member, coverage by step, outcomes among the quantiles."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from forecasting.documents import Evaluation
from forecasting.members import find_member
from plotting.style import GREY, member_color
from reporting.figures import INK, add_curve, empty_figure


def skill_figure(evaluation: Evaluation) -> go.Figure:
    """Every member's skill over the best baseline, in percent, with its 95 % confidence interval; the best on top."""
    members = evaluation["vs_best_baseline"]
    order = sorted(members, key=lambda name: members[name]["skill"])
    figure = empty_figure("better than the best baseline, % of its pinball loss", "", 120 + 28 * len(order))
    # a far worse member would flatten the others: its mark stands at the edge, its number beside it
    best = max(100 * members[name]["skill"] for name in order)
    lowest = min(-3.0, -2 * best)
    for name in order:
        skill, interval = 100 * members[name]["skill"], members[name]["confidence_interval"]
        off = skill < lowest
        low, high = (100 * end for end in interval) if interval and not off else (skill, skill)
        label = find_member(name).label
        figure.add_scatter(
            x=[lowest if off else skill],
            y=[label],
            error_x={"type": "data", "symmetric": False, "array": [high - skill], "arrayminus": [skill - low]},
            mode="markers+text" if off else "markers",
            marker={"size": 11, "color": member_color(name), "symbol": "triangle-left" if off else "circle"},
            text=[f"{skill:+.1f} %, off the scale"],
            textposition="middle right",
            name=label,
            showlegend=False,
            hovertemplate=f"{skill:+.2f} %" + ("" if not interval else f" (95 %: {low:+.2f} … {high:+.2f})"),
        )
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.update_layout(hovermode="closest", xaxis={"ticksuffix": " %"})
    return figure


def coverage_figure(steps: pd.DataFrame, members: Sequence[str]) -> go.Figure:
    """Coverage of the 50 and 90 % intervals by step ahead, in percent, of these members."""
    figure = empty_figure("steps ahead", "closes in the interval, %")
    for name in members:
        rows = steps[steps["member"] == name]
        for column, dash in (("coverage90", "solid"), ("coverage50", "dot")):
            known = rows[rows[column].notna()]
            weighted = (known[column] * known["origins"]).groupby(known["step"]).sum()
            share = 100 * weighted / known.groupby("step")["origins"].sum()
            label = f"{find_member(name).label}, {column[-2:]} %"
            add_curve(figure, share.index, share.round(2), label, {"color": member_color(name), "dash": dash})
    for nominal in (50, 90):
        figure.add_hline(y=nominal, line={"color": GREY, "dash": "dash", "width": 1}, annotation_text=f"{nominal} %")
    figure.update_yaxes(range=[0, 103])
    return figure


def pit_figure(evaluation: Evaluation, members: Sequence[str]) -> go.Figure:
    """How often outcomes fell between neighbouring quantiles, over how often they should: 1 is right."""
    figure = empty_figure("between the forecast's quantiles", "share ÷ nominal share", 320)
    levels = [f"{100 * level:g}" for level in evaluation["quantiles"]]
    ranges = [
        f"below {levels[0]}",
        *(f"{a}–{b}" for a, b in pairwise(levels)),
        f"above {levels[-1]}",
    ]
    for name in members:
        ratio = np.array(evaluation["pit"]["members"][name]) / np.array(evaluation["pit"]["nominal"])
        figure.add_bar(
            x=ranges, y=np.round(ratio, 3), name=find_member(name).label, marker={"color": member_color(name)}
        )
    figure.add_hline(y=1, line={"color": GREY, "dash": "dash", "width": 1})
    return figure
