"""Rule plot_ledger: the ledger's decisions, its members' skill, rolling skill and coverage with their bands."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from common.files import read_csv
from common.job import job
from forecasting.members import ENSEMBLE, RANDOM_WALK
from market.intervals import parse_time
from plotting.style import (
    BLUE,
    GREY,
    INK,
    SKY,
    VERMILLION,
    legend_below,
    member_line,
    new_figure,
    save,
    time_positions,
    utc_axis,
)
from trading.documents import HOLD
from trading.ledger.drift import NOMINAL

SIZE = (13.0, 9.2)


def plot_ledger(png: str, pdf: str, table: str, drift: str, timefmt: str) -> None:
    """Draw `ledger.csv` and `ledger_drift.csv`. timefmt: of times (strftime)."""
    save(ledger_figure(read_csv(table), read_csv(drift), timefmt), png, pdf)


def ledger_figure(table: pd.DataFrame, drift: pd.DataFrame, timefmt: str) -> Figure:
    """Four panels: what decisions earned or missed, the members' skill, and the rolling skill and coverage."""
    last = table.iloc[-1]
    decided, counts = table["as_of"].nunique(), table[table["member"] == ENSEMBLE]["status"].value_counts()
    standing = ", ".join(f"{count} {status}" for status, count in counts.sort_index().items())
    setting = f"{last['exchange']}, {last['interval']} bars, {last['horizon']} steps ahead."
    line = f"{setting} {decided} entries from {table['as_of'].iloc[0]} to {last['as_of']}; decisions: {standing}."
    figure, axes = new_figure(2, 2, SIZE, "Ledger of decisions", line, last["exchange"] == "simulated")
    _decisions(axes[0, 0], table[table["member"] == ENSEMBLE])
    _members(axes[0, 1], table[table["status"] == "complete"])
    _rolling(axes[1, 0], drift, "skill", "Rolling skill of the ensemble over the random walk")
    _rolling(axes[1, 1], drift, "coverage", "Rolling coverage of the ensemble's 90 % interval")
    for panel in (axes[0, 0], axes[1, 0], axes[1, 1]):
        if panel.has_data():
            utc_axis(panel, timefmt, SIZE[0] / 2)
    return figure


def _decisions(axes: Axes, rows: pd.DataFrame) -> None:
    """What each decision earned, or what its plan would have; and the sum of what was earned."""
    held = rows["action"] == HOLD
    missed, earned = rows[held].dropna(subset="missed_pct"), rows[~held].dropna(subset="return_pct")
    axes.plot(
        _times(missed), missed["missed_pct"], "o", color=GREY, markerfacecolor="none", label="HOLD: its plan would have"
    )
    axes.plot(_times(earned), earned["return_pct"], "o", color=BLUE, label="traded: earned")
    total = rows.dropna(subset="return_pct").groupby("as_of")["return_pct"].sum().cumsum().reset_index()
    axes.plot(_times(total), total["return_pct"], color=VERMILLION, drawstyle="steps-post", label="earned, summed")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.yaxis.set_major_formatter(PercentFormatter(100, symbol=" %"))
    axes.set_title("Decisions: return after costs, of the cash")
    legend_below(axes)


def _members(axes: Axes, rows: pd.DataFrame) -> None:
    """Every member's skill over the random walk in the forecasts whose horizon has passed; best on top."""
    loss = rows.dropna(subset="pinball").groupby("member")["pinball"].mean()
    if RANDOM_WALK not in loss:
        _nothing_yet(axes)
    else:
        skill = (1 - loss / loss[RANDOM_WALK]).drop(RANDOM_WALK).sort_values()
        lines = [member_line(str(name)) for name in skill.index]
        axes.barh(range(len(skill)), skill.to_numpy(), color=[line["color"] for line in lines], height=0.6)
        labels = [f"{line['label']}  {100 * value:+.1f} %" for line, value in zip(lines, skill, strict=True)]
        axes.set_yticks(range(len(skill)), labels)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("1 − pinball loss ÷ random walk's")
    axes.set_title("Skill over the random walk, all settled decisions")


def _rolling(axes: Axes, drift: pd.DataFrame, name: str, title: str) -> None:
    """A rolling figure with its band around what is expected; what leaves it is marked."""
    axes.set_title(title)
    if not len(drift):
        _nothing_yet(axes)
        return
    times, values = _times(drift), drift[name].to_numpy()
    label = "99 % band around the nominal 90 %" if name == "coverage" else "99 % band around the evaluation's skill"
    axes.fill_between(
        times, drift[f"{name}_low"], drift[f"{name}_high"], color=SKY, alpha=0.35, linewidth=0, label=label
    )
    expected = np.full(len(drift), NOMINAL) if name == "coverage" else drift["skill_expected"].to_numpy()
    axes.plot(times, expected, color=GREY, linestyle="--", label="expected")
    axes.plot(times, values, color=BLUE, marker="o", markersize=3, label="over the latest decisions")
    out = drift["drifting"].fillna("").str.contains(name).to_numpy()
    axes.plot(times[out], values[out], "o", color=VERMILLION, label="outside the band")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    legend_below(axes, columns=2)


def _nothing_yet(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no horizon has passed yet", ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()


def _times(rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(time_positions([parse_time(time) for time in rows["as_of"]]))


if __name__ == "__main__":
    with job() as snakemake:
        plot_ledger(
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
            table=snakemake.input.table,
            drift=snakemake.input.drift,
            timefmt=snakemake.params.timefmt,
        )
