"""What forecast files are worth: mean losses by fold, symbol, member and step, losses by origin, and means of means.

docs/evaluation.md says what each figure is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from forecasting import losses
from forecasting.distribution import Distribution
from forecasting.members import ORACLE, RANDOM_WALK, baselines
from forecasting.quantiles import Forecasts, read_forecasts
from forecasting.realised import realised_returns
from market.intervals import iso

INTERVALS = {50: (0.25, 0.75), 80: (0.1, 0.9), 90: (0.05, 0.95), 95: (0.025, 0.975)}
JUDGED = (50, 90)  # intervals whose width and Winkler score are told
COVERAGES = [f"coverage{percent}" for percent in INTERVALS]
LOSSES = ["pinball", "crps", "mae", "mse"]
WIDTHS = [f"{figure}{percent}" for figure in ("width", "winkler") for percent in JUDGED]
PLAIN = [*COVERAGES, "mase", "mape"]
FIGURES = ["pinball", "crps", *COVERAGES, *WIDTHS, "mae", "rmse", "mase", "mape"]
CELL = ["fold", "symbol", "member"]

Runs = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Market:
    """What came: log closes by open time (ms) of each symbol, `step` ms apart, and its MASE's unit (log return)."""

    closes: dict[str, pd.Series]
    scale: dict[str, float]
    step: int


@dataclass(frozen=True)
class Scores:
    """What members scored, and where they sat out.

    cells: a row of mean figures per fold, symbol, member and step. losses: a row per fold, symbol and origin with the
    pinball loss of each member, NaN where that sat out. crossings: by member. sat_out: folds by member.
    """

    cells: pd.DataFrame
    losses: pd.DataFrame
    crossings: dict[str, int]
    sat_out: dict[str, list[str]]


def by_fold(paths: Sequence[str]) -> Runs:
    """Forecast files by fold and member, from paths that end in <fold>/<member>.parquet, in the folds' order.

    Raises UserError when a fold lacks a member that another fold has, or the random walk.
    """
    runs: Runs = {}
    for path in sorted(map(Path, paths), key=lambda path: (int(path.parent.name), path.stem)):
        runs.setdefault(path.parent.name, {})[path.stem] = str(path)
    every = {RANDOM_WALK}.union(*runs.values())
    for fold, members in runs.items():
        missing = sorted(every - set(members))
        if missing:
            raise UserError(f"evaluate: fold {fold} lacks the forecasts of {', '.join(missing)}; predict them first")
    return runs


def naive_scale(closes: pd.Series, before: int, step: int) -> float:
    """Mean absolute one-bar change of log closes at times before `before`; NaN if there is none, or none but zeros.

    The naive forecast's error in training, MASE's unit: Hyndman and Koehler (2006), Int. J. Forecasting 22(4).
    """
    past = closes[closes.index < before]
    changes = np.abs(np.diff(past.to_numpy()))[np.diff(past.index.to_numpy()) == step]
    return float(changes.mean()) if changes.any() else np.nan


def score_runs(runs: Runs, market: Market, horizon: int, quantile_levels: Sequence[float]) -> Scores:
    """Scores of every forecast file.

    Raises UserError when members differ in their origins, an outcome is missing, or the random walk has no forecast.
    """
    cells: list[pd.DataFrame] = []
    losses: list[pd.DataFrame] = []
    crossings: dict[str, int] = {}
    sat_out: dict[str, list[str]] = {}
    for fold, members in runs.items():
        walk = read_forecasts(members[RANDOM_WALK], horizon, quantile_levels)
        if not len(walk.origin):
            raise UserError(f"{members[RANDOM_WALK]}: holds no forecast; delete it and run again to rebuild it")
        own = pd.DataFrame({"fold": int(fold), "symbol": walk.symbol, "origin": walk.origin})
        actual = came(walk, market, horizon)
        for member, path in members.items():
            said = read_forecasts(path, horizon, quantile_levels)
            if not len(said.origin):
                sat_out.setdefault(member, []).append(fold)
                continue
            if not said.same_origins(walk):
                raise UserError(f"{path}: has other origins than {members[RANDOM_WALK]}; delete both and run again")
            crossings[member] = crossings.get(member, 0) + said.crossings
            for symbol, rows in said.rows().items():
                part = score(actual[symbol], said.quantiles[rows], quantile_levels, market.scale[symbol])
                cells.append(_cell(int(fold), symbol, member, part))
                own.loc[rows.start : rows.stop - 1, member] = part["pinball"].mean(axis=1)
        losses.append(own)
    return Scores(pd.concat(cells, ignore_index=True), pd.concat(losses, ignore_index=True), crossings, sat_out)


def came(said: Forecasts, market: Market, horizon: int) -> dict[str, np.ndarray]:
    """Realised cumulative log returns [origins, horizon] of each symbol, in the forecasts' order.

    Raises UserError when the candles lack a bar of it.
    """
    found = {}
    for symbol, rows in said.rows().items():
        if symbol not in market.closes:
            raise UserError(f"evaluate: {symbol} is forecast, but has no candles; delete its forecasts and run again")
        closes, origin = market.closes[symbol], said.origin[rows]
        found[symbol] = realised_returns(closes, origin, market.step, horizon)
        if np.isnan(found[symbol]).any():
            times = (origin[:, None] + market.step * np.arange(horizon + 1)).ravel()
            lacking = iso(int(times[~np.isin(times, closes.index)][0]))
            raise UserError(
                f"evaluate: the candles of {symbol} lack the bar at {lacking} that forecasts are measured against; "
                "delete the forecasts and run again"
            )
    return found


def score(
    actual: np.ndarray, quantiles: np.ndarray, quantile_levels: Sequence[float], scale: float
) -> dict[str, np.ndarray]:
    """Every figure [origins, horizon] of outcomes [origins, horizon] and quantiles [..., levels].

    `pit` is [..., levels + 1]. An interval's end that is not among the levels is interpolated. `scale`: MASE's.
    """
    at, whole = (
        {level: quantiles[..., k] for k, level in enumerate(quantile_levels)},
        Distribution(quantile_levels, quantiles),
    )
    loss = losses.pinball(actual, quantiles, quantile_levels)
    error = actual - at[0.5]
    figures = {"pinball": loss.mean(axis=-1), "crps": losses.crps(loss, quantile_levels)}
    for percent, ends in INTERVALS.items():
        lower, upper = (at[level] if level in at else whole.quantile(level) for level in ends)
        figures[f"coverage{percent}"] = losses.covered(actual, lower, upper)
    for percent in JUDGED:
        lower, upper = (at[level] for level in INTERVALS[percent])
        figures[f"width{percent}"] = upper - lower
        figures[f"winkler{percent}"] = losses.winkler(actual, lower, upper, percent / 100)
    figures |= {"mae": np.abs(error), "mse": error**2, "mase": np.abs(error) / scale}
    return figures | {"mape": losses.price_error_percent(actual, at[0.5]), "pit": losses.pit(actual, quantiles)}


def scored(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The cells' mean figures by `keys`, with rmse, skill against each baseline and the oracle share, sorted."""
    # every origin has every step, so steps weigh alike
    means = cells.groupby(keys)[["origins", *LOSSES, *WIDTHS, *PLAIN]].mean().astype({"origins": np.int64})
    others = [key for key in keys if key != "member"]
    of_member = means["pinball"].unstack("member")
    wide = of_member.loc[pd.MultiIndex.from_frame(means.index.to_frame()[others])].set_axis(means.index)
    told = _compared(means, wide)
    skills = [f"skill_{name}" for name in baselines(wide.columns)]
    return told.reset_index()[[*keys, "origins", *FIGURES, *skills, "oracle_share"]]


def pool(cells: pd.DataFrame) -> pd.DataFrame:
    """Figures by member over all symbols and the folds that it forecast, origins weighing alike; and its PIT.

    Losses and widths are in units of the random walk's own at that symbol in those folds, so that a quiet symbol counts
    as a wild one does. A skill is NaN against a baseline that sat out one of those folds. Raises UserError when a
    symbol's price never moves.
    """
    still = cells[cells["member"] == RANDOM_WALK].groupby("symbol")["mae"].max()
    if not still.all():
        raise UserError(
            f"evaluate: the price of {', '.join(still.index[still == 0])} stands still in the test spans; "
            "drop it from symbols"
        )
    folds = {str(member): frozenset(own["fold"]) for member, own in cells.groupby("member")}
    parts = []
    for span in set(folds.values()):
        present = [member for member, own in folds.items() if own >= span]
        among = _pooled(cells[cells["fold"].isin(span) & cells["member"].isin(present)])
        parts.append(among.loc[[member for member in present if folds[member] == span]])
    return pd.concat(parts).sort_index()


def pit_shares(pooled: pd.DataFrame) -> pd.DataFrame:
    """Share of outcomes [members, levels + 1] below, between and above the quantiles, of pooled figures."""
    return pooled[[name for name in pooled.columns if name.startswith("pit")]]


def _cell(fold: int, symbol: str, member: str, figures: dict[str, np.ndarray]) -> pd.DataFrame:
    origins, horizon = figures["pinball"].shape
    keys = {"fold": fold, "symbol": symbol, "member": member, "step": np.arange(1, horizon + 1), "origins": origins}
    means = {name: values.mean(axis=0) for name, values in figures.items()}
    shares = means.pop("pit")
    return pd.DataFrame(keys | means | {f"pit{k}": shares[:, k] for k in range(shares.shape[1])})


def _pooled(cells: pd.DataFrame) -> pd.DataFrame:
    """`pool` of members that forecast all of the folds."""
    units = LOSSES + WIDTHS
    symbols = _weighted(cells, ["symbol", "member"])
    walk = symbols.loc[symbols.index.get_level_values("member") == RANDOM_WALK, units].droplevel("member")
    relative = cells.copy()
    relative[units] /= walk.where(walk > 0).loc[cells["symbol"]].to_numpy()
    members = _weighted(relative, ["member"])
    return _compared(members, pd.DataFrame([members["pinball"]] * len(members), index=members.index))


def _weighted(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean of every figure by `keys`, a cell weighing as many origins as it holds."""
    weights = cells["origins"]
    figures = cells.drop(columns=[*CELL, "step", "origins"])
    sums = figures.mul(weights, axis=0).assign(weight=weights, **cells[keys]).groupby(keys).sum(skipna=False)
    return sums.drop(columns="weight").div(sums["weight"], axis=0)


def _compared(means: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Add rmse, skills and oracle share to mean losses; `wide` holds each row's pinball loss of every member."""
    mine, walk = means["pinball"], wide[RANDOM_WALK]
    skills = {f"skill_{name}": 1 - mine / wide[name].where(wide[name] > 0) for name in baselines(wide.columns)}
    room = walk - wide[ORACLE] if ORACLE in wide else pd.Series(np.nan, index=means.index)
    share = (walk - mine) / room.where(room > 0)
    return means.assign(rmse=np.sqrt(means["mse"]), **skills, oracle_share=share)
