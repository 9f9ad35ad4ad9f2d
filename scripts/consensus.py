"""Rule consensus: the live forecasts become one price path and one sealed decision, BUY or HOLD."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_document, read_json, sha256, write_csv, write_json
from common.job import job, say
from forecasting.documents import Evaluation, Weights
from forecasting.quantiles import Forecasts, quantile_columns, read_forecasts
from forecasting.task import Task
from market.candles import read_candles
from market.exchange import open_exchange
from market.intervals import MINUTE, iso
from trading.decision import Entry, MemberForecast, decide, freshness_gate, seal, steps_ahead
from trading.documents import Trade, TradeConfig, UnsealedTrade


def consensus(
    trade: str,
    path: str,
    forecast: str,
    weights: str,
    forecasts: Sequence[str],
    evaluation: str,
    candles: str,
    cutoff: str,
    exchange_settings: Mapping[str, Any],
    symbol: str,
    task: Task,
    settings: Mapping[str, Any],
) -> None:
    """Write the sealed decision `trade` (JSON) and the ensemble forecast `path` (CSV, prices).

    forecast: the live ensemble forecast; weights: its members'. forecasts: a live file a member, named by it. candles:
    the symbol's bars up to the cutoff, whose last close is the entry. symbol: its slug. settings, exchange_settings:
    the config's sections `consensus` and `exchange`, whose clock tells the decision's age. Raises UserError on an
    impossible horizon_minutes or cash, and when forecasts, candles and cutoff are not of the same time.
    """
    now, levels = read_json(cutoff), task.quantile_levels
    config = cast(TradeConfig, {**settings, "symbol": symbol, "interval": task.interval, "horizon": task.horizon})
    steps = steps_ahead(config["horizon_minutes"], task.horizon, task.bar_ms)
    origin = now["as_of"] - task.bar_ms
    entry = Entry(
        time=iso(now["as_of"]),
        close=_entry_close(candles, task.interval, origin),
        step_times=[iso(now["as_of"] + ahead * task.bar_ms) for ahead in range(1, steps + 1)],
    )
    ensemble = _live_path(forecast, read_forecasts(forecast, task.horizon, levels), symbol, origin)[:steps]
    shares = read_document(weights, Weights)["weights"]
    members = {}
    for file in sorted(forecasts):
        live, name = read_forecasts(file, task.horizon, levels), Path(file).stem
        if len(live.origin):  # one without a forecast was skipped
            member_path = _live_path(file, live, symbol, origin)[:steps]
            members[name] = MemberForecast(member_path, shares.get(name, 0.0), sha256(file))
    age = _age(now, exchange_settings, task.interval)
    freshness = None if age is None else freshness_gate(age, task.bar_ms)
    decided = decide(ensemble, members, levels, read_document(evaluation, Evaluation), entry, config, freshness)

    table = path_table(ensemble, levels, entry)
    write_csv(path, table)
    document: UnsealedTrade = {
        **decided,
        "config": config,
        "simulated": now["simulated"],
        "age_seconds": age,
        "evaluation_sha256": sha256(evaluation),
        "ensemble_sha256": sha256(forecast),
        "forecast": {
            "t0_iso": entry.time,
            "horizon_m": steps * task.bar_ms // MINUTE,
            "times": list(entry.step_times),
            "price_forecast": (entry.close * np.exp(ensemble[:, list(levels).index(0.5)])).tolist(),
            "model_name": "+".join(sorted(shares)),
            "path_sha256": sha256(path),
        },
    }
    sealed: Trade = {**document, "seal": seal(document)}
    write_json(trade, sealed)
    decision = decided["decision"]
    say(f"consensus: {decision['action']} {symbol} at {decision['entry_time']}. {decision['reason']}")


def path_table(path: np.ndarray, quantile_levels: Sequence[float], entry: Entry) -> pd.DataFrame:
    """`time, price_fc, q0.05 …`: the path's quantiles [steps, levels] as prices; `price_fc` is the median."""
    prices = pd.DataFrame(entry.close * np.exp(path), columns=quantile_columns(quantile_levels))
    prices.insert(0, "time", list(entry.step_times))
    prices.insert(1, "price_fc", prices["q0.5"])
    return prices


def _age(cutoff: Mapping[str, Any], settings: Mapping[str, Any], interval: str) -> float | None:
    """Seconds since the cutoff by the exchange's clock; None of a cutoff that was not the present when it was taken."""
    if not cutoff["latest"]:
        return None
    exchange = open_exchange(settings, list(cutoff["symbols"].values()), interval)
    return max(0.0, (exchange.milliseconds() - cutoff["as_of"]) / 1000)


def _entry_close(candles: str, interval: str, origin: int) -> float:
    bars = read_candles(candles, interval)
    last = int(bars["timestamp"].iloc[-1])
    if last != origin:
        raise UserError(
            f"{candles}: its last bar opens at {iso(last)}, not at {iso(origin)} as the cutoff says; "
            "fetch again, or take another as_of"
        )
    return float(bars["close"].iloc[-1])


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
        consensus(
            trade=snakemake.output.trade,
            path=snakemake.output.path,
            forecast=snakemake.input.forecast,
            weights=snakemake.input.weights,
            forecasts=list(snakemake.input.forecasts),
            evaluation=snakemake.input.evaluation,
            candles=snakemake.input.candles,
            cutoff=snakemake.input.cutoff,
            exchange_settings=snakemake.params.connection,
            symbol=snakemake.params.symbol,
            task=Task(**snakemake.params.task),
            settings=snakemake.params.consensus,
        )
