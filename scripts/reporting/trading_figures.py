"""Figures of trading and of the run itself: wealth, the ledger, seconds of the rules."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from plotting.style import BLUE, VERMILLION
from reporting.figures import INK, add_curve, empty_figure, extremes
from trading.documents import BUY, SELL


def equity_figure(equity: pd.DataFrame, decisions: pd.DataFrame | None, followed: str, lines: Mapping[str, Any]) -> Any:
    """Return of the wealth of each strategy, in percent, with the moves of the one `followed` marked. lines: names of
    strategies and matplotlib's styles of them."""
    figure = empty_figure("time (UTC)", "return of the wealth after costs, %", 430)
    dashes = {"--": "dash", "-.": "dashdot", ":": "dot"}
    for name, style in lines.items():
        if name in equity:
            value = 100 * (equity[name].to_numpy() - 1)
            places = extremes(value)
            line = {"color": style["color"], "dash": dashes.get(style.get("linestyle", ""), "solid")}
            line |= {"width": style.get("linewidth", 1.5)}
            add_curve(figure, equity["time"].to_numpy()[places], np.round(value[places], 4), name, line)
    for action, symbol in ((BUY, "triangle-up"), (SELL, "triangle-down")):
        moved = decisions[decisions["action"] == action] if decisions is not None else None
        if moved is not None and len(moved):
            value = equity.set_index("time")[followed].reindex(moved["time"]).to_numpy()
            figure.add_scatter(
                x=moved["time"],
                y=100 * (value - 1),
                name=action,
                mode="markers",
                marker={"symbol": symbol, "size": 11, "color": VERMILLION, "line": {"width": 1, "color": INK}},
                text=moved["symbol"],
                hovertemplate="%{text} %{y:.3f} %",
            )
    return figure


def ledger_figure(ledger: pd.DataFrame) -> go.Figure:
    """What the ledger's decisions earned, added up, in percent of the cash, with those that traded marked."""
    rows = ledger[ledger["return_pct"].notna()].sort_values("as_of", kind="stable")
    total = rows["return_pct"].cumsum()
    traded = (rows["action"] != "HOLD").to_numpy()
    figure = empty_figure("decision (UTC)", "sum of returns after costs, %")
    add_curve(figure, rows["as_of"], total.round(4), "decisions", {"color": VERMILLION, "shape": "hv"})
    figure.add_scatter(
        x=rows["as_of"][traded],
        y=total[traded].round(4),
        name="traded",
        mode="markers",
        marker={"size": 10, "color": BLUE},
        text=rows["action"][traded] + " " + rows["symbol"][traded],
        hovertemplate="%{text} %{y:.3f} %",
    )
    return figure


def times_figure(seconds: pd.Series) -> go.Figure:
    """Seconds of all jobs of each rule, the longest on top."""
    order = seconds.sort_values()
    figure = empty_figure("seconds, all jobs of the rule", "", 100 + 22 * len(order))
    figure.add_bar(x=order.round(1), y=order.index, orientation="h", marker={"color": BLUE}, showlegend=False)
    figure.update_layout(hovermode="closest")
    return figure
