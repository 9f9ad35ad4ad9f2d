"""Rule plot_backtest: wealth and drawdown of each strategy, weights, and the decisions over the test origins."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.files import read_csv, read_document
from common.job import job
from market.intervals import parse_time
from plotting.style import BLUE, GREY, VERMILLION, new_figure, save, time_positions, utc_axis
from reporting.strategies import LINES
from trading.documents import BUY, SELL, Backtest
from trading.strategies import FOLLOWED


def plot_backtest(png: str, pdf: str, result: str, equity: str, table: str, timefmt: str) -> None:
    """Draw the backtest of these files."""
    figure = backtest_figure(read_document(result, Backtest), read_csv(equity), read_csv(table), timefmt)
    save(figure, png, pdf)


def backtest_figure(result: Backtest, equity: pd.DataFrame, decisions: pd.DataFrame, timefmt: str) -> Figure:
    """Wealth, drawdown and stated probability of the decisions, one over the other."""
    subtitle = " ".join(result["verdicts"])
    size = (11.0, 9.6)
    title = f"Backtest of the policy {result['policy']}, {result['start'][:10]} to {result['end'][:10]}"
    figure, grid = new_figure(3, 1, size, title, subtitle, result["simulated"])
    times = time_positions([parse_time(time) for time in equity["time"]])
    wealth, drawdown, stated = grid[:, 0]
    for name, style in LINES.items():
        if name in equity:
            value = equity[name].to_numpy()
            wealth.plot(times, 100 * (value - 1), label=name, **style)
            drawdown.plot(times, -100 * (1 - value / np.maximum.accumulate(value)), **style)
    _mark_decisions(wealth, times, equity, decisions)
    wealth.set_title("Return of the wealth after costs, %")
    drawdown.set_title("Drawdown, %")
    _decided(stated, decisions, result["policy"])
    for axes in (wealth, drawdown, stated):
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.set_xlim(times[0], times[-1])
        utc_axis(axes, timefmt, inches=size[0] - 1)
        axes.set_xlabel("")
    stated.set_xlabel("time (UTC)")
    figure.legend(*wealth.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _mark_decisions(axes: Axes, times: np.ndarray, equity: pd.DataFrame, decisions: pd.DataFrame) -> None:
    """Where the policy bought or sold, on its line."""
    for action, marker in ((BUY, "^"), (SELL, "v")):
        at = time_positions([parse_time(time) for time in decisions.loc[decisions["action"] == action, "time"]])
        if len(at):
            value = np.interp(at, times, 100 * (equity[FOLLOWED].to_numpy() - 1))
            axes.plot(at, value, marker, color=VERMILLION, markersize=7, label=action, zorder=6)


def _decided(axes: Axes, decisions: pd.DataFrame, policy: str) -> None:
    """Of the policy trade what the best plan was expected to leave and left; of exposure the weights."""
    at = time_positions([parse_time(time) for time in decisions["time"]])
    if policy == "exposure":
        axes.set_title("Weight of the asset in the wealth")
        for symbol, rows in decisions.groupby("symbol"):
            axes.step(at[rows.index], rows["weight"], where="post", label=symbol)
        return
    axes.set_title("The best plan of each decision: expected return and what it left or would have left, %")
    axes.plot(at, decisions["return_pct"], "o", color=GREY, markersize=3, alpha=0.6, label="left, or would have")
    axes.plot(at, decisions["expected_return_pct"], "o", color=BLUE, markersize=3.5, label="expected")
    axes.legend(loc="upper left", ncols=2)


if __name__ == "__main__":
    with job() as snakemake:
        plot_backtest(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            result=snakemake.input.result,
            equity=snakemake.input.equity,
            table=snakemake.input.table,
            timefmt=snakemake.params.timefmt,
        )
