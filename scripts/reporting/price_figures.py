"""Figures of prices: fans, closes, sample paths, probabilities of touching."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from forecasting.paths.distribution import PathDistribution
from plotting.style import BLUE, ORANGE, SKY, VERMILLION
from reporting.figures import INK, add_band, add_curve, empty_figure, extremes, times_of

DRAWN = 40  # paths of a fan


@dataclass(frozen=True)
class Fan:
    """A forecast in prices: times [steps + 1] from its moment on (ms), and quantiles [steps + 1] by level."""

    times: np.ndarray
    quantiles: Mapping[float, np.ndarray]


def fan_figure(fan: Fan, earlier: Sequence[Fan], past: pd.Series, realised: pd.Series) -> go.Figure:
    """A forecast, the 90 % intervals of earlier ones, and closes before and after by time (ms)."""
    figure = empty_figure("", "price", 340)
    for place, one in enumerate(earlier):
        hue = "rgba(230,159,0,0.3)"
        add_band(figure, one.times, one.quantiles[0.05], one.quantiles[0.95], hue, "earlier 90 % intervals", not place)
    times, quantiles = fan.times, fan.quantiles
    low, high = quantiles[0.05], quantiles[0.95]
    add_band(figure, times, low, high, "rgba(86,180,233,0.25)", "90 % interval")
    add_band(figure, times, quantiles[0.25], quantiles[0.75], "rgba(86,180,233,0.45)", "50 % interval")
    at = times_of(times)
    hover = "%{y:,.7g}"
    for level, name in ((0.95, "95 %"), (0.75, "75 %"), (0.25, "25 %"), (0.05, "5 %")):
        line = {"width": 0, "color": SKY}
        add_curve(figure, at, quantiles[level], name, line, showlegend=False, hovertemplate=hover)
    add_curve(figure, at, quantiles[0.5], "median", {"color": BLUE, "width": 2}, hovertemplate=hover)
    add_curve(figure, times_of(past.index), past, "close before", {"color": INK, "width": 1.5}, hovertemplate=hover)
    add_curve(figure, times_of(realised.index), realised, "realised", {"color": VERMILLION}, hovertemplate=hover)
    return figure


def history_figure(closes: Mapping[str, pd.DataFrame], spans: Sequence[tuple[str, str]]) -> go.Figure:
    """Closes of each symbol, 100 at first; spans: from, to of the folds' test spans (UTC)."""
    figure = empty_figure("time (UTC)", "close, 100 at the start")
    for symbol, frame in closes.items():
        values = 100 * frame["close"].to_numpy() / frame["close"].iloc[0]
        places = extremes(values)
        times = times_of(frame["timestamp"])[places]
        add_curve(figure, times, np.round(values[places], 3), symbol, {"width": 1.3})
    for place, (start, end) in enumerate(spans):
        figure.add_vrect(
            x0=start, x1=end, fillcolor=ORANGE if place % 2 else SKY, opacity=0.16, line_width=0, layer="below"
        )
    return figure


def touching_figure(live: PathDistribution) -> go.Figure:
    """The probability that a close touches a price change within a quarter, half and all of the horizon, in percent."""
    horizon = live.paths.shape[0]
    reach = float(np.quantile(np.abs(live.paths).max(axis=0), 0.995)) or 1e-6
    levels = np.linspace(-reach, reach, 121)
    figure = empty_figure("price change, %", "probability that a close touches it, %")
    steps = sorted({max(1, horizon // 4), max(1, horizon // 2), horizon})
    for step, color in zip(steps, [ORANGE, BLUE, VERMILLION][-len(steps) :], strict=True):
        touched = 100 * PathDistribution(live.paths[None]).probability_of_touching(levels, step)
        changes = np.round(100 * np.expm1(levels), 4)
        add_curve(figure, changes, np.round(touched, 1), f"within {step} bars", {"color": color})
    return figure


def paths_figure(live: PathDistribution, close: float, times: np.ndarray) -> go.Figure:
    """Some of the sample paths, in prices; times [steps + 1] from the forecast's moment (ms)."""
    figure = empty_figure("time (UTC)", "price")
    prices = close * np.exp(np.concatenate([np.zeros((1, live.paths.shape[1])), live.paths]))
    at = times_of(times)
    for path in prices[:, :DRAWN].T:
        line = {"color": SKY, "width": 0.8}
        add_curve(figure, at, np.round(path, 6), "path", line, opacity=0.55, showlegend=False, hoverinfo="skip")
    add_curve(figure, at, np.median(prices, axis=1), "median of all paths", {"color": VERMILLION})
    return figure
