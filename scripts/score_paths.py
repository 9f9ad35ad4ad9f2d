"""Rule score_paths: joint scores of sample paths at the folds' test origins, beside those of simpler paths.

docs/paths.md defines each figure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_json, write_csv, write_json
from common.job import job, say
from forecasting.bars import Bars, read_bars
from forecasting.folds import FoldScheme
from forecasting.hac import hac_lags
from forecasting.members import ENSEMBLE
from forecasting.paths import rivals, scores
from forecasting.paths.comparison import Record
from forecasting.paths.documents import PathScores, PathTest
from forecasting.paths.history import History, read_history
from forecasting.paths.sampling import generator, marginals, sample_paths
from forecasting.quantiles import Forecasts, read_forecasts
from forecasting.realised import realised_of
from forecasting.task import Task

# origin times of a fold that are scored, at most, every second, every third, …: so many, and fewer where there are many
# symbols, so that about so many forecasts are
MOST_TIMES, FEWEST_TIMES, FORECASTS = 40, 20, 800


@dataclass(frozen=True)
class FoldPaths:
    """What paths of a fold are made from: its ensemble forecasts, with their deviation at the horizon [n] and the
    realised returns [n, horizon], and what is fitted on the bars before it."""

    forecasts: Forecasts
    deviation: np.ndarray
    realised: np.ndarray
    history: History
    correlation: np.ndarray
    garch: rivals.GarchPaths


def score_all(
    table: str,
    summary: str,
    forecasts: Sequence[str],
    candles: Sequence[str],
    cutoff: str,
    task: Task,
    scheme: FoldScheme,
    stride: int,
    count: int,
    seed: int,
    most: int | None = None,
) -> None:
    """Write mean losses by score and method with their tests (`table`, CSV), and all figures (`summary`, JSON).

    forecasts: the ensemble's files, named <fold>/ensemble.parquet. candles: one <symbol>.parquet a symbol, and
    `cutoff`, both of the training cutoff. stride: bars between origins; count, seed: of the paths; most: origin times
    that are scored a fold, None: by the number of symbols. Raises UserError where a fold's symbols share no history, or
    a realised bar is missing.
    """
    known_until = read_json(cutoff)
    read, _ = read_bars(candles, [], task.interval)
    bars = {Path(path).stem: one for path, one in zip(candles, read, strict=True)}
    parts = {}
    for path in sorted(map(Path, forecasts), key=lambda path: int(path.parent.name)):
        span = scheme.fold(path.parent.name, known_until["as_of"], task.bar_ms)
        parts[int(span.name)] = _fold_paths(str(path), bars, span.train_end, task)
    most = most or min(MOST_TIMES, max(FEWEST_TIMES, FORECASTS // len(bars)))
    every = max(1, *(-(-len(np.unique(part.forecasts.origin)) // most) for part in parts.values()))
    record = Record()
    for fold, part in parts.items():
        for origin, rows in scored_times(part, every * stride * task.bar_ms):
            record.add(fold, origin, _scores(part, origin, rows, task, (task.horizon, count), seed))
    if not record.origins:
        raise UserError("no symbol's forecast has a spread at any test origin, so no path can be scored")
    document = summarised(record, task, every * stride)
    document |= {"simulated": known_until["simulated"], "symbols": sorted(bars), "count": count}
    write_csv(table, as_table(document))
    write_json(summary, document)
    say(report(document))


def summarised(record: Record, task: Task, stride: int) -> PathScores:
    """The document of these scores, `stride` bars apart."""
    lags = hac_lags(task.horizon, stride, len(record.origins))
    return {
        "simulated": False,
        "interval": task.interval,
        "horizon": task.horizon,
        "symbols": [],
        "count": 0,
        "origin_times": len(record.origins),
        "stride": stride,
        "losses": record.losses(),
        "tests": record.tests(ENSEMBLE, stride * task.bar_ms, lags),
        "touching": record.touching(lags),
        "drawdown_pit": record.drawdown_pit(),
    }


def scored_times(part: FoldPaths, spacing: int) -> Iterator[tuple[int, np.ndarray]]:
    """The origin times (ms) of a grid from the first one on, with their rows of the forecasts, sorted by symbol.

    A forecast without a spread, of a price that is frozen, is left out.
    """
    origins = part.forecasts.origin
    times = np.unique(origins[part.deviation > 0])
    for origin in times[(times - times[:1]) % spacing == 0].tolist():
        yield origin, np.flatnonzero((origins == origin) & (part.deviation > 0))


def as_table(document: PathScores) -> pd.DataFrame:
    """A row a score and method: mean loss, and by how much the ensemble's paths are better."""
    empty = {"skill": None, "standard_error": None, "p": None, "p_holm": None}
    rows = [
        {"score": name, "method": method, "loss": loss} | (document["tests"][name].get(method) or empty)
        for name, losses in document["losses"].items()
        for method, loss in losses.items()
    ]
    return pd.DataFrame(rows)


def report(document: PathScores) -> str:
    """A small aligned table: by how much the ensemble's paths are better than each rival's, by score."""
    names = ["energy", "variogram", "crps", *(f"brier_{level:g}" for level in scores.TOUCHED)]
    lines = [f"{'paths better than, %':<20}" + "".join(f"{name:>18}" for name in names)]
    for rival in document["tests"]["energy"]:
        cells = [_cell(document["tests"][name][rival]) for name in names]
        lines.append(f"{rival:<20}" + "".join(f"{cell:>18}" for cell in cells))
    off = [
        f"{100 * (tenth['observed'] - tenth['forecast']):+.1f} ± {100 * (tenth['standard_error'] or 0):.1f}"
        for tenth in document["touching"][ENSEMBLE]
        if tenth["observed"] is not None and tenth["forecast"] is not None
    ]
    lines.append(
        f"({document['origin_times']} origin times, {document['count']} paths; touching a level, observed less "
        f"forecast in points by tenth\n of the probability, with its standard error: {', '.join(off)})"
    )
    return "\n".join(lines)


def _cell(test: PathTest) -> str:
    if test["skill"] is None:
        return ""
    p = test["p_holm"]
    return f"{100 * test['skill']:+.2f}" + ("" if p is None else " p<0.001" if p < 0.001 else f" p={p:.3f}")


def _fold_paths(path: str, bars: Mapping[str, Bars], train_end: int, task: Task) -> FoldPaths:
    forecasts = read_forecasts(path, task.horizon, task.quantile_levels)
    if not len(forecasts.origin):
        raise UserError(f"{path}: holds no forecast; delete it and run again to rebuild it")
    missing = sorted(set(forecasts.symbol) - set(bars))
    if missing:
        raise UserError(f"{', '.join(missing)}: has forecasts but no candles; delete its forecasts and run again")
    forecast = {str(symbol): bars[symbol] for symbol in np.unique(forecasts.symbol)}
    closes = {name: pd.Series(one.log_close, index=one.timestamp) for name, one in forecast.items()}
    realised = realised_of(forecasts, closes, task.bar_ms, complete=True)
    history = read_history({name: one.before(train_end) for name, one in forecast.items()}, task.horizon)
    deviation = marginals(forecasts.quantiles[:, -1:], task.quantile_levels, 1000)[:, 0].std(axis=-1)
    correlation, garch = rivals.residual_correlation(history), rivals.GarchPaths.fit(forecast, train_end)
    return FoldPaths(forecasts, deviation, realised, history, correlation, garch)


def _scores(
    part: FoldPaths, origin: int, rows: np.ndarray, task: Task, shape: tuple[int, int], seed: int
) -> dict[str, scores.Scored]:
    """Scores of every method at one origin time; rows: of its symbols' forecasts."""
    symbols = [str(symbol) for symbol in part.forecasts.symbol[rows]]
    places = [part.history.symbols.index(symbol) for symbol in symbols]
    history, random = part.history.only(symbols), generator(seed, origin)
    given = marginals(part.forecasts.quantiles[rows], task.quantile_levels, shape[1])
    deviation = part.deviation[rows]
    paths = {ENSEMBLE: sample_paths(given, history, origin + task.bar_ms * task.steps, random)}
    paths["independent"] = rivals.independent(given, random)
    shocks = random.standard_normal((len(symbols), *shape), dtype=np.float32)
    paths["gaussian_walk"] = rivals.gaussian_walk(deviation, shocks)
    together = rivals.correlated(shocks, part.correlation[np.ix_(places, places)])
    paths["correlated_walk"] = rivals.gaussian_walk(deviation, together)
    paths["garch_fhs"] = part.garch.paths(symbols, origin, shape, random)
    paths["block_bootstrap"] = rivals.block_bootstrap(history, shape[1], random)
    realised = part.realised[rows]
    return {method: scores.score_paths(one, realised, deviation, task.bar_ms) for method, one in paths.items()}


if __name__ == "__main__":
    with job() as snakemake:
        score_all(
            table=snakemake.output.table,
            summary=snakemake.output.summary,
            forecasts=list(snakemake.input.forecasts),
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            count=snakemake.params.sample_paths["count"],
            seed=snakemake.params.sample_paths["seed"],
        )
