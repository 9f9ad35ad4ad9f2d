"""Rule plot_forecast: what was known, the ensemble forecast, and what came, a panel a symbol."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from common.files import read_json, read_parquet
from common.job import job
from market.candles import read_candles
from market.intervals import iso, step_ms
from plotting.style import BLACK, GREY, VERMILLION, fan, moments, new_figure, save, utc_axis
from trading.settlement import closes_from

MOST = 6  # panels that a page holds


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
    now, table = read_json(cutoff), read_parquet(forecasts)
    before = {Path(file).stem: file for file in candles}
    after = {Path(file).stem: file for file in realised}
    shown = symbols[:MOST]
    columns = 1 if len(shown) == 1 else 2 if len(shown) <= 4 else 3
    rows = -(-len(shown) // columns)
    horizon = int(table["step"].max())
    told = f"Made at {iso(now['as_of'])} from {interval} candles ({now['exchange']}), {horizon} steps ahead."
    if len(symbols) > MOST:
        told += f" The first {MOST} of {len(symbols)} symbols."
    size = (5.5 * max(columns, 2), 3.7 * rows + 1.3)
    figure, grid = new_figure(rows, columns, size, "Consensus forecast, and what came", told, bool(now["simulated"]))
    for axes, symbol in zip(grid.flat, shown, strict=False):
        own = table[table["symbol"] == symbol]
        known, came = read_candles(before[symbol], interval), read_candles(after[symbol], interval)
        _panel(axes, own, known, came, now["as_of"], step_ms(interval))
        axes.set_title(symbol)
        utc_axis(axes, timefmt, inches=size[0] / columns - 1)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    save(figure, png, pdf)


def _panel(axes: Axes, own: pd.DataFrame, known: pd.DataFrame, came: pd.DataFrame, as_of: int, step: int) -> None:
    """One symbol: history up to `as_of`, the fan from there, the closes that came."""
    horizon = len(own)
    history = closes_from(known, as_of - 2 * horizon * step, step, 2 * horizon)
    close = history[-1]
    axes.plot(moments(as_of + step * np.arange(1 - 2 * horizon, 1)), history, color=BLACK, label="close, known")
    ahead = moments(as_of + step * np.arange(horizon + 1))
    paths = [
        close * np.exp(np.concatenate([[0.0], own[column]])) for column in ("q0.05", "q0.25", "q0.5", "q0.75", "q0.95")
    ]
    fan(axes, ahead, *paths)
    actual = np.concatenate([[close], closes_from(came, as_of, step, horizon)])
    label = "close, what came" if len(came) else "close, what came (nothing yet)"
    axes.plot(ahead, actual, color=VERMILLION, label=label)
    axes.axvline(moments(as_of), color=GREY, linestyle="--", linewidth=1, label="moment of the forecast")
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
