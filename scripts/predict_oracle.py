"""Rule predict_oracle: a fold's forecast by one who knows what no forecast can, the ceiling of the others.

On the simulated market that is the law that made it, and nothing can be better. On a real one it is the volatility that
came: still no direction, and the quantiles of returns in units of it from the history.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_json, read_parquet, write_parquet
from common.job import job, say
from forecasting.bars import Bars
from forecasting.baselines.fhs import relative_quantiles
from forecasting.baselines.har import FLOOR
from forecasting.folds import make_fold
from forecasting.quantiles import forecast_table
from market.candles import read_candles
from market.intervals import parse_time, step_ms
from market.simulated import Simulated
from market.symbols import slug


def predict_oracle(
    output: str,
    reference: str,
    candles: Sequence[str],
    cutoff: str,
    fold: str,
    symbols: Sequence[str],
    exchange: Mapping[str, Any],
    interval: str,
    horizon: int,
    quantile_levels: Sequence[float],
    folds: Mapping[str, int],
) -> None:
    """Write the oracle's quantiles for every symbol and origin of the forecast `reference`, as forecasts of the fold.

    candles: one file a symbol, in the order of `symbols`, and `cutoff`, of the training cutoff. exchange: the config's
    section. Raises UserError when `reference` is damaged, or holds a symbol that the simulated market does not have.
    """
    pairs = read_parquet(reference, ["symbol", "origin"]).drop_duplicates().sort_values(["symbol", "origin"])
    asked = {str(name): own["origin"].to_numpy() for name, own in pairs.groupby("symbol")}
    say(f"predict_oracle: fold {fold}: {len(pairs)} origins")
    if exchange["id"] == "simulated":
        truth = [_law(name, own, exchange, interval, horizon, quantile_levels) for name, own in asked.items()]
    else:
        end = make_fold(fold, read_json(cutoff)["as_of"], step_ms(interval), **folds).train_end
        paths = dict(zip(symbols, candles, strict=True))
        bars = {name: Bars.of(read_candles(paths[name], interval), step_ms(interval)) for name in asked}
        truth = [realised(bars[name], own, end, horizon, quantile_levels) for name, own in asked.items()]
    write_parquet(output, forecast_table(list(asked), list(asked.values()), truth, quantile_levels))


def realised(bars: Bars, origin: np.ndarray, end: int, horizon: int, quantile_levels: Sequence[float]) -> np.ndarray:
    """Quantiles [n, horizon, levels] after each origin [n] (ms) of one who knows the bars' variance to come.

    The quantiles of returns in units of it are those before `end` (ms).
    """
    floor = FLOOR * float(bars.before(end).variance.mean())

    def scale(part: Bars, rows: np.ndarray) -> np.ndarray:
        total = np.cumsum(np.concatenate([[0.0], part.variance + floor]))
        return np.sqrt(total[rows[:, None] + 1 + np.arange(1, horizon + 1)] - total[rows + 1, None])

    rows = pd.Index(bars.timestamp).get_indexer(pd.Index(origin))
    return scale(bars, rows)[:, :, None] * relative_quantiles(scale, bars.before(end), horizon, quantile_levels)


def _law(
    name: str,
    origin: np.ndarray,
    exchange: Mapping[str, Any],
    interval: str,
    horizon: int,
    quantile_levels: Sequence[float],
) -> np.ndarray:
    market = Simulated(exchange["seed"], parse_time(exchange["data_end"]))
    names = {slug(symbol): symbol for symbol in market.load_markets()}
    if name not in names:
        raise UserError(f"predict_oracle: {name} is not on the simulated market; delete the forecasts and run again")
    return market.quantiles(names[name], origin, interval, horizon, quantile_levels)


if __name__ == "__main__":
    with job() as snakemake:
        predict_oracle(
            output=snakemake.output.forecasts,
            reference=snakemake.input.reference,
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            fold=snakemake.wildcards.fold,
            symbols=snakemake.params.symbols,
            exchange=snakemake.params.exchange,
            interval=snakemake.params.interval,
            horizon=snakemake.params.horizon,
            quantile_levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
        )
