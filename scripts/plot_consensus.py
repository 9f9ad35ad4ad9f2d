"""Rule plot_consensus: the decision on its candles, with its forecast, its plan and what came."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from common.files import read_csv, read_json
from common.job import job
from market.candles import read_candles
from market.intervals import MINUTE, parse_time, step_ms
from plotting.style import BLACK, GREEN, GREY, ORANGE, VERMILLION, fan, moments, new_figure, save, utc_axis
from trading.decision import BUY
from trading.settlement import closes_from, result

FEWEST = 10  # bars of history drawn, however small the padding


def plot_consensus(
    png: str,
    pdf: str,
    trade: str,
    audit: str,
    path: str,
    candles: str,
    realised: str,
    interval: str,
    timefmt: str,
    pad_minutes: int,
) -> None:
    """Draw a decision, its audit and its forecast; candles: history, `pad_minutes` minutes of which are shown."""
    decided, audited, forecast = read_json(trade), read_json(audit), read_csv(path)
    known, came = read_candles(candles, interval), read_candles(realised, interval)
    decision, step = decided["decision"], step_ms(interval)
    title = f"Consensus on {decided['config']['symbol']} at {decision['entry_time']}: {decision['action']}"
    figure, grid = new_figure(
        1, 1, (11, 6.6), title, f"{decision['reason']}\n{result(audited)}", bool(decided["simulated"])
    )
    axes = grid[0, 0]
    entry = parse_time(decision["entry_time"])
    _history(axes, known, entry, step, max(pad_minutes * MINUTE // step, FEWEST))
    _forecast(axes, forecast, came, decision["entry_price"], entry, step)
    _plan(axes, decided, audited)
    utc_axis(axes, timefmt, inches=10)
    axes.set_ylabel(f"price, {interval} closes (quote currency)")
    figure.legend(loc="outside lower center", ncols=3)
    save(figure, png, pdf)


def _history(axes: Axes, known: pd.DataFrame, entry: int, step: int, count: int) -> None:
    closes = closes_from(known, entry - count * step, step, count)
    axes.plot(moments(entry + step * np.arange(1 - count, 1)), closes, color=BLACK, label="close, known at the entry")
    axes.axvline(moments(entry), color=GREY, linestyle="--", linewidth=1)


def _forecast(axes: Axes, forecast: pd.DataFrame, came: pd.DataFrame, price: float, entry: int, step: int) -> None:
    """The fan from the entry, and the closes that came."""
    count = len(forecast)
    times = moments(entry + step * np.arange(count + 1))
    columns = ("q0.05", "q0.25", "price_fc", "q0.75", "q0.95")
    fan(axes, times, *(np.concatenate([[price], forecast[column]]) for column in columns))
    actual = np.concatenate([[price], closes_from(came, entry, step, count)])
    label = "close, what came" if np.isfinite(actual[1:]).any() else "close, what came (nothing yet)"
    axes.plot(times, actual, color=VERMILLION, label=label)


def _plan(axes: Axes, decided: Mapping[str, Any], audited: Mapping[str, Any]) -> None:
    """Breakeven, entry, planned sale and the sale that was or would have been; hollow where not done."""
    decision, breakeven = decided["decision"], decided["breakeven"]["price"]
    bought = decision["action"] == BUY
    spare = "" if bought else ", not taken"
    entry, target = _moment(decision["entry_time"]), _moment(decision["target_time"])
    end = _moment(decided["forecast"]["times"][-1])
    axes.plot(
        [entry, end], [breakeven] * 2, color=ORANGE, linestyle="-.", label=f"breakeven after costs, {breakeven:,.6g}"
    )
    price = decision["entry_price"]
    _mark(axes, entry, price, "^", bought, f"entry{spare}, close {price:,.6g}")
    price = decision["target_price"]
    _mark(axes, target, price, "D", False, f"planned sale{spare}, {price:,.6g}")
    sale = audited if bought else audited["missed"]
    if sale and sale["sell_time"]:
        label = "sold" if bought else "would have sold"
        fill = sale["sell_fill"]
        _mark(axes, _moment(sale["sell_time"]), fill, "v", bought, f"{label}, fill {fill:,.6g}")


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


def _moment(text: str) -> float:
    return moments(parse_time(text))


if __name__ == "__main__":
    with job() as snakemake:
        plot_consensus(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            trade=snakemake.input.trade,
            audit=snakemake.input.audit,
            path=snakemake.input.path,
            candles=snakemake.input.candles,
            realised=snakemake.input.realised,
            interval=snakemake.params.interval,
            timefmt=snakemake.params.timefmt,
            pad_minutes=snakemake.params.pad_minutes,
        )
