"""Rule ensemble: a fold's ensemble forecast, the calibrated average of the members with the best validation losses."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import write_json, write_parquet
from common.job import job, say
from forecasting.documents import Weights, WeightSettings
from forecasting.ensemble import conformal
from forecasting.ensemble.weights import equal_weights, select_members, simplex_weights
from forecasting.losses import pinball
from forecasting.members import RANDOM_WALK
from forecasting.quantiles import Forecasts, average, forecast_table, read_forecasts
from forecasting.realised import log_closes, realised_of, realised_returns
from forecasting.task import Task


def ensemble(
    output: str,
    weights: str,
    forecasts: Sequence[str],
    validation: Sequence[str],
    candles: Sequence[str],
    live_candles: Sequence[str],
    task: Task,
    settings: Mapping[str, Any],
    calibration: Mapping[str, Any],
) -> None:
    """Write the ensemble forecast of a fold, and its members' weights and losses in validation (JSON).

    forecasts, validation: a file a member, named by it: at the fold's origins, and at the validation origins before
    them. candles: one <symbol>.parquet a symbol, of the training cutoff. live_candles: likewise, which continue them
    for fold "live"; empty for a test fold. settings, calibration: the config's sections `ensemble`, `calibration`.
    Raises UserError when members differ in origins, or a symbol's price never changes.
    """
    closes = log_closes(candles, live_candles)
    past, now = _read(validation, task), _read(forecasts, task)
    realised = realised_of(past[RANDOM_WALK], closes, task.bar_ms)
    reference_loss = _reference_loss(past[RANDOM_WALK], realised, task.quantile_levels)
    losses = {
        name: float((_losses(member, realised, task.quantile_levels) / reference_loss).mean())
        for name, member in past.items()
        if name in now
    }
    members = select_members(losses, settings["tolerance"])
    shares = equal_weights(members)
    if settings["weights"] == "simplex":
        quantiles = {name: past[name].quantiles for name in members}
        shares = simplex_weights(quantiles, realised, reference_loss, task.quantile_levels)
    table = calibrated(_weighted(past, shares), _weighted(now, shares), closes, task, calibration)
    write_parquet(output, table)
    document: Weights = {
        "weights": shares,
        "validation_loss": losses,
        "settings": cast(WeightSettings, {**settings, **calibration}),
    }
    write_json(weights, document)
    say(f"ensemble: {', '.join(f'{name} {share:.2f}' for name, share in shares.items())}")


def calibrated(
    past: Forecasts, now: Forecasts, closes: Mapping[str, pd.Series], task: Task, settings: Mapping[str, Any]
) -> pd.DataFrame:
    """The table of the forecasts `now`, calibrated by the returns realised by each of their origins: those after the
    origins of `past`, and after earlier ones of `now`."""
    before = past.rows()
    symbols, origins, quantiles = [], [], []
    for symbol, rows in now.rows().items():
        earlier = before.get(symbol, slice(0, 0))
        origin = np.concatenate([past.origin[earlier], now.origin[rows]])
        forecast = np.concatenate([past.quantiles[earlier], now.quantiles[rows]])
        realised = realised_returns(closes[symbol], origin, task.bar_ms, task.horizon)
        forecast = conformal.rolling(forecast, realised, origin, task, settings["window"], settings["strength"])
        symbols.append(symbol)
        origins.append(now.origin[rows])
        quantiles.append(forecast[len(past.origin[earlier]) :])
    return forecast_table(symbols, origins, quantiles, task.quantile_levels)


def _read(paths: Sequence[str], task: Task) -> dict[str, Forecasts]:
    """The members' forecasts by name, without skipped members. Raises UserError when members differ in origins."""
    files = {Path(path).stem: read_forecasts(path, task.horizon, task.quantile_levels) for path in sorted(paths)}
    members = {name: forecasts for name, forecasts in files.items() if len(forecasts.origin)}
    for name, forecasts in members.items():
        if not forecasts.same_origins(members[RANDOM_WALK]):
            raise UserError(f"{name}: has other origins than {RANDOM_WALK}; delete its forecasts and run again")
    return members


def _weighted(members: Mapping[str, Forecasts], weights: Mapping[str, float]) -> Forecasts:
    """The weighted average of the members' forecasts."""
    quantiles = average([members[name].quantiles for name in weights], list(weights.values()))
    return replace(members[RANDOM_WALK], quantiles=quantiles)


def _losses(forecasts: Forecasts, realised: np.ndarray, quantile_levels: Sequence[float]) -> np.ndarray:
    """Mean pinball loss [n] of each forecast."""
    return pinball(realised, forecasts.quantiles, quantile_levels).mean(axis=(1, 2))


def _reference_loss(walk: Forecasts, realised: np.ndarray, quantile_levels: Sequence[float]) -> np.ndarray:
    """The random walk's mean loss at each forecast's symbol [n]: in its units, quiet and volatile symbols count alike.

    Raises UserError when a symbol's price never changes.
    """
    loss = pd.Series(_losses(walk, realised, quantile_levels))
    reference = loss.groupby(walk.symbol).transform("mean").to_numpy()
    constant = sorted(set(walk.symbol[reference == 0]))
    if constant:
        raise UserError(f"the price of {', '.join(constant)} never changes in validation; remove it from symbols")
    return reference


if __name__ == "__main__":
    with job() as snakemake:
        ensemble(
            output=snakemake.output.forecasts,
            weights=snakemake.output.weights,
            forecasts=list(snakemake.input.forecasts),
            validation=list(snakemake.input.validation),
            candles=list(snakemake.input.candles),
            live_candles=list(snakemake.input.live_candles),
            task=Task(**snakemake.params.task),
            settings=snakemake.params.ensemble,
            calibration=snakemake.params.calibration,
        )
