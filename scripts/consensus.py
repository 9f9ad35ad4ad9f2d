"""Rule consensus: the live forecasts become one sealed decision a symbol, BUY or HOLD, and one of them the run's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import (
    parquet_columns,
    read_document,
    read_json,
    read_parquet,
    sha256,
    write_csv,
    write_json,
    write_text,
)
from common.job import job, say
from forecasting.documents import Evaluation, Weights
from forecasting.novelty import Novelty, Training
from forecasting.paths.distribution import PathDistribution, read_paths
from forecasting.quantiles import Forecasts, read_forecasts
from forecasting.task import Task
from market.candles import Quality, read_candles
from market.exchange import open_exchange
from market.features import KEYS
from market.intervals import iso
from trading.documents import BEST, Inputs, Trade, UnsealedTrade
from trading.gates import DataQuality
from trading.ledger.entries import held_weights
from trading.moment import Known, Moment, decisions
from trading.orders import market_at
from trading.ranking import decisions_table
from trading.seal import inputs_of, seal


@dataclass(frozen=True)
class SymbolFiles:
    """A symbol's candles up to the cutoff, their quality, its features up to there, and those of training."""

    candles: str
    quality: str
    features: str
    trained: str


def consensus(
    trade: str,
    path: str,
    table: str,
    folder: str,
    forecast: str,
    weights: str,
    forecasts: Sequence[str],
    paths: str,
    evaluation: str,
    files: Mapping[str, SymbolFiles],
    cutoff: str,
    exchange_settings: Mapping[str, Any],
    symbol: str,
    task: Task,
    settings: Mapping[str, Any],
    inputs: Inputs,
    ledger: str | None = None,
) -> None:
    """Write a sealed decision a symbol into `folder`, <symbol>.json, with its forecast path, <symbol>-path.csv
    (prices), and its plans, <symbol>-plans.csv; and the `table` of all (CSV). `trade` and `path` are those of `symbol`,
    a slug or the best.

    forecast: the live ensemble forecast; weights: its members'; paths: its sample paths. forecasts: a live file a
    member, named by it. files: by symbol. settings, exchange_settings: the config's sections `consensus` with
    `decision`, and `exchange`, whose clock tells the decisions' age. inputs: digests of all that is read. ledger:
    its folder, whose last entry before tells the weights that are held (policy exposure). Raises UserError on an
    impossible horizon_minutes or cash, when forecasts, paths, candles and cutoff are not of the same time, and where
    the ledger is not what was sealed.
    """
    now = read_json(cutoff)
    origin = now["as_of"] - task.bar_ms
    levels = task.quantile_levels
    ensemble, members = read_forecasts(forecast, task.horizon, levels), _members(forecasts, task)
    bars = {name: _last_bars(its.candles, task.interval, origin) for name, its in files.items()}
    drawn = _paths(paths, sorted(files), origin, task.horizon)
    moment = Moment(
        as_of=now["as_of"],
        age=_age(now, exchange_settings, task.interval),
        simulated=now["simulated"],
        task=task,
        evaluation=read_document(evaluation, Evaluation),
        evaluation_sha256=sha256(evaluation),
        weights=read_document(weights, Weights)["weights"],
        symbols={
            name: Known(
                close=float(bars[name]["close"].iloc[-1]),
                ensemble=_live_path(forecast, ensemble, name, origin),
                members={member: _live_path(file, one, name, origin) for member, (file, one) in members.items()},
                paths=drawn[name].paths,
                quality=DataQuality.of(read_document(its.quality, Quality)),
                novelty=_novelty(its),
                market=market_at(now, name, bars[name], origin),
            )
            for name, its in files.items()
        },
    )
    closes = {name: known.close for name, known in moment.symbols.items()}
    weighs = ledger is not None and settings["policy"] == "exposure"
    held = held_weights(str(ledger), iso(now["as_of"]), closes) if weighs else {}
    made = decisions(moment, settings, held)
    documents = {name: sealed(one.document, inputs) for name, one in made.items()}
    for name, one in made.items():
        write_text(Path(folder, f"{name}-path.csv"), one.path)
        write_text(Path(folder, f"{name}-plans.csv"), one.plans)
        write_json(Path(folder, f"{name}.json"), documents[name])
        decision = one.document["decision"]
        say(f"consensus: {decision['action']} {name} at {decision['entry_time']}. {decision['reason']}")
    write_csv(table, decisions_table([one.document for one in made.values()]))
    chosen = next(iter(made)) if symbol == BEST else symbol
    write_text(path, made[chosen].path)
    write_json(trade, documents[chosen])


def sealed(document: UnsealedTrade, inputs: Inputs) -> Trade:
    """The decision with the digests of what it stands on, and its seal."""
    whole = {**document, "inputs": inputs}
    return cast(Trade, {**whole, "seal": seal(whole)})


def _members(forecasts: Sequence[str], task: Task) -> dict[str, tuple[str, Forecasts]]:
    """The members' files and forecasts by name; one without a forecast was skipped."""
    read = [(file, read_forecasts(file, task.horizon, task.quantile_levels)) for file in sorted(forecasts)]
    return {Path(file).stem: (file, one) for file, one in read if len(one.origin)}


def _paths(file: str, symbols: Sequence[str], origin: int, horizon: int) -> dict[str, PathDistribution]:
    """The sample paths by symbol. Raises UserError, naming the file, if it lacks some."""
    paths = read_paths(file, origin)
    for symbol in symbols:
        if symbol not in paths or len(paths[symbol].paths) != horizon:
            raise UserError(
                f"{file}: holds no sample paths of {symbol} over {horizon} steps; delete it and run again to rebuild it"
            )
    return paths


def _novelty(files: SymbolFiles) -> Novelty:
    """How unlike those of training the features of the last bar are."""
    names = [name for name in parquet_columns(files.trained) if name not in KEYS]
    row = read_parquet(files.features, names).to_numpy(np.float64)[-1]
    return Training(read_parquet(files.trained, names).to_numpy(np.float64)).novelty(row)


def _age(cutoff: Mapping[str, Any], settings: Mapping[str, Any], interval: str) -> float | None:
    """Seconds since the cutoff by the exchange's clock; None of a cutoff that was not the present when it was taken."""
    if not cutoff["latest"]:
        return None
    exchange = open_exchange(settings, list(cutoff["symbols"].values()), interval)
    return max(0.0, (exchange.milliseconds() - cutoff["as_of"]) / 1000)


def _last_bars(candles: str, interval: str, origin: int) -> pd.DataFrame:
    """The bars before the decision. Raises UserError unless the last of them is that of the cutoff."""
    bars = read_candles(candles, interval)
    last = int(bars["timestamp"].iloc[-1])
    if last != origin:
        raise UserError(
            f"{candles}: its last bar opens at {iso(last)}, not at {iso(origin)} as the cutoff says; "
            "fetch again, or take another as_of"
        )
    return bars


def _live_path(file: str, forecasts: Forecasts, symbol: str, origin: int) -> np.ndarray:
    """Quantiles [horizon, levels] of the symbol from `origin`. Raises UserError, naming the file, if it has none."""
    rows = np.flatnonzero((forecasts.symbol == symbol) & (forecasts.origin == origin))
    if len(rows) != 1:
        raise UserError(
            f"{file}: holds no forecast of {symbol} from {iso(origin)}; delete it and run again to rebuild it"
        )
    return forecasts.quantiles[rows[0]]


if __name__ == "__main__":
    with job() as snakemake:
        given = snakemake.input
        columns = given.candles, given.quality, given.features, given.trained
        consensus(
            trade=snakemake.output.trade,
            path=snakemake.output.path,
            table=snakemake.output.table,
            folder=str(Path(snakemake.output.documents[0]).parent),
            forecast=given.forecast,
            weights=given.weights,
            forecasts=list(given.forecasts),
            paths=given.paths,
            evaluation=given.evaluation,
            files=dict(zip(snakemake.params.symbols, map(SymbolFiles, *columns), strict=True)),
            cutoff=given.cutoff,
            exchange_settings=snakemake.params.connection,
            symbol=snakemake.params.symbol,
            task=Task(**snakemake.params.task),
            settings=snakemake.params.settings,
            ledger=snakemake.params.ledger,
            inputs=inputs_of(snakemake.params.sealed, snakemake.params.config, snakemake.params.image),
        )
