"""Rule plot_consensus: the decision on its candles, with its forecast, its plan and the realised closes; and what would
be decided at other commissions."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.files import file_of, read_csv, read_document
from common.job import job
from market.candles import read_candles
from market.intervals import MINUTE, parse_time, step_ms
from plotting.breakeven import Sheet, breakeven_figure
from plotting.style import (
    BLACK,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    fan,
    new_figure,
    save,
    time_positions,
    utc_axis,
)
from trading.documents import BUY, HOLD, SELL, Audit, PlanFigures, Trade, exposure_of
from trading.policies import policy_of
from trading.settlement import closes_from, describe_result


def plot_consensus(
    png: str,
    pdf: str,
    trade: str,
    audit: str,
    path: str,
    candles: Sequence[str],
    realised: Sequence[str],
    interval: str,
    timefmt: str,
    pad_minutes: int,
    breakeven_png: str,
    breakeven_pdf: str,
) -> None:
    """Draw a decision, its audit and its forecast; and what would be decided at other commissions.

    candles, realised: a file a symbol, the decision's among them. candles are history, of which the `pad_minutes`
    minutes before the entry are shown, rounded up to whole bars.
    """
    decided = read_document(trade, Trade)
    symbol = decided["config"]["symbol"]
    figure = consensus_figure(
        decided,
        read_document(audit, Audit),
        read_csv(path),
        read_candles(file_of(candles, symbol), interval),
        read_candles(file_of(realised, symbol), interval),
        pad_minutes,
        timefmt,
    )
    save(figure, png, pdf)
    save(cost_figure(decided), breakeven_png, breakeven_pdf)


def cost_figure(trade: Trade) -> Figure:
    """What would be decided at other commissions."""
    decision, config, sheet = trade["decision"], trade["config"], trade["breakeven"]["sheet"]
    title = f"Breakeven of {config['symbol']} at {decision['entry_time']}: {decision['action']}"
    subtitle = policy_of(config["policy"]).told(trade)[1]
    flip = trade["breakeven"]["commission_pct"]
    if sheet["weight"] is not None:
        held = exposure_of(trade)["held"]
        marked = {"held before": held, "target": exposure_of(trade)["target"]}
        name, values = "weight after the move", sheet["weight"]
        never = -math.inf if values[0] == held else math.inf
    else:
        marked = {"min_edge_pct": config["min_edge_pct"], "no profit": 0.0}
        name, values, never = "expected return of the best exit, %", sheet["expected_return_pct"] or [], -math.inf
    upto = never if flip is None else flip
    drawn = Sheet(sheet["commission_pct"], name, values, marked, config["commission_pct"], upto)
    return breakeven_figure(drawn, title, subtitle[0].upper() + subtitle[1:] + ".", trade["simulated"])


def consensus_figure(
    trade: Trade,
    audit: Audit,
    forecast: pd.DataFrame,
    history: pd.DataFrame,
    realised: pd.DataFrame,
    pad_minutes: int,
    timefmt: str,
) -> Figure:
    """The decision. forecast: prices, as forecast_path.csv; history, realised: candles before and after the entry, of
    the former `pad_minutes` minutes shown."""
    decision, config = trade["decision"], trade["config"]
    entry, bar_ms = parse_time(decision["entry_time"]), step_ms(config["interval"])
    title = f"Consensus on {config['symbol']} at {decision['entry_time']}: {decision['action']}"
    subtitle = f"{decision['reason']}\n{describe_result(audit)}"
    figure, grid = new_figure(1, 1, (11, 6.6), title, subtitle, trade["simulated"])
    axes = grid[0, 0]
    draw_history(axes, history, entry, bar_ms, pad_minutes)
    _forecast(axes, forecast, realised, decision["entry_price"], entry, bar_ms)
    if trade["plan"]:
        _plan(axes, trade, trade["plan"], audit)
    else:
        _weight(axes, trade, audit)
    utc_axis(axes, timefmt, inches=10)
    axes.set_ylabel(f"price, {config['interval']} closes (quote currency)")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def draw_history(axes: Axes, candles: pd.DataFrame, entry: int, bar_ms: int, minutes: int) -> None:
    """Draw the closes from `minutes` before the entry, rounded up to whole bars, to the entry itself.

    entry, bar_ms: in ms.
    """
    bars = math.ceil(minutes * MINUTE / bar_ms)
    closes = closes_from(candles, entry - (bars + 1) * bar_ms, bar_ms, bars + 1)
    axes.plot(time_positions(entry + bar_ms * np.arange(-bars, 1)), closes, color=BLACK, label="close before entry")
    axes.axvline(time_positions(entry), color=GREY, linestyle="--", linewidth=1)


def _forecast(
    axes: Axes, forecast: pd.DataFrame, realised: pd.DataFrame, price: float, entry: int, bar_ms: int
) -> None:
    """The fan chart from the entry, and the realised closes."""
    count = len(forecast)
    times = time_positions(entry + bar_ms * np.arange(count + 1))
    columns = ("q0.05", "q0.25", "price_fc", "q0.75", "q0.95")
    fan(axes, times, *(np.concatenate([[price], forecast[column]]) for column in columns))
    closes = np.concatenate([[price], closes_from(realised, entry, bar_ms, count)])
    label = "realised close" if np.isfinite(closes[1:]).any() else "realised close (none yet)"
    axes.plot(times, closes, color=VERMILLION, label=label)


def _breakeven(axes: Axes, trade: Trade, label: str) -> None:
    """The price at which the costs are earned, where anything is held."""
    price = trade["breakeven"]["price"]
    if price is not None:
        ends = [_position(trade["decision"]["entry_time"]), _position(trade["forecast"]["times"][-1])]
        axes.plot(ends, [price] * 2, color=ORANGE, linestyle="-.", label=f"{label}, {price:,.6g}")


def _weight(axes: Axes, trade: Trade, audit: Audit) -> None:
    """Breakeven, the move of the weight, and where it was marked; a hollow marker where nothing is traded."""
    decision, exposure, held = trade["decision"], exposure_of(trade), audit["exposure"]
    _breakeven(axes, trade, "price that earns the cost of the move")
    moved = decision["action"] != HOLD
    marker = "v" if decision["action"] == SELL else "^"
    label = f"{decision['action']}: weight {exposure['held']:.3f} to {exposure['weight']:.3f}"
    price = decision["entry_price"]
    _mark(axes, _position(decision["entry_time"]), price, marker, moved, f"{label}, close {price:,.6g}")
    if held:
        _mark(axes, _position(held["marked_at"]), held["mark_price"], "D", False, f"marked, {held['mark_price']:,.6g}")


def _plan(axes: Axes, trade: Trade, plan: PlanFigures, audit: Audit) -> None:
    """Breakeven, entry, the best plan and the sale that was or would have been; hollow markers where not executed."""
    decision = trade["decision"]
    bought = decision["action"] == BUY
    suffix = "" if bought else ", not executed"
    entry, target = _position(decision["entry_time"]), _position(decision["target_time"])
    _breakeven(axes, trade, "breakeven after costs")
    price = decision["entry_price"]
    _mark(axes, entry, price, "^", bought, f"entry{suffix}, close {price:,.6g}")
    price = decision["target_price"]
    _mark(axes, target, price, "D", False, f"best plan's sale{suffix}, median {price:,.6g}")
    _levels(axes, plan, entry, target)
    median = trade["breakeven"]["median_return_pct"]
    if not bought and median is not None:
        needed = decision["entry_price"] * (1 + median / 100)
        axes.plot(
            [target],
            [needed],
            "_",
            color=PURPLE,
            markersize=16,
            markeredgewidth=2.5,
            zorder=5,
            label=f"median that a BUY needs, {needed:,.6g}",
        )
    sale = audit if bought else audit["missed"]
    if sale and sale["sell_time"] and sale["sell_fill"]:
        label = "sold" if bought else "would have sold"
        fill = sale["sell_fill"]
        _mark(axes, _position(sale["sell_time"]), fill, "v", bought, f"{label}, fill {fill:,.6g}")


def _levels(axes: Axes, plan: PlanFigures, entry: float, target: float) -> None:
    """The plan's take-profit and stop, as far as it lasts."""
    levels = {"take-profit": plan["take_profit_price"], "stop": plan["stop_price"]}
    for name, level in levels.items():
        if level is not None:
            axes.plot([entry, target], [level] * 2, color=GREEN, linestyle=":", label=f"{name}, {level:,.6g}")


def _mark(axes: Axes, time: float, price: float, marker: str, done: bool, label: str) -> None:
    face = GREEN if done else "white"
    axes.plot(
        [time],
        [price],
        marker,
        color=GREEN,
        markerfacecolor=face,
        markersize=10,
        markeredgewidth=1.8,
        label=label,
        zorder=5,
    )


def _position(text: str) -> float:
    return time_positions(parse_time(text))


if __name__ == "__main__":
    with job() as snakemake:
        plot_consensus(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            trade=snakemake.input.trade,
            audit=snakemake.input.audit,
            path=snakemake.input.path,
            candles=list(snakemake.input.candles),
            realised=list(snakemake.input.realised),
            interval=snakemake.params.interval,
            timefmt=snakemake.params.timefmt,
            pad_minutes=snakemake.params.pad_minutes,
            breakeven_png=snakemake.output.breakeven_png,
            breakeven_pdf=snakemake.output.breakeven_pdf,
        )
