"""The best possible forecast of a fold on the simulated market: the true quantiles under the law that made it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_parquet, write_parquet
from common.job import job, say
from market.intervals import parse_time
from market.simulated import Simulated
from market.symbols import slug


def predict_oracle(
    reference: str | Path,
    exchange: Mapping[str, Any],
    interval: str,
    horizon: int,
    quantiles: list[float],
    output: str | Path,
) -> None:
    """Write the true quantiles for every (symbol, origin) of the forecast `reference`.

    Parameters
    ----------
    reference: a forecast of the fold (Parquet; its columns `symbol` and `origin` are read).
    exchange: the `exchange` part of the config; `seed` and `tape_end` are read.
    interval, horizon: a bar's length as ccxt writes it, and how many of them are forecast.
    quantiles: levels, increasing.
    output: the forecast, a row per (symbol, origin, step), quantiles as cumulative log return from the close at origin.

    Raises
    ------
    UserError: `reference` is damaged, or holds a symbol that the simulated market does not have.
    """
    pairs = read_parquet(reference, columns=["symbol", "origin"]).drop_duplicates().sort_values(["symbol", "origin"])
    market = Simulated(exchange["seed"], parse_time(exchange["tape_end"]))
    names = {slug(symbol): symbol for symbol in market.load_markets()}
    parts = []
    for name in pairs["symbol"].unique().tolist():
        if name not in names:
            raise UserError(f"{reference}: {name} is not on the simulated market; delete the file and run again")
        origins = pairs.loc[pairs["symbol"] == name, "origin"].to_numpy(np.int64)
        say(f"predict_oracle: {name}, {len(origins)} origins")
        truth = market.quantiles(names[name], origins, interval, horizon, quantiles)
        parts.append(_rows(name, origins, truth, quantiles))
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs["crossings"] = 0
    write_parquet(output, frame)


def _rows(symbol: str, origins: np.ndarray, truth: np.ndarray, quantiles: list[float]) -> pd.DataFrame:
    """The forecast of one symbol, of quantiles [origins, horizon, levels]."""
    count, horizon, _ = truth.shape
    index = {
        "symbol": np.repeat(symbol, count * horizon),
        "origin": np.repeat(origins, horizon),
        "step": np.tile(np.arange(1, horizon + 1), count),
    }
    return pd.DataFrame(index | {f"q{level:g}": truth[..., i].ravel() for i, level in enumerate(quantiles)})


if __name__ == "__main__":
    with job() as snakemake:
        predict_oracle(
            reference=snakemake.input.reference,
            exchange=snakemake.params.exchange,
            interval=snakemake.params.interval,
            horizon=snakemake.params.horizon,
            quantiles=snakemake.params.quantiles,
            output=snakemake.output.forecasts,
        )
