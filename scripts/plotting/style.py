"""What all figures share: colours, the fan chart of a forecast, axes in UTC, the mark of the simulated market, saving.

Colours are of Okabe and Ito's palette, told apart by the colour-blind: https://jfly.uni-koeln.de/color/
Figures are drawn without pyplot, so nothing opens a window and nothing is kept between them.
"""

import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from common.files import write_atomic
from forecasting.members import find_member

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"
INK = "#333333"
# as the registry of members names them
_COLORS = {"black": BLACK, "orange": ORANGE, "sky": SKY, "green": GREEN}
_COLORS |= {"blue": BLUE, "vermillion": VERMILLION, "purple": PURPLE, "grey": GREY}
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
}
matplotlib.rcdefaults()  # a user's own matplotlibrc would change the bytes
matplotlib.rcParams.update(_STYLE)


def member_line(name: str) -> dict[str, Any]:
    """Colour, line style and label of a member, as keywords for `Axes.plot`."""
    member = find_member(name)
    return {"color": _COLORS[member.color], "linestyle": member.linestyle, "label": member.label}


def member_color(name: str) -> str:
    """The colour of a member's curves, #RRGGBB."""
    return _COLORS[find_member(name).color]


def member_dash(name: str) -> str:
    """The line style of a member's curves, as plotly names it."""
    return {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}[find_member(name).linestyle]


def new_figure(
    rows: int, columns: int, size: tuple[float, float], title: str, subtitle: str, simulated: bool
) -> tuple[Figure, np.ndarray]:
    """A figure of `size` inches and its axes [rows, columns], under a title and the lines of `subtitle`, wrapped."""
    width, height = size
    lines = [part for line in subtitle.splitlines() for part in textwrap.wrap(line, width=int(width * 11.5))]
    head = 0.55 + 0.25 * len(lines)  # inches that title and lines take
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - head / height), w_pad=0.12, h_pad=0.08)
    figure = Figure(figsize=size, layout=layout)
    FigureCanvasAgg(figure)
    left, top = 0.15 / width, 1 - 0.14 / height
    figure.text(left, top, title, va="top", fontsize=13, weight="bold")
    figure.text(left, top - 0.3 / height, "\n".join(lines), va="top", fontsize=11, linespacing=1.4)
    if simulated:
        badge = {"boxstyle": "round,pad=0.4", "facecolor": ORANGE, "edgecolor": "none"}
        mark = figure.text(
            1 - left, top, "SIMULATED MARKET", ha="right", va="top", fontsize=9, weight="bold", bbox=badge
        )
        mark.set_color(BLACK)
    return figure, figure.subplots(rows, columns, squeeze=False)


def time_positions(ms: Any) -> Any:
    """Positions on a time axis of milliseconds since 1970, one or an array."""
    return date2num(np.asarray(ms, dtype="datetime64[ms]"))


def utc_axis(axes: Axes, timefmt: str, inches: float) -> None:
    """Write the times below `axes`, `inches` wide, by strftime's `timefmt`: UTC, as many as fit."""
    fit = int(inches * 12 / (len(datetime(2000, 12, 28, tzinfo=UTC).strftime(timefmt)) + 2))
    axes.xaxis.set_major_locator(AutoDateLocator(tz=UTC, minticks=2, maxticks=max(fit, 2)))
    axes.xaxis.set_major_formatter(DateFormatter(timefmt, tz=UTC))
    axes.set_xlabel("time (UTC)")


def fan(axes: Axes, times: np.ndarray, low90: Any, low50: Any, median: Any, high50: Any, high90: Any) -> None:
    """Draw a fan chart: nested 90 and 50 % prediction intervals and the median, each [times]."""
    axes.fill_between(times, low90, high90, color=SKY, alpha=0.28, linewidth=0, label="forecast, 90 % interval")
    axes.fill_between(times, low50, high50, color=SKY, alpha=0.55, linewidth=0, label="forecast, 50 % interval")
    axes.plot(times, median, color=BLUE, label="forecast, median")


def legend_below(axes: Axes, columns: int = 3) -> None:
    """A legend under the panel, where it hides nothing."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns)


def save(figure: Figure, png: str | Path, pdf: str | Path) -> None:
    """Write the figure in both formats, whole or not at all; the same figure gives the same bytes."""
    write_atomic(png, lambda partial: figure.savefig(partial, format="png", dpi=150, metadata={"Software": None}))
    figure.set_layout_engine("none")  # the PDF takes the places found for the PNG
    write_atomic(pdf, lambda partial: figure.savefig(partial, format="pdf", metadata={"CreationDate": None}))
