"""Rule plot_paths: live sample paths, the probability of touching a level, and scores in the test spans."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from common.files import read_document, read_json
from common.job import job
from forecasting.members import ENSEMBLE
from forecasting.paths.distribution import PathDistribution, read_paths
from forecasting.paths.documents import PathScores
from market.candles import read_candles
from market.intervals import iso, step_ms
from plotting.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    fan,
    legend_below,
    new_figure,
    save,
    time_positions,
    utc_axis,
)
from trading.settlement import closes_from

DRAWN = 40  # paths of the fan
FEWEST = 30  # events of a tenth that is drawn
LABELS = {
    ENSEMBLE: "ensemble's sample paths",
    "independent": "independent marginals",
    "gaussian_walk": "Gaussian walk",
    "correlated_walk": "Gaussian walk, correlated",
    "garch_fhs": "GARCH, FHS",
    "block_bootstrap": "block bootstrap",
}
COLORS = {
    ENSEMBLE: VERMILLION,
    "independent": PURPLE,
    "gaussian_walk": ORANGE,
    "correlated_walk": GREEN,
    "garch_fhs": SKY,
    "block_bootstrap": GREY,
}
SCORES = {
    "energy": (BLUE, "energy score"),
    "variogram": (ORANGE, "variogram score"),
    "crps": (GREEN, "CRPS of changes"),
}


def plot_paths(
    png: str, pdf: str, paths: str, candles: str, summary: str, cutoff: str, symbol: str, interval: str, timefmt: str
) -> None:
    """Draw the live sample paths of a symbol (slug), and the `PathScores` of all.

    paths: the file of sample paths; candles: of the symbol, of the live cutoff, which `cutoff` is.
    """
    live = read_paths(paths)[symbol]
    history = read_candles(candles, interval, ["timestamp", "close"])
    scores, known_until = read_document(summary, PathScores), read_json(cutoff)
    save(paths_figure(live, history, scores, known_until, symbol, timefmt), png, pdf)


def paths_figure(
    live: PathDistribution,
    history: pd.DataFrame,
    scores: PathScores,
    cutoff: dict[str, Any],
    symbol: str,
    timefmt: str,
) -> Figure:
    """Four panels: paths, touching, skill, reliability."""
    horizon, count = live.paths.shape
    subtitle = (
        f"{symbol} at {iso(cutoff['as_of'])}: {count} paths of {horizon} steps of {scores['interval']}. Scores of "
        f"{scores['origin_times']} origin times in the test spans, {', '.join(scores['symbols'][:6])}."
    )
    size = (12.5, 9.4)
    figure, grid = new_figure(2, 2, size, "Sample paths", subtitle, bool(cutoff["simulated"]))
    _fan(grid[0, 0], live, history, cutoff["as_of"], step_ms(scores["interval"]))
    utc_axis(grid[0, 0], timefmt, inches=size[0] / 2 - 1)
    legend_below(grid[0, 0], columns=2)
    _touching(grid[0, 1], live, scores["interval"])
    _skill(grid[1, 0], scores)
    _reliability(grid[1, 1], scores)
    return figure


def _fan(axes: Axes, live: PathDistribution, history: pd.DataFrame, as_of: int, bar_ms: int) -> None:
    """The closes of one horizon, the fan chart and some of its paths."""
    horizon = live.paths.shape[0]
    past = closes_from(history, as_of - horizon * bar_ms, bar_ms, horizon)
    start, close = time_positions(as_of), past[-1]
    times = time_positions(as_of + bar_ms * np.arange(horizon + 1))
    axes.plot(time_positions(as_of + bar_ms * np.arange(1 - horizon, 1)), past, color=BLACK, label="close before")
    prices = close * np.exp(np.concatenate([np.zeros((1, live.paths.shape[1])), live.paths]))
    fan(axes, times, *np.quantile(prices, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1))
    shown = prices[:, :DRAWN]
    axes.plot(times, shown, color=BLUE, linewidth=0.6, alpha=0.35)
    axes.plot([], [], color=BLUE, linewidth=0.9, alpha=0.6, label=f"{shown.shape[1]} of the sample paths")
    axes.axvline(start, color=GREY, linestyle="--", linewidth=1)
    axes.set_title("Live forecast")
    axes.set_ylabel("price (quote currency)")


def _touching(axes: Axes, live: PathDistribution, interval: str) -> None:
    """The probability of touching each level within a quarter, half and all of the horizon."""
    horizon = live.paths.shape[0]
    reach = float(np.quantile(np.abs(live.paths).max(axis=0), 0.995)) or 1e-6
    levels = np.linspace(-reach, reach, 201)
    steps = sorted({max(1, horizon // 4), max(1, horizon // 2), horizon})
    for step, color in zip(steps, [SKY, BLUE, VERMILLION][-len(steps) :], strict=True):
        touched = PathDistribution(live.paths[None]).probability_of_touching(levels, step)
        label = f"within {step} step{'s' if step > 1 else ''} of {interval}"
        axes.plot(levels, touched, color=color, label=label)
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_title("Probability that a close touches a level")
    axes.set_xlabel("level, as log return from the close at the origin")
    axes.set_ylabel("probability")
    legend_below(axes)


def _skill(axes: Axes, scores: PathScores) -> None:
    """By how much each score is smaller than a rival's, with two standard errors."""
    rivals = [name for name in LABELS if name in scores["tests"]["energy"]][::-1]
    lowest = -0.005
    for offset, (name, (color, label)) in zip((0.22, 0, -0.22), SCORES.items(), strict=True):
        tests = [scores["tests"][name][rival] for rival in rivals]
        skill = np.array([np.nan if test["skill"] is None else test["skill"] for test in tests], dtype=np.float64)
        error = np.array([test["standard_error"] or 0.0 for test in tests])
        lowest = float(np.nanmin(skill - 2 * error, initial=lowest))
        places = np.arange(len(rivals)) + offset
        axes.errorbar(skill, places, xerr=2 * error, fmt="o", markersize=5, color=color, linewidth=1.6, label=label)
    axes.axvline(0, color=INK, linewidth=0.8)
    # from a tenth of a percent to most of the score
    axes.set_xscale("symlog", linthresh=0.01, linscale=0.8)
    axes.set_xticks([-0.1, -0.01, 0, 0.01, 0.03, 0.1, 0.3, 1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.minorticks_off()
    axes.set_xlim(1.3 * lowest, 1)
    axes.set_yticks(range(len(rivals)), [LABELS[rival] for rival in rivals])
    axes.set_ylim(-0.6, len(rivals) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_title("The ensemble's sample paths against simpler ones")
    axes.set_xlabel("1 − score ÷ rival's; line: two standard errors")
    legend_below(axes)


def _reliability(axes: Axes, scores: PathScores) -> None:
    """Observed against forecast probabilities of touching, by tenth."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
    for method in reversed([name for name in LABELS if name in scores["touching"]]):
        tenths = [tenth for tenth in scores["touching"][method] if tenth["events"] >= FEWEST]
        forecast, observed, error = (
            np.array([tenth[key] for tenth in tenths], dtype=np.float64)
            for key in ("forecast", "observed", "standard_error")
        )
        style: dict[str, Any] = {"color": COLORS[method], "label": LABELS[method]}
        if method == ENSEMBLE:
            axes.errorbar(forecast, observed, yerr=2 * error, fmt="o-", markersize=5, zorder=3, **style)
        else:
            axes.plot(forecast, observed, linewidth=1, alpha=0.9, **style)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_title("Reliability of touching a level")
    axes.set_xlabel("forecast probability, by tenth")
    axes.set_ylabel("share that came true (two standard errors)")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


if __name__ == "__main__":
    with job() as snakemake:
        plot_paths(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            paths=snakemake.input.paths,
            candles=snakemake.input.candles,
            summary=snakemake.input.summary,
            cutoff=snakemake.input.cutoff,
            symbol=snakemake.params.symbol,
            interval=snakemake.params.interval,
            timefmt=snakemake.params.timefmt,
        )
