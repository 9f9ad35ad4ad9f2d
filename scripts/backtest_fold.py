"""Rule backtest_fold: the decisions at a fold's test origins by what was known at each, and what they earned."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import (
    json_text,
    parquet_columns,
    read_csv,
    read_json,
    read_parquet,
    text_sha256,
    write_csv,
    write_text,
)
from common.job import job, say
from evaluate import evaluated
from forecasting.bars import Bars
from forecasting.documents import Evaluation
from forecasting.evaluation.utility import Investor
from forecasting.folds import Fold, FoldScheme
from forecasting.members import ENSEMBLE, ORACLE
from forecasting.novelty import Training
from forecasting.paths.distribution import rounded
from forecasting.paths.history import read_history
from forecasting.paths.sampling import paths_from
from forecasting.quantiles import Forecasts, read_forecasts
from forecasting.task import Task
from market.candles import Quality, read_candles
from market.features import KEYS
from trading.decision import steps_ahead
from trading.exposure import drifted
from trading.moment import Known, Moment, decisions
from trading.orders import market_at
from trading.settlement import closes_from
from trading.walk import NOTHING_EVALUATED, decision_row, informed_exits, quality_before, volatilities


@dataclass(frozen=True)
class FoldFiles:
    """A fold's forecasts: a file a member, the ensemble's and the oracle's among them; the ensemble's weights at each
    origin (CSV). Those of all folds before it, with mean weights (JSON), for the evaluation that was known then."""

    forecasts: Sequence[str]
    weights: str
    earlier: Sequence[str]
    earlier_weights: Sequence[str]


@dataclass(frozen=True)
class SymbolHistory:
    """A symbol's candles with their bars and the record of their quality; its features at each open time, and those of
    training."""

    candles: pd.DataFrame
    bars: Bars
    quality: Quality
    features: pd.DataFrame
    trained: Training


def backtest_fold(
    table: str,
    documents: str,
    fold: str,
    files: FoldFiles,
    candles: Mapping[str, str],
    quality: Mapping[str, str],
    features: Mapping[str, str],
    cutoff: str,
    exchange: str,
    task: Task,
    scheme: FoldScheme,
    stride: int,
    live_bars: int,
    count: int,
    seed: int,
    settings: Mapping[str, Any],
    investor: Investor,
    previous_trials: int,
    before: str | None = None,
) -> None:
    """Write a row a decision (`table`, CSV: `trading.backtest.decision_row`), and the decisions themselves
    (`documents`: a line of JSON each), at each test origin that all symbols have.

    A decision is that of a live run at the moment with the fold's models: by an evaluation of the folds before it, and
    the fold's outcomes by then. candles, quality, features: a file a symbol, of the training cutoff. live_bars: bars
    before the fold whose quality counts. count, seed: of the sample paths. settings: the config's sections `consensus`
    and `decision`. before: the table of the fold before, whose last weights are held. The rest is as of rule
    `evaluate`. Raises UserError where a file is damaged, or the symbols share no test origin.
    """
    end, names = read_json(cutoff), sorted(candles)
    span = scheme.fold(fold, end["as_of"], task.bar_ms)
    steps = steps_ahead(settings["horizon_minutes"], task.horizon, task.bar_ms)
    evaluation: Evaluation = NOTHING_EVALUATED
    if files.earlier:
        evaluation, _, _ = evaluated(
            forecasts=files.earlier,
            weights=files.earlier_weights,
            candles=[candles[name] for name in names],
            cutoff=cutoff,
            exchange=exchange,
            symbols=names,
            task=task,
            scheme=scheme,
            stride=stride,
            investor=investor,
            previous_trials=previous_trials,
        )
    forecasts = _forecasts(files, task)
    side = -1 if settings["prior_sharpe"] < 0 else 1
    risk = volatilities(forecasts, task, steps, side)
    informed = informed_exits(forecasts.pop(ORACLE), task, settings, steps)
    symbols = {name: _history(candles[name], quality[name], features[name], span, task) for name in names}
    shared = FoldKnown(span, symbols, forecasts, evaluation, end, task, live_bars)
    held = Held(before, settings["held_weight"])
    rows, lines = [], []
    for moment in moments(shared, files.weights, count, seed):
        made = decisions(moment, settings, held.at({name: one.close for name, one in moment.symbols.items()}))
        for name, one in made.items():
            closes = closes_from(symbols[name].candles, moment.as_of, task.bar_ms, steps)
            key = name, moment.as_of - task.bar_ms
            row = decision_row(one, closes)
            held.set(name, row["weight"], row["close"])
            rows.append({"fold": int(fold), "origin": key[1], **row, **risk[key], "oracle_exit": informed[key]})
            lines.append(json.dumps(one.document, sort_keys=True, allow_nan=False, ensure_ascii=False))
    if not rows:
        raise UserError(f"fold {fold}: has no test origin that all symbols share, so it cannot be backtested")
    write_csv(table, pd.DataFrame(rows))
    write_text(documents, "\n".join([*lines, ""]))
    bought = sum(row["action"] == "BUY" for row in rows)
    say(f"backtest_fold: fold {fold}: {len(rows)} decisions at {len(rows) // len(symbols)} times, {bought} BUY")


class Held:
    """The weights that are held from moment to moment, as prices move them; at first those at the end of `before`, a
    table of decisions, or `start`."""

    def __init__(self, before: str | None, start: float) -> None:
        self.start = start
        self.last: dict[str, tuple[float, float]] = {}
        for row in read_csv(before).to_dict("records") if before else ():
            self.set(row["symbol"], row["weight"], row["close"])

    def set(self, symbol: str, weight: float, close: float) -> None:
        """The weight of a symbol from a close on; NaN where the policy holds none."""
        if np.isfinite(weight):
            self.last[symbol] = weight, close

    def at(self, closes: Mapping[str, float]) -> dict[str, float]:
        """The weights at these closes, by symbol."""
        found = dict.fromkeys(closes, self.start)
        return found | {
            symbol: drifted(weight, closes[symbol] / close) for symbol, (weight, close) in self.last.items()
        }


@dataclass(frozen=True)
class FoldKnown:
    """What all moments of a fold share: its span, the symbols' histories, the members' forecasts by name, the
    evaluation of the folds before it."""

    span: Fold
    symbols: Mapping[str, SymbolHistory]
    forecasts: Mapping[str, Forecasts]
    evaluation: Evaluation
    cutoff: Mapping[str, Any]
    task: Task
    live_bars: int


def moments(known: FoldKnown, weights: str, count: int, seed: int) -> Iterator[Moment]:
    """What was known at each of the fold's test origins that all symbols have, in time's order; weights: a file."""
    task, span, symbols = known.task, known.span, known.symbols
    past = read_history({name: one.bars.before(span.train_end) for name, one in symbols.items()}, task.horizon)
    shares, digest = read_csv(weights).set_index("origin"), text_sha256(json_text(known.evaluation))
    start = span.train_end - known.live_bars * task.bar_ms
    origins, having = np.unique(known.forecasts[ENSEMBLE].origin, return_counts=True)
    for origin in origins[having == len(symbols)].tolist():
        now = {name: one.at(origin) for name, one in known.forecasts.items()}
        ensemble = now.pop(ENSEMBLE)
        paths = rounded(paths_from(ensemble, past, task, count, seed)).astype(np.float64)
        at = {str(name): float(share) for name, share in shares.loc[origin].items() if share}
        of_symbols = {}
        for place, name in enumerate(past.symbols):
            one = symbols[name]
            of_symbols[name] = Known(
                close=float(one.bars.close[np.searchsorted(one.bars.timestamp, origin)]),
                ensemble=ensemble.quantiles[place],
                members={member: its.quantiles[place] for member, its in now.items()},
                paths=paths[place],
                quality=quality_before(one.candles, one.quality, start, origin + task.bar_ms, task.bar_ms),
                novelty=one.trained.novelty(one.features.loc[origin].to_numpy(np.float64)),
                market=market_at(known.cutoff, name, one.candles, origin),
            )
        simulated = known.cutoff["simulated"]
        yield Moment(origin + task.bar_ms, None, simulated, task, known.evaluation, digest, at, of_symbols)


def _forecasts(files: FoldFiles, task: Task) -> dict[str, Forecasts]:
    """By name, without members that were skipped."""
    read = {Path(path).stem: read_forecasts(path, task.horizon, task.quantile_levels) for path in files.forecasts}
    return {name: one for name, one in read.items() if len(one.origin)}


def _history(candles: str, quality: str, features: str, span: Fold, task: Task) -> SymbolHistory:
    frame = read_candles(candles, task.interval)
    names = [name for name in parquet_columns(features) if name not in KEYS]
    known = read_parquet(features, ["timestamp", *names]).set_index("timestamp")
    trained = Training(known[known.index < span.train_end].to_numpy(np.float64))
    return SymbolHistory(frame, Bars.of(frame, task.bar_ms), cast(Quality, read_json(quality)), known, trained)


if __name__ == "__main__":
    with job() as snakemake:
        given, params = snakemake.input, snakemake.params
        backtest_fold(
            table=snakemake.output.table,
            documents=snakemake.output.documents,
            fold=snakemake.wildcards.fold,
            files=FoldFiles(list(given.forecasts), given.weights, list(given.earlier), list(given.earlier_weights)),
            candles=dict(zip(params.symbols, given.candles, strict=True)),
            quality=dict(zip(params.symbols, given.quality, strict=True)),
            features=dict(zip(params.symbols, given.features, strict=True)),
            cutoff=given.cutoff,
            exchange=params.exchange,
            task=Task(**params.task),
            scheme=FoldScheme(**params.folds),
            stride=params.stride,
            live_bars=params.live_bars,
            count=params.sample_paths["count"],
            seed=params.sample_paths["seed"],
            settings=params.settings,
            investor=Investor(**params.investor),
            previous_trials=params.previous_trials,
            before=given.get("before"),
        )
