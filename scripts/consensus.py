"""Rule consensus: the live forecasts become one sealed decision a symbol, BUY or HOLD, and one of them the run's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import (
    csv_text,
    parquet_columns,
    read_document,
    read_json,
    read_parquet,
    sha256,
    text_sha256,
    write_csv,
    write_json,
    write_text,
)
from common.job import job, say
from forecasting.documents import Evaluation, Weights
from forecasting.novelty import Novelty, novelty
from forecasting.paths.distribution import PathDistribution, read_paths
from forecasting.quantiles import Forecasts, quantile_columns, read_forecasts
from forecasting.task import Task
from market.candles import Quality, read_candles
from market.exchange import open_exchange
from market.features import KEYS
from market.intervals import MINUTE, iso
from trading.decision import decide, steps_ahead
from trading.documents import BEST, PathForecast, Trade, TradeConfig, UnsealedTrade
from trading.entry import EnsembleForecast, Entry, MemberForecast
from trading.gates import (
    Gate,
    calibration_gate,
    data_quality_gate,
    direction_gate,
    freshness_gate,
    novelty_gate,
    skill_gate,
)
from trading.orders import RECENT_BARS, market_of
from trading.ranking import decisions_table, ranked
from trading.seal import seal


@dataclass(frozen=True)
class SymbolFiles:
    """A symbol's candles up to the cutoff, their quality, its features up to there, and those of training."""

    candles: str
    quality: str
    features: str
    trained: str


@dataclass(frozen=True)
class Live:
    """What all decisions of a run stand on: the ensemble forecast with its file, the members' forecasts and files by
    name, their weights, the sample paths by symbol, the evaluation, and the decisions' age (`_age`)."""

    cutoff: Mapping[str, Any]
    task: Task
    file: str
    ensemble: Forecasts
    members: Mapping[str, tuple[str, Forecasts]]
    weights: Mapping[str, float]
    paths: Mapping[str, PathDistribution]
    evaluation: Evaluation
    age: float | None

    @property
    def origin(self) -> int:
        """Open time (ms) of the last bar before the decision."""
        return int(self.cutoff["as_of"] - self.task.bar_ms)


@dataclass(frozen=True)
class Made:
    """A symbol's decision, and the text of the tables beside it: its forecast path, and its plans."""

    document: UnsealedTrade
    path: str
    plans: str


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
) -> None:
    """Write a sealed decision a symbol into `folder`, <symbol>.json, with its forecast path, <symbol>-path.csv
    (prices), and its plans, <symbol>-plans.csv; and the `table` of all (CSV). `trade` and `path` are those of `symbol`,
    a slug or the best.

    forecast: the live ensemble forecast; weights: its members'; paths: its sample paths. forecasts: a live file a
    member, named by it. files: by symbol. settings, exchange_settings: the config's sections `consensus` with
    `decision`, and `exchange`, whose clock tells the decisions' age. Raises UserError on an impossible horizon_minutes
    or cash, and when forecasts, paths, candles and cutoff are not of the same time.
    """
    now = read_json(cutoff)
    live = Live(
        cutoff=now,
        task=task,
        file=forecast,
        ensemble=read_forecasts(forecast, task.horizon, task.quantile_levels),
        members=_members(forecasts, task),
        weights=read_document(weights, Weights)["weights"],
        paths=_paths(paths, sorted(files), now["as_of"] - task.bar_ms, task.horizon),
        evaluation=read_document(evaluation, Evaluation),
        age=_age(now, exchange_settings, task.interval),
    )
    hashes = {"evaluation_sha256": evaluation, "ensemble_sha256": forecast, "paths_sha256": paths}
    digests = {name: sha256(file) for name, file in hashes.items()}
    made = {name: decided(live, name, files[name], settings, digests) for name in sorted(files)}

    order = ranked({name: one.document for name, one in made.items()})
    for rank, name in enumerate(order, start=1):
        plans = made[name].document["candidates"]["plans"]
        made[name].document["candidates"] = {"symbols": len(order), "rank": rank, "plans": plans}
        write_text(Path(folder, f"{name}-path.csv"), made[name].path)
        write_text(Path(folder, f"{name}-plans.csv"), made[name].plans)
        write_json(Path(folder, f"{name}.json"), sealed(made[name].document))
        decision = made[name].document["decision"]
        say(f"consensus: {decision['action']} {name} at {decision['entry_time']}. {decision['reason']}")
    write_csv(table, decisions_table([made[name].document for name in order]))
    chosen = made[order[0] if symbol == BEST else symbol]
    write_text(path, chosen.path)
    write_json(trade, sealed(chosen.document))


def decided(
    live: Live, symbol: str, files: SymbolFiles, settings: Mapping[str, Any], digests: Mapping[str, str]
) -> Made:
    """The decision on one symbol, and its tables. digests: SHA-256 of what all decisions stand on, by their names."""
    task, levels, as_of = live.task, live.task.quantile_levels, live.cutoff["as_of"]
    config = cast(TradeConfig, {**settings, "symbol": symbol, "interval": task.interval, "horizon": task.horizon})
    steps = steps_ahead(config["horizon_minutes"], task.horizon, task.bar_ms)
    bars = _last_bars(files.candles, task.interval, live.origin)
    unified = live.cutoff["symbols"].get(symbol, symbol)
    listed = live.cutoff.get("markets", {}).get(unified)
    entry = Entry(
        time=iso(as_of),
        close=float(bars["close"].iloc[-1]),
        step_times=[iso(as_of + ahead * task.bar_ms) for ahead in range(1, steps + 1)],
        market=market_of(listed, live.cutoff["exchange"], bars),
    )
    quantiles = _live_path(live.file, live.ensemble, symbol, live.origin)[:steps]
    members = {
        name: MemberForecast(
            _live_path(file, one, symbol, live.origin)[:steps], live.weights.get(name, 0.0), sha256(file)
        )
        for name, (file, one) in live.members.items()
    }
    forecast = EnsembleForecast(levels, quantiles, live.paths[symbol].paths[:steps])
    try:
        verdict, plans = decide(forecast, members, live.evaluation, entry, config, _gates(live, files))
    except UserError as error:
        raise UserError(f"{symbol}: {error}") from error
    path, plans_text = csv_text(path_table(quantiles, levels, entry)), csv_text(plans)
    outlook: PathForecast = {
        "t0_iso": entry.time,
        "horizon_m": steps * task.bar_ms // MINUTE,
        "times": list(entry.step_times),
        "price_forecast": (entry.close * np.exp(quantiles[:, list(levels).index(0.5)])).tolist(),
        "model_name": "+".join(sorted(live.weights)),
        "path_sha256": text_sha256(path),
    }
    document = {
        **verdict,
        **digests,
        "config": config,
        "simulated": live.cutoff["simulated"],
        "age_seconds": live.age,
        "candidates": {"symbols": 1, "rank": 1, "plans": len(plans)},
        "plans_sha256": text_sha256(plans_text),
        "forecast": outlook,
    }
    return Made(cast(UnsealedTrade, document), path, plans_text)


def sealed(document: UnsealedTrade) -> Trade:
    """The decision with its seal."""
    return {**document, "seal": seal(document)}


def path_table(path: np.ndarray, quantile_levels: Sequence[float], entry: Entry) -> pd.DataFrame:
    """`time, price_fc, q0.05 …`: the path's quantiles [steps, levels] as prices; `price_fc` is the median."""
    prices = pd.DataFrame(entry.close * np.exp(path), columns=quantile_columns(quantile_levels))
    prices.insert(0, "time", list(entry.step_times))
    prices.insert(1, "price_fc", prices["q0.5"])
    return prices


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


def _gates(live: Live, files: SymbolFiles) -> list[Gate]:
    """The gates that do not hang on the plan, in the order in which they are tested."""
    fresh = [] if live.age is None else [freshness_gate(live.age, live.task.bar_ms)]
    return [
        *fresh,
        skill_gate(live.evaluation),
        direction_gate(live.evaluation),
        calibration_gate(live.evaluation),
        data_quality_gate(read_document(files.quality, Quality)),
        novelty_gate(_novelty(files)),
    ]


def _novelty(files: SymbolFiles) -> Novelty:
    """How unlike those of training the features of the last bar are."""
    names = [name for name in parquet_columns(files.trained) if name not in KEYS]
    row = read_parquet(files.features, names).to_numpy(np.float64)[-1]
    return novelty(read_parquet(files.trained, names).to_numpy(np.float64), row)


def _age(cutoff: Mapping[str, Any], settings: Mapping[str, Any], interval: str) -> float | None:
    """Seconds since the cutoff by the exchange's clock; None of a cutoff that was not the present when it was taken."""
    if not cutoff["latest"]:
        return None
    exchange = open_exchange(settings, list(cutoff["symbols"].values()), interval)
    return max(0.0, (exchange.milliseconds() - cutoff["as_of"]) / 1000)


def _last_bars(candles: str, interval: str, origin: int) -> pd.DataFrame:
    """The last bars before the decision. Raises UserError unless the last of them is that of the cutoff."""
    bars = read_candles(candles, interval).iloc[-RECENT_BARS:]
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
        )
