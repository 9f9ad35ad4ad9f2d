"""Rule plot_forecast: history, the ensemble forecast and the realised closes, a panel a symbol."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.files import read_json, read_parquet
from common.job import job
from market.candles import read_candles
from market.intervals import iso, step_ms
from plotting.style import BLACK, GREY, VERMILLION, fan, new_figure, save, time_positions, utc_axis
from trading.settlement import closes_from

MOST = 6  # panels that a page holds

History = tuple[pd.DataFrame, pd.DataFrame]


def plot_forecast(
    png: str,
    pdf: str,
    forecasts: str,
    candles: Sequence[str],
    realised: Sequence[str],
    cutoff: str,
    symbols: Sequence[str],
    interval: str,
    timefmt: str,
) -> None:
    """Draw the live forecasts of a member, of the first six of `symbols` (slugs), in their order.

    forecasts: the member's live file. candles and realised: a file a symbol, named by its slug; realised may hold few
    bars or none. History is drawn for twice the horizon.
    """
    before = {Path(file).stem: file for file in candles}
    after = {Path(file).stem: file for file in realised}
    shown = {
        symbol: (read_candles(before[symbol], interval), read_candles(after[symbol], interval))
        for symbol in symbols[:MOST]
    }
    figure = forecast_figure(read_parquet(forecasts), shown, read_json(cutoff), interval, timefmt, len(symbols))
    save(figure, png, pdf)


def forecast_figure(
    forecasts: pd.DataFrame,
    candles: Mapping[str, History],
    cutoff: Mapping[str, Any],
    interval: str,
    timefmt: str,
    symbols: int,
) -> Figure:
    """A panel a symbol of `candles`, those before the cutoff and after it; `symbols` are forecast in all."""
    columns = 1 if len(candles) == 1 else 2 if len(candles) <= 4 else 3
    rows = -(-len(candles) // columns)
    forecasts = forecasts[forecasts["origin"] == forecasts["origin"].max()]
    horizon = int(forecasts["step"].max())
    subtitle = f"Made at {iso(cutoff['as_of'])} from {interval} candles ({cutoff['exchange']}), {horizon} steps ahead."
    if symbols > len(candles):
        subtitle += f" The first {len(candles)} of {symbols} symbols."
    size = (5.5 * max(columns, 2), 3.7 * rows + 1.3)
    title = "Ensemble forecast and realised closes"
    figure, grid = new_figure(rows, columns, size, title, subtitle, bool(cutoff["simulated"]))
    for axes, (symbol, (history, realised)) in zip(grid.flat, candles.items(), strict=False):
        forecast = forecasts[forecasts["symbol"] == symbol]
        _panel(axes, forecast, history, realised, cutoff["as_of"], step_ms(interval))
        axes.set_title(symbol)
        utc_axis(axes, timefmt, inches=size[0] / columns - 1)
    for axes in grid.flat[len(candles) :]:
        axes.set_visible(False)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def _panel(
    axes: Axes, forecast: pd.DataFrame, history: pd.DataFrame, realised: pd.DataFrame, as_of: int, bar_ms: int
) -> None:
    """One symbol: history up to `as_of`, the fan chart from there, the realised closes."""
    horizon = len(forecast)
    past = closes_from(history, as_of - 2 * horizon * bar_ms, bar_ms, 2 * horizon)
    close = past[-1]
    axes.plot(
        time_positions(as_of + bar_ms * np.arange(1 - 2 * horizon, 1)), past, color=BLACK, label="close before forecast"
    )
    times = time_positions(as_of + bar_ms * np.arange(horizon + 1))
    columns = ("q0.05", "q0.25", "q0.5", "q0.75", "q0.95")
    fan(axes, times, *(close * np.exp(np.concatenate([[0.0], forecast[column]])) for column in columns))
    closes = np.concatenate([[close], closes_from(realised, as_of, bar_ms, horizon)])
    label = "realised close" if len(realised) else "realised close (none yet)"
    axes.plot(times, closes, color=VERMILLION, label=label)
    axes.axvline(time_positions(as_of), color=GREY, linestyle="--", linewidth=1, label="time of the forecast")
    axes.set_ylabel("price (quote currency)")


if __name__ == "__main__":
    with job() as snakemake:
        plot_forecast(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            forecasts=snakemake.input.forecasts,
            candles=list(snakemake.input.candles),
            realised=list(snakemake.input.realised),
            cutoff=snakemake.input.cutoff,
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
            timefmt=snakemake.params.timefmt,
        )
