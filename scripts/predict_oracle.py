"""Rule predict_oracle: the best possible forecast of a fold on the simulated market, by the law that made it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import UserError
from common.files import read_parquet, write_parquet
from common.job import job, say
from forecasting.quantiles import forecast_table
from market.intervals import parse_time
from market.simulated import Simulated
from market.symbols import slug


def predict_oracle(
    reference: str | Path,
    exchange: Mapping[str, Any],
    interval: str,
    horizon: int,
    quantiles: Sequence[float],
    output: str | Path,
) -> None:
    """Write the true quantiles for every symbol and origin of the forecast `reference`, as forecasts of the fold.

    exchange: the config's `exchange` section; `seed` and `tape_end` are read. quantiles: levels, increasing.
    Raises UserError when `reference` is damaged, or holds a symbol that the simulated market does not have.
    """
    pairs = read_parquet(reference, ["symbol", "origin"]).drop_duplicates().sort_values(["symbol", "origin"])
    market = Simulated(exchange["seed"], parse_time(exchange["tape_end"]))
    names = {slug(symbol): symbol for symbol in market.load_markets()}
    symbols = pairs["symbol"].unique().tolist()
    origins = [pairs.loc[pairs["symbol"] == name, "origin"].to_numpy() for name in symbols]
    truth = []
    for name, own in zip(symbols, origins, strict=True):
        if name not in names:
            raise UserError(f"{reference}: {name} is not on the simulated market; delete the file and run again")
        say(f"predict_oracle: {name}, {len(own)} origins")
        truth.append(market.quantiles(names[name], own, interval, horizon, quantiles))
    write_parquet(output, forecast_table(symbols, origins, truth, quantiles))


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
