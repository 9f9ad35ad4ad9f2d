"""Rule predict_oracle: a fold's forecast from information that no forecaster has, an upper bound of the others' skill.

On the simulated market it is the true distribution under the data-generating process. On a real one it is FHS of the
realised volatility of the bars ahead: without their direction.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_json, read_parquet, write_parquet
from common.job import job, say
from forecasting.bars import Bars
from forecasting.baselines.fhs import standardised_quantiles
from forecasting.baselines.har import FLOOR
from forecasting.folds import FoldScheme
from forecasting.quantiles import forecast_table
from forecasting.task import Task
from market.candles import read_candles
from market.simulated import open_simulated
from market.symbols import slug


def predict_oracle(
    output: str,
    reference: str,
    candles: Sequence[str],
    cutoff: str,
    fold: str,
    exchange: Mapping[str, Any],
    task: Task,
    scheme: FoldScheme,
) -> None:
    """Write the oracle's quantiles for every symbol and origin of the forecasts `reference`, as forecasts of the fold.

    candles: one <symbol>.parquet a symbol, and `cutoff`, of the training cutoff. exchange: the config's section. Raises
    UserError when `reference` is damaged, or holds a symbol that the simulated market does not have.
    """
    rows = read_parquet(reference, ["symbol", "origin", "close"]).drop_duplicates().sort_values(["symbol", "origin"])
    origins, closes = (
        {str(symbol): part[name].to_numpy() for symbol, part in rows.groupby("symbol")} for name in ("origin", "close")
    )
    say(f"predict_oracle: fold {fold}: {len(rows)} origins")
    if exchange["id"] == "simulated":
        quantiles = [true_quantiles(symbol, origin, exchange, task) for symbol, origin in origins.items()]
    else:
        fit_end = scheme.fold(fold, read_json(cutoff)["as_of"], task.bar_ms).train_end
        paths = {Path(path).stem: path for path in candles}
        bars = {symbol: Bars.of(read_candles(paths[symbol], task.interval), task.bar_ms) for symbol in origins}
        quantiles = [realised_volatility(bars[symbol], origin, fit_end, task) for symbol, origin in origins.items()]
    times, prices = list(origins.values()), list(closes.values())
    write_parquet(output, forecast_table(list(origins), times, prices, quantiles, task.quantile_levels))


def realised_volatility(bars: Bars, origin: np.ndarray, fit_end: int, task: Task) -> np.ndarray:
    """FHS quantiles [n, horizon, levels] after each origin [n] (ms), of the root of the variance summed over the bars
    ahead; standardised returns are those before `fit_end` (ms)."""
    floor = FLOOR * float(bars.before(fit_end).variance.mean())

    def deviation(part: Bars, rows: np.ndarray) -> np.ndarray:
        total = np.cumsum(np.concatenate([[0.0], part.variance + floor]))
        return np.sqrt(total[rows[:, None] + 1 + task.steps] - total[rows + 1, None])

    rows = pd.Index(bars.timestamp).get_indexer(pd.Index(origin))
    quantiles = standardised_quantiles(deviation, bars.before(fit_end), task.horizon, task.quantile_levels)
    return deviation(bars, rows)[:, :, None] * quantiles


def true_quantiles(symbol: str, origin: np.ndarray, exchange: Mapping[str, Any], task: Task) -> np.ndarray:
    """Quantiles [n, horizon, levels] after each origin [n] (ms) under the simulated market's data-generating process.

    Raises UserError when the market does not have the symbol.
    """
    market = open_simulated(exchange, [symbol], task.interval)
    names = {slug(name): name for name in market.load_markets()}
    if symbol not in names:
        raise UserError(f"{symbol}: is not on the simulated market; delete the forecasts and run again")
    return market.quantiles(names[symbol], origin, task.interval, task.horizon, task.quantile_levels)


if __name__ == "__main__":
    with job() as snakemake:
        predict_oracle(
            output=snakemake.output.forecasts,
            reference=snakemake.input.reference,
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            fold=snakemake.wildcards.fold,
            exchange=snakemake.params.exchange,
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
        )
