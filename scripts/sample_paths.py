"""Rule sample_paths: joint sample paths of all symbols from the live ensemble forecast."""

from collections.abc import Sequence
from pathlib import Path

from common.errors import UserError
from common.files import read_json, write_parquet
from common.job import job, say
from forecasting.bars import read_bars
from forecasting.paths.distribution import path_table
from forecasting.paths.history import read_history
from forecasting.paths.sampling import paths_from
from forecasting.quantiles import read_forecasts
from forecasting.task import Task
from market.intervals import iso


def live_paths(
    output: str,
    forecasts: str,
    candles: Sequence[str],
    train_cutoff: str,
    task: Task,
    count: int,
    seed: int,
) -> None:
    """Write `count` joint paths of the live ensemble forecast (`path_table`).

    candles: one <symbol>.parquet a symbol, of the training cutoff, whose dependence the paths have. Raises UserError
    where the symbols share no history or no origin.
    """
    history, _ = read_bars(candles, [], task.interval)
    names = [Path(path).stem for path in candles]
    end = read_json(train_cutoff)["as_of"]
    past = read_history({name: one.before(end) for name, one in zip(names, history, strict=True)}, task.horizon)
    every = read_forecasts(forecasts, task.horizon, task.quantile_levels)
    origin = int(every.origin.max(initial=0))
    forecast = every.at(origin)
    symbols = [str(symbol) for symbol in forecast.symbol]
    if symbols != past.symbols:
        raise UserError(
            f"{forecasts}: does not hold the live origin of each symbol; delete it and run again to rebuild it"
        )
    drawn = paths_from(forecast, past, task, count, seed)
    write_parquet(output, path_table(symbols, origin, forecast.close, drawn))
    say(f"sample_paths: {count} joint paths of {', '.join(symbols)}, {task.horizon} steps from {iso(origin)}")


if __name__ == "__main__":
    with job() as snakemake:
        live_paths(
            output=snakemake.output.paths,
            forecasts=snakemake.input.forecasts,
            candles=list(snakemake.input.candles),
            train_cutoff=snakemake.input.train_cutoff,
            task=Task(**snakemake.params.task),
            count=snakemake.params.sample_paths["count"],
            seed=snakemake.params.sample_paths["seed"],
        )
