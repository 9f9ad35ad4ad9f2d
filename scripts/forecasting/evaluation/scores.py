"""Scores of forecast files: means by fold, symbol, member and step, losses by origin, and pooled means.

docs/evaluation.md defines each metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from forecasting import losses
from forecasting.distribution import Distribution
from forecasting.documents import Metrics
from forecasting.members import ORACLE, RANDOM_WALK, baselines
from forecasting.quantiles import read_forecasts
from forecasting.realised import realised_of
from forecasting.task import Task

INTERVALS = {50: (0.25, 0.75), 80: (0.1, 0.9), 90: (0.05, 0.95), 95: (0.025, 0.975)}
SCORED_INTERVALS = (50, 90)  # those whose width and Winkler score are reported
COVERAGES = [f"coverage{percent}" for percent in INTERVALS]
LOSSES = ["pinball", "crps", "mae", "mse"]
WIDTHS = [f"{metric}{percent}" for metric in ("width", "winkler") for percent in SCORED_INTERVALS]
SCALE_FREE = [*COVERAGES, "mase", "mape"]
METRICS = list(Metrics.__annotations__)
CELL_KEYS = ["fold", "symbol", "member"]

# whose means in different states of the market are compared
CONDITIONAL = ["coverage50", "coverage90", "winkler50", "winkler90"]

FilesByFold = dict[str, dict[str, str]]


@dataclass(frozen=True)
class RealisedPrices:
    """What forecasts are scored against, by symbol: log closes by open time (ms), and the scale of the MASE.

    naive_mae: see the function of that name.
    """

    closes: dict[str, pd.Series]
    naive_mae: dict[str, float]


@dataclass(frozen=True)
class Scores:
    """Scores of all members.

    cells: a row of mean metrics per fold, symbol, member and step. losses: a row per fold, symbol and origin with the
    pinball loss of each member, NaN where it was skipped. cases: a row per fold, symbol, origin and member (`_cases`).
    crossings: by member. skipped: folds by member.
    """

    cells: pd.DataFrame
    losses: pd.DataFrame
    cases: pd.DataFrame
    crossings: dict[str, int]
    skipped: dict[str, list[str]]


def files_by_fold(paths: Sequence[str]) -> FilesByFold:
    """Forecast files by fold and member, from paths that end in <fold>/<member>.parquet, in the folds' order.

    Raises UserError when a fold lacks a member that another fold has, or the random walk.
    """
    files: FilesByFold = {}
    for path in sorted(map(Path, paths), key=lambda path: (int(path.parent.name), path.stem)):
        files.setdefault(path.parent.name, {})[path.stem] = str(path)
    members = {RANDOM_WALK}.union(*files.values())
    for fold, present in files.items():
        missing = sorted(members - set(present))
        if missing:
            raise UserError(f"fold {fold} lacks the forecasts of {', '.join(missing)}; predict them first")
    return files


def naive_mae(closes: pd.Series, before: int, bar_ms: int) -> float:
    """Mean absolute one-bar change of log closes at times before `before`; NaN if there is none, or none but zeros.

    The in-sample error of the naive forecast, by which the MASE is scaled: Hyndman and Koehler (2006), Int. J.
    Forecasting 22(4).
    """
    past = closes[closes.index < before]
    changes = np.abs(np.diff(past.to_numpy()))[np.diff(past.index.to_numpy()) == bar_ms]
    return float(changes.mean()) if changes.any() else np.nan


def score_files(files: FilesByFold, prices: RealisedPrices, task: Task) -> Scores:
    """Scores of every forecast file.

    Raises UserError when members differ in their origins, a realised return is missing, or the random walk has no
    forecast.
    """
    cells: list[pd.DataFrame] = []
    losses: list[pd.DataFrame] = []
    cases: list[pd.DataFrame] = []
    crossings: dict[str, int] = {}
    skipped: dict[str, list[str]] = {}
    for fold, members in files.items():
        walk = read_forecasts(members[RANDOM_WALK], task.horizon, task.quantile_levels)
        if not len(walk.origin):
            raise UserError(f"{members[RANDOM_WALK]}: holds no forecast; delete it and run again to rebuild it")
        fold_losses = pd.DataFrame({"fold": int(fold), "symbol": walk.symbol, "origin": walk.origin})
        actual = realised_of(walk, prices.closes, task.bar_ms, complete=True)
        for member, path in members.items():
            forecasts = read_forecasts(path, task.horizon, task.quantile_levels)
            if not len(forecasts.origin):
                skipped.setdefault(member, []).append(fold)
                continue
            if not forecasts.same_origins(walk):
                raise UserError(f"{path}: has other origins than {members[RANDOM_WALK]}; delete both and run again")
            crossings[member] = crossings.get(member, 0) + forecasts.crossings
            for symbol, rows in forecasts.rows().items():
                scale = prices.naive_mae[symbol]
                metrics = score(actual[rows], forecasts.quantiles[rows], task.quantile_levels, scale)
                cells.append(_cell(int(fold), symbol, member, metrics))
                origins = fold_losses.iloc[rows, :3].assign(member=member)
                cases.append(_cases(origins, metrics, actual[rows], forecasts.quantiles[rows], task))
                fold_losses.loc[rows.start : rows.stop - 1, member] = metrics["pinball"].mean(axis=1)
        losses.append(fold_losses)
    cell, loss, kept = (pd.concat(parts, ignore_index=True) for parts in (cells, losses, cases))
    return Scores(cell, loss, kept, crossings, skipped)


def direction_steps(horizon: int) -> list[int]:
    """The steps at which the median's direction is scored: the first, and a quarter, half and all of the horizon."""
    return sorted({1, -(-horizon // 4), -(-horizon // 2), horizon})


def score(
    actual: np.ndarray, quantiles: np.ndarray, quantile_levels: Sequence[float], naive_mae: float
) -> dict[str, np.ndarray]:
    """Every metric [origins, horizon] of realised returns [origins, horizon] and quantiles [..., levels].

    `pit` is [..., levels + 1]. An interval's end that is not among the levels is interpolated. `naive_mae`: MASE's
    scale.
    """
    by_level = {level: quantiles[..., k] for k, level in enumerate(quantile_levels)}
    distribution = Distribution(quantile_levels, quantiles)
    loss = losses.pinball(actual, quantiles, quantile_levels)
    error = actual - by_level[0.5]
    metrics = {"pinball": loss.mean(axis=-1), "crps": losses.crps(loss, quantile_levels)}
    for percent, ends in INTERVALS.items():
        lower, upper = (by_level[level] if level in by_level else distribution.quantile(level) for level in ends)
        metrics[f"coverage{percent}"] = losses.covered(actual, lower, upper)
    for percent in SCORED_INTERVALS:
        lower, upper = (by_level[level] for level in INTERVALS[percent])
        metrics[f"width{percent}"] = upper - lower
        metrics[f"winkler{percent}"] = losses.winkler(actual, lower, upper, percent / 100)
    metrics |= {"mae": np.abs(error), "mse": error**2, "mase": np.abs(error) / naive_mae}
    return metrics | {"mape": losses.price_error_percent(actual, by_level[0.5]), "pit": losses.pit(actual, quantiles)}


def mean_scores(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The cells' mean metrics by `keys`, with rmse, skill against each baseline and the oracle share, sorted."""
    # every origin has every step, so steps weigh alike
    means = cells.groupby(keys)[["origins", *LOSSES, *WIDTHS, *SCALE_FREE]].mean().astype({"origins": np.int64})
    others = [key for key in keys if key != "member"]
    by_member = means["pinball"].unstack("member")
    wide = by_member.loc[pd.MultiIndex.from_frame(means.index.to_frame()[others])].set_axis(means.index)
    skills = [f"skill_{name}" for name in baselines(wide.columns)]
    return _with_skill(means, wide).reset_index()[[*keys, "origins", *METRICS, *skills, "oracle_share"]]


def pool(cells: pd.DataFrame) -> pd.DataFrame:
    """Metrics by member over all symbols and the folds that it forecast, origins weighing alike; and its PIT.

    Losses and widths are relative to the random walk's at that symbol in those folds, so that a symbol of low
    volatility counts as one of high volatility does. A skill is NaN against a baseline that was skipped in one of those
    folds. Raises UserError when a symbol's price is constant.
    """
    error = cells[cells["member"] == RANDOM_WALK].groupby("symbol")["mae"].max()
    if not error.all():
        raise UserError(
            f"the price of {', '.join(error.index[error == 0])} is constant in the test spans; drop it from symbols"
        )
    folds = {str(member): frozenset(rows["fold"]) for member, rows in cells.groupby("member")}
    parts = []
    for span in set(folds.values()):
        present = [member for member, forecast in folds.items() if forecast >= span]
        pooled = _pooled(cells[cells["fold"].isin(span) & cells["member"].isin(present)])
        parts.append(pooled.loc[[member for member in present if folds[member] == span]])
    return pd.concat(parts).sort_index()


def pit_shares(pooled: pd.DataFrame) -> pd.DataFrame:
    """Share of outcomes [members, levels + 1] below, between and above the quantiles, of pooled metrics."""
    return pooled[[name for name in pooled.columns if name.startswith("pit")]]


def relative_losses(losses: pd.DataFrame) -> pd.DataFrame:
    """Losses by origin (`Scores.losses`), each divided by the random walk's mean at its symbol."""
    scale = losses.groupby("symbol")[RANDOM_WALK].transform("mean")
    members = losses.columns.drop(["fold", "symbol", "origin"])
    return losses.assign(**{member: losses[member] / scale for member in members})


def _cell(fold: int, symbol: str, member: str, metrics: dict[str, np.ndarray]) -> pd.DataFrame:
    origins, horizon = metrics["pinball"].shape
    keys = {"fold": fold, "symbol": symbol, "member": member, "step": np.arange(1, horizon + 1), "origins": origins}
    means = {name: values.mean(axis=0) for name, values in metrics.items()}
    shares = means.pop("pit")
    return pd.DataFrame(keys | means | {f"pit{k}": shares[:, k] for k in range(shares.shape[1])})


def _cases(
    origins: pd.DataFrame, metrics: dict[str, np.ndarray], actual: np.ndarray, quantiles: np.ndarray, task: Task
) -> pd.DataFrame:
    """What is kept of each forecast of a member, beside its keys (`fold`, `symbol`, `origin`, `member`), a row each.

    Means over the steps of `CONDITIONAL`; of the last step whether its 90 % interval was `inside`, its `deviation`, and
    the realised `variance` of the horizon's bars; at `direction_steps` the median and the realised return.
    """
    means = {name: metrics[name].mean(axis=1) for name in CONDITIONAL}
    last = {
        "inside": metrics["coverage90"][:, -1] > 0,
        "deviation": Distribution(task.quantile_levels, quantiles[:, -1]).deviation(),
        "variance": (np.diff(actual, axis=1, prepend=0) ** 2).sum(axis=1),
    }
    median = quantiles[..., list(task.quantile_levels).index(0.5)]
    steps = {
        f"{name}{step}": values[:, step - 1]
        for name, values in (("median", median), ("realised", actual))
        for step in direction_steps(task.horizon)
    }
    return origins.assign(**means, **last, **steps)


def _pooled(cells: pd.DataFrame) -> pd.DataFrame:
    """`pool` of members that forecast all of the folds."""
    scaled = LOSSES + WIDTHS
    symbols = _weighted_mean(cells, ["symbol", "member"])
    walk = symbols.loc[symbols.index.get_level_values("member") == RANDOM_WALK, scaled].droplevel("member")
    relative = cells.copy()
    relative[scaled] /= walk.where(walk > 0).loc[cells["symbol"]].to_numpy()
    members = _weighted_mean(relative, ["member"])
    return _with_skill(members, pd.DataFrame([members["pinball"]] * len(members), index=members.index))


def _weighted_mean(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean of every metric by `keys`, a cell weighing as many origins as it holds."""
    weights = cells["origins"]
    metrics = cells.drop(columns=[*CELL_KEYS, "step", "origins"])
    sums = metrics.mul(weights, axis=0).assign(weight=weights, **cells[keys]).groupby(keys).sum(skipna=False)
    return sums.drop(columns="weight").div(sums["weight"], axis=0)


def _with_skill(means: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Add rmse, skills and oracle share to mean losses; `wide` holds each row's pinball loss of every member."""
    loss, walk = means["pinball"], wide[RANDOM_WALK]
    skills = {f"skill_{name}": 1 - loss / wide[name].where(wide[name] > 0) for name in baselines(wide.columns)}
    possible_gain = walk - wide[ORACLE] if ORACLE in wide else pd.Series(np.nan, index=means.index)
    share = (walk - loss) / possible_gain.where(possible_gain > 0)
    return means.assign(rmse=np.sqrt(means["mse"]), **skills, oracle_share=share)
