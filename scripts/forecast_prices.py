"""Rule forecast_prices: the live ensemble forecast of all symbols as prices, one table for people."""

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import write_csv
from common.job import job, say
from forecasting.distribution import Distribution
from forecasting.quantiles import Forecasts, quantile_columns, read_forecasts
from forecasting.task import Task
from market.intervals import iso


def forecast_prices(output: str, forecasts: str, task: Task) -> None:
    """Write the table of the live ensemble forecast (`price_table`) as CSV.

    Raises UserError when the file of forecasts is damaged or holds none.
    """
    live = read_forecasts(forecasts, task.horizon, task.quantile_levels)
    if not len(live.origin):
        raise UserError(f"{forecasts}: holds no forecast; delete it and run again to rebuild it")
    latest = live.at(live.origin.max())
    write_csv(output, price_table(latest, task))
    say(f"forecast_prices: {len(latest.origin)} symbol(s), {task.horizon} steps from {iso(int(latest.origin[0]))}")


def price_table(forecasts: Forecasts, task: Task) -> pd.DataFrame:
    """`symbol, origin, close, step, time, price_q0.05 …, p_up`, a row a forecast and step.

    origin: open time of the last bar, close: its close, time: when the step's bar closes (ISO). Then the quantiles as
    prices, and the probability of a close above `close`: what the distribution through the quantiles
    (`forecasting.distribution`) has above a return of 0.
    """
    count, horizon, levels = forecasts.quantiles.shape
    closing = forecasts.origin[:, None] + task.bar_ms * (1 + task.steps)
    table = pd.DataFrame(
        {
            "symbol": np.repeat(forecasts.symbol, horizon),
            "origin": np.repeat([iso(int(time)) for time in forecasts.origin], horizon),
            "close": np.repeat(forecasts.close, horizon),
            "step": np.tile(task.steps, count),
            "time": [iso(int(time)) for time in closing.ravel()],
        }
    )
    prices = forecasts.close[:, None, None] * np.exp(forecasts.quantiles)
    table[[f"price_{name}" for name in quantile_columns(task.quantile_levels)]] = prices.reshape(-1, levels)
    # further digits depend on the machine
    table["p_up"] = np.round(1 - Distribution(task.quantile_levels, forecasts.quantiles).cdf(0.0).ravel(), 6)
    return table


if __name__ == "__main__":
    with job() as snakemake:
        forecast_prices(
            output=snakemake.output.table,
            forecasts=snakemake.input.forecasts,
            task=Task(**snakemake.params.task),
        )
