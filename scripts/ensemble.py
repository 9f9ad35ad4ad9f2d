"""Rule ensemble: a fold's ensemble forecast, the calibrated average of its members, weighted by their losses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import write_csv, write_json, write_parquet
from common.job import job, say
from forecasting.documents import Weights, WeightSettings
from forecasting.ensemble import conformal
from forecasting.ensemble.ticks import round_to_ticks, tick_size
from forecasting.ensemble.weights import (
    equal_weights,
    exponential_weights,
    identical_members,
    miscovered_members,
    select_members,
    simplex_weights,
)
from forecasting.losses import pinball, winkler
from forecasting.members import DRIFT, RANDOM_WALK
from forecasting.quantiles import Forecasts, forecast_table, read_forecasts
from forecasting.realised import log_closes, realised_of, realised_returns
from forecasting.task import Task

# weights [n] by member at each of their forecasts; one that is 0 throughout may be left out
Shares = Mapping[str, np.ndarray]


def ensemble(
    output: str,
    weights: str,
    shares: str,
    forecasts: Sequence[str],
    validation: Sequence[str],
    candles: Sequence[str],
    live_candles: Sequence[str],
    task: Task,
    settings: Mapping[str, Any],
    calibration: Mapping[str, Any],
) -> None:
    """Write the ensemble forecast of a fold, its members' weights and losses in validation (JSON), and their weights at
    each origin (`shares`, CSV: `weights_table`).

    forecasts, validation: a file a member, named by it: at the fold's origins, and at the validation origins before
    them. candles: one <symbol>.parquet a symbol, of the training cutoff. live_candles: likewise, which continue them
    for fold "live"; empty for a test fold. settings, calibration: the config's sections `ensemble`, `calibration`.
    Raises UserError when members differ in origins, or a symbol's price never changes.
    """
    closes = log_closes(candles, live_candles)
    past, now = Candidates.read(validation, closes, task), Candidates.read(forecasts, closes, task)
    usual = _usual_losses(past, task)
    losses = {name: past.losses(name, usual) for name in past.members if name in now.members}
    identical = identical_members({name: (past.quantiles(name), now.quantiles(name)) for name in losses})
    distinct = {name: past.quantiles(name) for name in losses if name not in identical}
    miscovered = miscovered_members(distinct, past.realised, past.walk.origin, task.quantile_levels)
    usable = {name: float(losses[name].mean()) for name in distinct if name not in miscovered}
    if settings["weights"] == "exponential":
        before, after = _exponential(past, now, list(usable), usual, settings)
    else:
        before, after = _fixed(past, now, usable, usual, settings)
    earlier = past.mixed(before)
    method = calibration_method(earlier, closes, task, calibration)
    taken = {**calibration, "method": method}
    write_parquet(output, calibrated(earlier, now.mixed(after), closes, task, taken))
    # of the live fold those at its live origin
    told = now.walk.origin == now.walk.origin.max() if live_candles else slice(None)
    document: Weights = {
        "weights": {name: share for name in sorted(after) if (share := round(float(after[name][told].mean()), 4))},
        "validation_loss": {name: float(loss.mean()) for name, loss in losses.items()},
        "identical": identical,
        "miscovered": miscovered,
        "calibration": method,
        "settings": cast(WeightSettings, {**settings, **calibration}),
    }
    write_json(weights, document)
    write_csv(shares, weights_table(now.walk, after))
    say(f"ensemble: {describe(document)}")


@dataclass(frozen=True)
class Candidates:
    """The members' forecasts at the same origins, by name, without skipped members."""

    members: dict[str, Forecasts]
    closes: Mapping[str, pd.Series]
    task: Task

    @classmethod
    def read(cls, paths: Sequence[str], closes: Mapping[str, pd.Series], task: Task) -> "Candidates":
        """Read a file a member, named by it; `drift` is none of them, but the direction of those without one.

        Raises UserError when members differ in origins.
        """
        files = {Path(path).stem: read_forecasts(path, task.horizon, task.quantile_levels) for path in sorted(paths)}
        members = {name: forecasts for name, forecasts in files.items() if len(forecasts.origin)}
        for name, forecasts in members.items():
            if not forecasts.same_origins(members[RANDOM_WALK]):
                raise UserError(f"{name}: has other origins than {RANDOM_WALK}; delete its forecasts and run again")
        return cls(directed(members, task), closes, task)

    @property
    def walk(self) -> Forecasts:
        """The random walk's forecasts, whose origins and symbols all have."""
        return self.members[RANDOM_WALK]

    @cached_property
    def realised(self) -> np.ndarray:
        """Realised cumulative log returns [n, horizon]; NaN where a bar is missing."""
        return realised_of(self.walk, self.closes, self.task.bar_ms)

    def quantiles(self, member: str) -> np.ndarray:
        """Its quantiles [n, horizon, levels]."""
        return self.members[member].quantiles

    def losses(self, member: str, usual: pd.Series) -> np.ndarray:
        """Mean pinball loss [n] of each of a member's forecasts, in units of the symbol's usual one."""
        loss = pinball(self.realised, self.quantiles(member), self.task.quantile_levels).mean(axis=(1, 2))
        # a symbol without a validation origin has no usual loss, and no say in the weights
        return loss / usual.reindex(self.walk.symbol).to_numpy()

    def mixed(self, shares: Shares) -> Forecasts:
        """The weighted average of the members' forecasts, level by level (Vincent averaging)."""
        total = sum(share[:, None, None] * self.quantiles(name) for name, share in shares.items())
        return replace(self.walk, quantiles=np.asarray(total))


def weights_table(walk: Forecasts, shares: Shares) -> pd.DataFrame:
    """`origin`, and a column a member with its weight there: a row an origin time, since all symbols have the same."""
    first = np.unique(walk.origin, return_index=True)[1]
    rounded = {name: np.round(shares[name][first], 4) for name in sorted(shares)}
    return pd.DataFrame({"origin": walk.origin[first], **rounded})


def directed(members: Mapping[str, Forecasts], task: Task) -> dict[str, Forecasts]:
    """The members but `drift`: where a member's median is no change at every origin, with `drift`'s in its place."""
    others = {name: forecasts for name, forecasts in members.items() if name != DRIFT}
    if DRIFT not in members:
        return others
    middle = list(task.quantile_levels).index(0.5)
    shift = members[DRIFT].quantiles[..., [middle]]
    for name, forecasts in others.items():
        if shift.any() and not forecasts.quantiles[..., middle].any():
            others[name] = replace(forecasts, quantiles=forecasts.quantiles + shift)
    return others


def calibrated(
    past: Forecasts, now: Forecasts, closes: Mapping[str, pd.Series], task: Task, settings: Mapping[str, Any]
) -> pd.DataFrame:
    """The table of the forecasts `now`, calibrated by the returns realised by each of their origins: those after the
    origins of `past`, and after earlier ones of `now`. Its quantiles are at prices that can occur: multiples of the
    tick of the closes before them."""
    before = past.rows()
    symbols, origins, prices, quantiles = [], [], [], []
    for symbol, rows in now.rows().items():
        earlier = before.get(symbol, slice(0, 0))
        origin = np.concatenate([past.origin[earlier], now.origin[rows]])
        forecast = np.concatenate([past.quantiles[earlier], now.quantiles[rows]])
        realised = realised_returns(closes[symbol], origin, task.bar_ms, task.horizon)
        forecast = _calibrated(forecast, realised, origin, task, settings)
        symbols.append(symbol)
        origins.append(now.origin[rows])
        prices.append(now.close[rows])
        forecast = forecast[len(past.origin[earlier]) :]
        tick = tick_size(np.exp(closes[symbol].loc[: now.origin[rows][0]].to_numpy()))
        quantiles.append(round_to_ticks(forecast, now.close[rows], tick) if tick else forecast)
    return forecast_table(symbols, origins, prices, quantiles, task.quantile_levels)


def calibration_method(
    past: Forecasts, closes: Mapping[str, pd.Series], task: Task, settings: Mapping[str, Any]
) -> Literal["rolling", "pid"]:
    """The method of the settings; of `auto`, the one with the smaller Winkler score in the latter half of validation.

    The score is of the outermost interval, each symbol's relative to that of the forecasts `past` as they are.
    """
    if settings["method"] != "auto":
        return cast(Literal["rolling", "pid"], settings["method"])
    scores = dict.fromkeys(("rolling", "pid"), 0.0)
    for symbol, rows in past.rows().items():
        origin, quantiles = past.origin[rows], past.quantiles[rows]
        realised = realised_returns(closes[symbol], origin, task.bar_ms, task.horizon)
        usual = _latest_winkler(realised, quantiles, task)
        for method in scores:
            made = _calibrated(quantiles, realised, origin, task, {**settings, "method": method})
            scores[method] += _latest_winkler(realised, made, task) / usual if usual > 0 else 0
    return "pid" if scores["pid"] < scores["rolling"] else "rolling"


def _calibrated(
    quantiles: np.ndarray, realised: np.ndarray, origin: np.ndarray, task: Task, settings: Mapping[str, Any]
) -> np.ndarray:
    if settings["method"] == "pid":
        return conformal.pid(quantiles, realised, origin, task)
    return conformal.rolling(quantiles, realised, origin, task, settings["window"], settings["strength"])


def _latest_winkler(realised: np.ndarray, quantiles: np.ndarray, task: Task) -> float:
    """Mean Winkler score of the outermost interval in the latter half of the forecasts; 0 where there is none."""
    half = len(realised) // 2
    coverage = task.quantile_levels[-1] - task.quantile_levels[0]
    scores = winkler(realised[half:], quantiles[half:, :, 0], quantiles[half:, :, -1], coverage)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else 0.0


def describe(document: Weights) -> str:
    """The members with their weights, and those that were left out."""
    parts = [", ".join(f"{name} {share:.2f}" for name, share in document["weights"].items())]
    parts += [f"{name} is {twin}, and counts once" for name, twin in document["identical"].items()]
    parts += [
        f"{name} left out (its interval covered {share:.0%} of the latest validation)"
        for name, share in document["miscovered"].items()
    ]
    return "; ".join(parts)


def _exponential(
    past: Candidates, now: Candidates, members: Sequence[str], usual: pd.Series, settings: Mapping[str, Any]
) -> tuple[Shares, Shares]:
    """Exponential weights of the members at each forecast of `past` and of `now`, by the losses realised by then."""
    origin = np.concatenate([past.walk.origin, now.walk.origin])
    losses = [np.concatenate([split.losses(name, usual) for split in (past, now)]) for name in members]
    moments, place = np.unique(origin, return_inverse=True)
    # of all symbols at a moment; those that have a realised path by then
    by_moment = pd.DataFrame(np.stack(losses, axis=1)).groupby(place).mean().to_numpy()
    horizon_ms = past.task.horizon * past.task.bar_ms
    weights = exponential_weights(by_moment, moments, horizon_ms, settings["rate"], settings["halflife"])[place]
    count = len(past.walk.origin)
    before, after = (dict(zip(members, part.T, strict=True)) for part in (weights[:count], weights[count:]))
    return before, after


def _fixed(
    past: Candidates, now: Candidates, losses: Mapping[str, float], usual: pd.Series, settings: Mapping[str, Any]
) -> tuple[Shares, Shares]:
    """The same weights at every forecast, of the members whose mean validation `losses` are close to the smallest."""
    members = select_members(losses, settings["tolerance"])
    weights = equal_weights(members)
    if settings["weights"] == "simplex":
        quantiles = {name: past.quantiles(name) for name in members}
        reference = usual[past.walk.symbol].to_numpy()
        weights = simplex_weights(quantiles, past.realised, reference, past.task.quantile_levels)
    before, after = (
        {name: np.full(len(split.walk.origin), weight) for name, weight in weights.items()} for split in (past, now)
    )
    return before, after


def _usual_losses(past: Candidates, task: Task) -> pd.Series:
    """The random walk's mean loss by symbol: in its units, quiet and volatile symbols count alike.

    Raises UserError when a symbol's price never changes.
    """
    loss = pinball(past.realised, past.walk.quantiles, task.quantile_levels).mean(axis=(1, 2))
    usual = pd.Series(loss).groupby(past.walk.symbol).mean()
    constant = sorted(usual.index[usual == 0])
    if constant:
        raise UserError(f"the price of {', '.join(constant)} never changes in validation; remove it from symbols")
    return usual


if __name__ == "__main__":
    with job() as snakemake:
        ensemble(
            output=snakemake.output.forecasts,
            weights=snakemake.output.weights,
            shares=snakemake.output.shares,
            forecasts=list(snakemake.input.forecasts),
            validation=list(snakemake.input.validation),
            candles=list(snakemake.input.candles),
            live_candles=list(snakemake.input.live_candles),
            task=Task(**snakemake.params.task),
            settings=snakemake.params.ensemble,
            calibration=snakemake.params.calibration,
        )
