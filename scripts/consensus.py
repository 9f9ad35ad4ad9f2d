"""Rule consensus: the members' live forecasts become one path and one sealed decision, BUY or HOLD."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_json, write_csv, write_json
from common.job import job, say
from forecasting.quantiles import Forecasts, quantile_columns, read_forecasts
from market.candles import read_candles
from market.intervals import MINUTE, iso, step_ms
from trading.decision import Market, decide, digest, seal, steps_ahead


def consensus(
    trade: str,
    path: str,
    forecast: str,
    weights: str,
    forecasts: Sequence[str],
    evaluation: str,
    candles: str,
    cutoff: str,
    symbol: str,
    interval: str,
    horizon: int,
    quantiles: Sequence[float],
    settings: Mapping[str, Any],
) -> None:
    """Write the sealed decision `trade` (JSON) and the ensemble forecast `path` (CSV, prices).

    forecast: the live ensemble forecast; weights: who it is made of. forecasts: a live file a member, named by it.
    candles: the symbol's bars up to the cutoff, whose last close is the entry. symbol: its slug. settings: the config's
    `consensus` section. Raises UserError on an impossible horizon_minutes or cash, and when forecasts, candles and
    cutoff are not of the same moment.
    """
    now, step = read_json(cutoff), step_ms(interval)
    steps = steps_ahead(settings["horizon_minutes"], horizon, step)
    origin = now["as_of"] - step
    market = Market(
        entry_time=iso(now["as_of"]),
        entry_close=_entry_close(candles, interval, origin),
        times=[iso(now["as_of"] + ahead * step) for ahead in range(1, steps + 1)],
    )
    members = {Path(file).stem: file for file in sorted(forecasts)}
    told = {name: read_forecasts(file, horizon, quantiles) for name, file in members.items()}
    # one without a forecast sits out
    members = {name: file for name, file in members.items() if len(told[name].origin)}
    paths = {name: _live_path(file, told[name], symbol, origin)[:steps] for name, file in members.items()}
    own = _live_path(forecast, read_forecasts(forecast, horizon, quantiles), symbol, origin)[:steps]
    decided = decide(own, paths, read_json(weights)["weights"], quantiles, read_json(evaluation), market, settings)

    write_csv(path, path_table(own, quantiles, market))
    for name, vote in decided["votes"].items():
        vote["forecast_sha256"] = digest(members[name])
    decided["forecast"] |= {"horizon_m": steps * step // MINUTE, "path_sha256": digest(path)}
    document = {
        "config": dict(settings) | {"symbol": symbol, "interval": interval, "horizon": horizon},
        "simulated": now["simulated"],
        "evaluation_sha256": digest(evaluation),
        "ensemble_sha256": digest(forecast),
        **decided,
    }
    write_json(trade, document | {"seal": seal(document)})
    decision = decided["decision"]
    say(f"consensus: {decision['action']} {symbol} at {decision['entry_time']}. {decision['reason']}")


def path_table(path: np.ndarray, quantile_levels: Sequence[float], market: Market) -> pd.DataFrame:
    """`time, price_fc, q0.05 …`: the path's quantiles [steps, levels] as prices; `price_fc` is the median."""
    prices = pd.DataFrame(market.entry_close * np.exp(path), columns=quantile_columns(quantile_levels))
    prices.insert(0, "time", list(market.times))
    prices.insert(1, "price_fc", prices["q0.5"])
    return prices


def _entry_close(candles: str, interval: str, origin: int) -> float:
    bars = read_candles(candles, interval)
    last = int(bars["timestamp"].iloc[-1])
    if last != origin:
        raise UserError(
            f"{candles}: its last bar opens at {iso(last)}, not at {iso(origin)} as the cutoff says; "
            "fetch again, or take another as_of"
        )
    return float(bars["close"].iloc[-1])


def _live_path(file: str, told: Forecasts, symbol: str, origin: int) -> np.ndarray:
    """Quantiles [horizon, levels] of the symbol from `origin`, of what was `told` in the file."""
    found = np.flatnonzero((told.symbol == symbol) & (told.origin == origin))
    if len(found) != 1:
        raise UserError(
            f"{file}: holds no forecast of {symbol} from {iso(origin)}; delete it and run again to rebuild it"
        )
    return told.quantiles[found[0]]


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
            symbol=snakemake.params.symbol,
            interval=snakemake.params.interval,
            horizon=snakemake.params.horizon,
            quantiles=snakemake.params.quantiles,
            settings=snakemake.params.consensus,
        )
