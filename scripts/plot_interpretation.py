"""Rule plot_interpretation: variable importance and attention of the TFT."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from common.files import read_csv, read_json
from common.job import job
from forecasting.regimes import REGIMES
from market.intervals import iso
from plotting.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, legend_below, new_figure, save

COLORS = dict(zip(REGIMES, (SKY, BLUE, VERMILLION), strict=True))
SYMBOL_COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
NOTHING = (
    "Nothing to interpret: no correction was significantly better in validation,\n"
    "so the TFT's forecasts are those that it corrects."
)
MOST = 12  # variables that a panel holds
MOST_SYMBOLS = len(SYMBOL_COLORS)


def plot_interpretation(png: str, pdf: str, importance: str, attention: str, cutoff: str, interval: str) -> None:
    """Draw the tables of rule interpret: importance and attention by regime, attention by symbol, of six at most."""
    figure = interpretation_figure(read_csv(importance), read_csv(attention), read_json(cutoff), interval)
    save(figure, png, pdf)


def interpretation_figure(
    variables: pd.DataFrame, lags: pd.DataFrame, cutoff: Mapping[str, Any], interval: str
) -> Figure:
    """Importance of the `variables` and attention to the `lags`, as in interpretation.csv and …_attention.csv."""
    title = "Variable importance and attention of the TFT"
    if lags.empty:
        figure, axes = new_figure(1, 1, (13, 3), title, f"Up to {iso(cutoff['as_of'])}", bool(cutoff["simulated"]))
        axes[0, 0].axis("off")
        axes[0, 0].text(0.5, 0.5, NOTHING, ha="center", va="center", transform=axes[0, 0].transAxes)
        return figure
    windows = lags.drop_duplicates(["symbol", "regime"])
    subtitle = (
        f"In {windows['origins'].sum()} test windows of the last fold, up to {iso(cutoff['as_of'])}: "
        f"{lags['symbol'].nunique()} symbol(s) ({cutoff['exchange']}), {interval} bars. Low, medium and high are the "
        "terciles of each symbol's volatility in training."
    )
    figure, axes = new_figure(2, 2, (13, 10.5), title, subtitle, bool(cutoff["simulated"]))
    for panel, kind, inputs in ((axes[0, 0], "encoder", "past inputs"), (axes[0, 1], "decoder", "known future inputs")):
        _importance(panel, variables[variables["kind"] == kind], f"Variable importance: {inputs}")
    lookback = lags["lag"].nunique()
    marker = "o" if lookback == 1 else None
    for regime, shares in by_regime(lags, "lag", "attention").items():
        origins = windows.loc[windows["regime"] == regime, "origins"].sum()
        label = f"{regime} volatility ({origins} windows)"
        axes[1, 0].plot(shares, color=COLORS[regime], label=label, marker=marker)
    symbols = by_symbol(lags, "lag", "attention")
    for (symbol, shares), color in zip(symbols.items(), SYMBOL_COLORS, strict=False):
        axes[1, 1].plot(shares, color=color, label=symbol, marker=marker)
    shown = f" (the first {MOST_SYMBOLS} of {len(symbols)})" if len(symbols) > MOST_SYMBOLS else ""
    _attention(axes[1, 0], lookback, "Attention to the lookback by volatility regime", interval)
    _attention(axes[1, 1], lookback, f"Attention by symbol{shown}", interval)
    return figure


def by_regime(table: pd.DataFrame, row: str, value: str) -> dict[str, pd.Series]:
    """Mean of `value` by `row`, of each regime that there is; symbols count alike."""
    parts = {name: table[table["regime"] == name] for name in REGIMES}
    return {name: part.groupby(row)[value].mean() for name, part in parts.items() if len(part)}


def by_symbol(table: pd.DataFrame, row: str, value: str) -> dict[str, pd.Series]:
    """Mean of `value` by `row`, of each symbol; its windows count alike."""
    parts = {str(name): part.assign(weighted=part[value] * part["origins"]) for name, part in table.groupby("symbol")}
    sums = {name: part.groupby(row)[["weighted", "origins"]].sum() for name, part in parts.items()}
    return {name: part["weighted"] / part["origins"] for name, part in sums.items()}


def _importance(axes: Axes, table: pd.DataFrame, title: str) -> None:
    """Bars of the most important variables, the first on top, a bar a regime."""
    means = by_regime(table, "variable", "importance")
    shares = pd.DataFrame(means)
    order = shares.mean(axis=1).sort_values(ascending=False, kind="stable").index[:MOST]
    places, width = np.arange(len(order)), 0.8 / len(means)
    for position, (regime, importance) in enumerate(means.items()):
        at = places + (position - (len(means) - 1) / 2) * width
        axes.barh(at, importance[order], width * 0.92, color=COLORS[regime], label=f"{regime} volatility")
    axes.axvline(1 / len(shares), color=GREY, linestyle=":", linewidth=1.2, label="uniform")
    axes.set_yticks(places, list(order))
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("variable selection weight")
    axes.set_title(title if len(shares) <= MOST else f"{title} (the first {MOST} of {len(shares)})")
    legend_below(axes, columns=4)


def _attention(axes: Axes, lookback: int, title: str, interval: str) -> None:
    axes.axhline(1 / lookback, color=GREY, linestyle=":", linewidth=1.2, label="uniform")
    axes.set_ylim(bottom=0)
    axes.set_xlim(lookback - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel(f"lag: bars before the origin ({interval})")
    axes.set_ylabel("attention weight of the first step")
    axes.set_title(title)
    legend_below(axes, columns=4)


if __name__ == "__main__":
    with job() as snakemake:
        plot_interpretation(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            importance=snakemake.input.importance,
            attention=snakemake.input.attention,
            cutoff=snakemake.input.cutoff,
            interval=snakemake.params.interval,
        )
