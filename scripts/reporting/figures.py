"""What the report's interactive figures share: they are functions of frames that return a Figure of plotly.

The page sets what depends on its theme: the fonts, the grid, and INK, which stands for the colour of text.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from plotting.style import BLACK

INK = BLACK
# points of a curve
MOST = 1200


def empty_figure(x: str, y: str, height: int = 380) -> go.Figure:
    """A figure without curves, its axes named; the legend lies below."""
    axis = {"automargin": True, "zeroline": False}
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
            "xaxis": {"title": {"text": x}} | axis,
            "yaxis": {"title": {"text": y}} | axis,
            "hovermode": "x unified",
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1, "x": 0},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
        }
    )


def add_curve(figure: go.Figure, x: Any, y: Any, name: str, line: Mapping[str, Any], **more: Any) -> None:
    """Add a curve; a single point gets a mark, as a line through it has no length."""
    figure.add_scatter(x=x, y=y, name=name, line=line, **({"mode": "lines" if len(x) > 1 else "markers"} | more))


def add_band(
    figure: go.Figure, times: np.ndarray, low: np.ndarray, high: np.ndarray, color: str, name: str, legend: bool = True
) -> None:
    """Fill what lies between two curves [n] over times (ms)."""
    at, edge = times_of(np.concatenate([times, times[::-1]])), np.concatenate([high, low[::-1]])
    band = {"mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": color, "hoverinfo": "skip"}
    figure.add_scatter(x=at, y=edge, name=name, showlegend=legend, legendgroup=name, **band)


def times_of(ms: Any) -> np.ndarray:
    """Milliseconds since 1970 as plotly has times, in UTC."""
    return np.asarray(ms, dtype="datetime64[ms]")


def extremes(values: np.ndarray, most: int = MOST) -> np.ndarray:
    """Places of at most so many values [n] by which a curve looks as it does by all: the lowest and the highest of each
    of equal stretches, and both ends."""
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), most // 2).astype(int)
    stretches = [range(a, b) for a, b in pairwise(edges) if b > a]
    places = {a.start + int(np.argmin(values[a.start : a.stop])) for a in stretches}
    places |= {a.start + int(np.argmax(values[a.start : a.stop])) for a in stretches}
    return np.array(sorted(places | {0, len(values) - 1}))
