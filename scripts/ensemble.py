"""Rule combine: the ensemble forecast of a fold, of the members that did well in its validation, then calibrated."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import write_json, write_parquet
from common.job import job, say
from forecasting.documents import Weights, WeightSettings
from forecasting.ensemble import conformal as calibration
from forecasting.ensemble import weights as combination
from forecasting.losses import pinball
from forecasting.members import RANDOM_WALK
from forecasting.quantiles import Forecasts, forecast_table, read_forecasts
from forecasting.realised import log_closes, realised_returns
from market.intervals import step_ms


def ensemble(
    output: str,
    weights: str,
    forecasts: Sequence[str],
    validation: Sequence[str],
    candles: Sequence[str],
    live_candles: Sequence[str],
    interval: str,
    horizon: int,
    quantile_levels: Sequence[float],
    settings: Mapping[str, Any],
) -> None:
    """Write the ensemble forecast of one fold, and who it is made of (JSON: losses in validation, weights).

    forecasts, validation: a file a member, named by it: at the fold's origins, and at the validation origins before
    them. candles: one <symbol>.parquet a symbol, of the training cutoff. live_candles: likewise, with which they go on
    for fold "live"; empty for a test fold. settings: the config's sections `ensemble` and `calibration`.
    Raises UserError when members differ in origins, or a symbol's price never moves.
    """
    step = step_ms(interval)
    closes = log_closes(candles, live_candles)
    before = _read(validation, horizon, quantile_levels)
    now = _read(forecasts, horizon, quantile_levels)
    known = before[RANDOM_WALK]
    actual = _outcomes(known, closes, step, horizon)
    unit = _unit(known, actual, quantile_levels)
    losses = {
        name: float((pinball(actual, told.quantiles, quantile_levels).mean(axis=(1, 2)) / unit).mean())
        for name, told in before.items()
        if name in now
    }
    members = combination.selected(losses, settings["tolerance"])
    quantiles = {name: before[name].quantiles for name in members}
    share = (
        combination.equal_weights(members)
        if settings["weights"] == "equal"
        else combination.simplex_weights(quantiles, actual, unit, quantile_levels)
    )
    past = combination.weighted(quantiles, share)
    said = combination.weighted({name: now[name].quantiles for name in members}, share)
    table = _calibrated(known, past, now[RANDOM_WALK], said, closes, step, quantile_levels, settings)
    write_parquet(output, table)
    document: Weights = {
        "weights": share,
        "validation_loss": losses,
        "settings": cast(WeightSettings, dict(settings)),
    }
    write_json(weights, document)
    say(f"ensemble: {', '.join(f'{name} {weight:.2f}' for name, weight in share.items())}")


def _calibrated(
    known: Forecasts,
    past: np.ndarray,
    now: Forecasts,
    said: np.ndarray,
    closes: Mapping[str, pd.Series],
    step: int,
    quantile_levels: Sequence[float],
    settings: Mapping[str, Any],
) -> pd.DataFrame:
    """The table of forecasts `said` [n, horizon, levels] at the origins of `now`, corrected by what had come by each:
    of earlier ones, and of `past` at the origins of `known`."""
    before, horizon = known.rows(), said.shape[1]
    symbols, times, corrected = [], [], []
    for symbol, rows in now.rows().items():
        earlier = before.get(symbol, slice(0, 0))
        origin = np.concatenate([known.origin[earlier], now.origin[rows]])
        quantiles = np.concatenate([past[earlier], said[rows]])
        actual = realised_returns(closes[symbol], origin, step, horizon)
        whole = calibration.rolling(
            quantiles, actual, origin, step, quantile_levels, settings["window"], settings["strength"]
        )
        symbols.append(symbol)
        times.append(now.origin[rows])
        corrected.append(whole[len(past[earlier]) :])
    return forecast_table(symbols, times, corrected, quantile_levels)


def _read(paths: Sequence[str], horizon: int, quantile_levels: Sequence[float]) -> dict[str, Forecasts]:
    """The members' forecasts by name, without those that sit out. Raises UserError when members differ in origins."""
    told = {Path(path).stem: read_forecasts(path, horizon, quantile_levels) for path in sorted(paths)}
    told = {name: forecasts for name, forecasts in told.items() if len(forecasts.origin)}
    walk = told[RANDOM_WALK]
    for name, forecasts in told.items():
        if not forecasts.same_origins(walk):
            raise UserError(
                f"ensemble: {name} has other origins than {RANDOM_WALK}; delete its forecasts and run again"
            )
    return told


def _outcomes(told: Forecasts, closes: Mapping[str, pd.Series], step: int, horizon: int) -> np.ndarray:
    """Realised cumulative log returns [n, horizon] in the forecasts' order."""
    return np.concatenate(
        [realised_returns(closes[s], told.origin[rows], step, horizon) for s, rows in told.rows().items()]
    )


def _unit(walk: Forecasts, actual: np.ndarray, quantile_levels: Sequence[float]) -> np.ndarray:
    """The random walk's mean loss at each forecast's symbol [n]: a quiet symbol counts as a wild one does.

    Raises UserError when a symbol's price never moves.
    """
    loss = pd.Series(pinball(actual, walk.quantiles, quantile_levels).mean(axis=(1, 2)))
    unit = loss.groupby(walk.symbol).transform("mean").to_numpy()
    still = sorted(set(walk.symbol[unit == 0]))
    if still:
        raise UserError(f"ensemble: the price of {', '.join(still)} stands still until the test; drop it from symbols")
    return unit


if __name__ == "__main__":
    with job() as snakemake:
        ensemble(
            output=snakemake.output.forecasts,
            weights=snakemake.output.weights,
            forecasts=list(snakemake.input.forecasts),
            validation=list(snakemake.input.validation),
            candles=list(snakemake.input.candles),
            live_candles=list(snakemake.input.live_candles),
            interval=snakemake.params.interval,
            horizon=snakemake.params.horizon,
            quantile_levels=snakemake.params.quantiles,
            settings=snakemake.params.ensemble | snakemake.params.calibration,
        )
