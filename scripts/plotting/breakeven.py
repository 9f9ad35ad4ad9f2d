"""The breakeven figure: what would be decided at other commissions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from plotting.style import BLACK, BLUE, GREEN, GREY, VERMILLION, legend_below, new_figure


@dataclass(frozen=True)
class Sheet:
    """A figure that is decided by, at commissions in percent a side: its name and values; marked: levels of it, by
    their labels; now: the present commission; upto: the largest one of a trade, infinite where there always is one."""

    commission_pct: Sequence[float]
    name: str
    values: Sequence[float]
    marked: Mapping[str, float]
    now: float
    upto: float


def breakeven_figure(sheet: Sheet, title: str, subtitle: str, simulated: bool) -> Figure:
    """The figure decided by over a range of commissions, the present one, and where the decision flips."""
    figure, grid = new_figure(1, 1, (9, 5.2), title, subtitle, simulated)
    axes = grid[0, 0]
    axes.plot(sheet.commission_pct, sheet.values, color=BLUE, label=sheet.name)
    for place, (label, value) in enumerate(sheet.marked.items()):
        axes.axhline(value, color=GREY, linestyle=("--", ":")[place % 2], linewidth=1.2, label=f"{label}, {value:.4g}")
    axes.axvline(sheet.now, color=BLACK, linewidth=1.2, label=f"commission now, {sheet.now:g} % a side")
    last = sheet.commission_pct[-1]
    if 0 <= sheet.upto <= last:
        label = f"the decision flips, {sheet.upto:.3g} % a side"
        axes.axvline(sheet.upto, color=VERMILLION, linestyle="-.", label=label)
    if sheet.upto > 0:
        axes.axvspan(0, min(sheet.upto, last), color=GREEN, alpha=0.12, linewidth=0, label="a trade")
    axes.set_xlim(0, last)
    axes.set_xlabel("commission, % a side")
    axes.set_ylabel(sheet.name)
    legend_below(axes, columns=2)
    return figure
