"""Rule evaluate: scores of every member against what came, by fold, symbol and step, and whether the TFT is worth it.

docs/evaluation.md says what each figure is.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_json, read_parquet, write_csv, write_json
from common.job import job, say
from forecasting import scoring
from forecasting.folds import Fold, make_fold
from forecasting.members import BASELINES, ORACLE, RANDOM_WALK, TFT
from forecasting.quantiles import Forecasts, read_forecasts
from market.intervals import iso, step_ms

CELL = ["fold", "symbol", "member"]
LOSSES = ["pinball", "crps", "mae", "mse"]
PLAIN = ["coverage50", "coverage90", "mape"]
SKILLS = [f"skill_{baseline}" for baseline in BASELINES]
COLUMNS = ["origins", "pinball", "crps", "coverage50", "coverage90", "mae", "rmse", "mape", *SKILLS, "oracle_share"]
# below this many stretches of independent origins, a standard error says nothing
STRETCHES = 5

Closes = dict[str, pd.Series]
Runs = dict[str, dict[str, str]]


def evaluate(
    table: str,
    steps: str,
    summary: str,
    forecasts: list[str],
    candles: list[str],
    pin: str,
    exchange: str,
    interval: str,
    symbols: list[str],
    horizon: int,
    levels: list[float],
    folds: dict[str, int],
    stride: int,
) -> None:
    """Write the scores of every fold, symbol and member (`table`), of every step too (`steps`), and the `summary`.

    forecasts: files named <fold>/<member>.parquet. candles: one <symbol>.parquet a symbol, and `pin`, both of the
    training pin. folds: count, test_bars, embargo. stride: bars between origins.
    Raises UserError when members differ in their origins, or an outcome is missing from the candles.
    """
    pinned, step = read_json(pin), step_ms(interval)
    closes = {Path(path).stem: _log_close(path) for path in candles}
    runs = by_fold(forecasts)
    cells, losses, crossings = score_runs(runs, closes, step, horizon, levels)
    missing = sorted(set(symbols) - set(cells["symbol"]))
    if missing:
        raise UserError(f"evaluate: no test origin of {', '.join(missing)} in any fold; drop it, or lengthen the folds")

    per_symbol = scored(cells, CELL)
    pooled = pool(cells)
    best = min(BASELINES, key=lambda name: pooled["pinball"][name])
    spans = [make_fold(fold, pinned["as_of"], step, **folds) for fold in runs]
    gap = difference(losses, best, stride * step, horizon, stride)
    content = {
        "simulated": pinned["simulated"],
        "exchange": exchange,
        "interval": interval,
        "horizon": horizon,
        "symbols": symbols,
        "quantiles": levels,
        "folds": [_fold(span, int((losses["fold"] == int(span.name)).sum())) for span in spans],
        "members": {member: _member(pooled.loc[member], crossings[member]) for member in pooled.index},
        "best_baseline": best,
        "skill_vs_best_baseline": number(pooled[f"skill_{best}"][TFT]),
        "difference": gap,
        "verdict": verdict(gap),
    }
    write_csv(table, per_symbol)
    write_csv(steps, scored(cells, [*CELL, "step"]))
    write_json(summary, content)
    say(report(pooled, content["verdict"]))


def by_fold(paths: list[str]) -> Runs:
    """Forecast files by fold and member, from paths that end in <fold>/<member>.parquet, in the folds' order."""
    runs: Runs = {}
    for path in sorted(map(Path, paths), key=lambda path: (int(path.parent.name), path.stem)):
        runs.setdefault(path.parent.name, {})[path.stem] = str(path)
    for fold, members in runs.items():
        missing = sorted({TFT, *BASELINES} - set(members))
        if missing:
            raise UserError(f"evaluate: fold {fold} lacks the forecasts of {', '.join(missing)}; predict them first")
    return runs


def score_runs(
    runs: Runs, closes: Closes, step: int, horizon: int, levels: list[float]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Mean losses by fold, symbol, member and step; a row of pinball losses by origin; crossings by member."""
    cells: list[pd.DataFrame] = []
    losses: list[pd.DataFrame] = []
    crossings: dict[str, int] = {}
    for fold, members in runs.items():
        keys: pd.DataFrame | None = None
        actual: dict[str, np.ndarray] = {}
        first = next(iter(members.values()))
        for member, path in members.items():
            said = read_forecasts(path, horizon, levels)
            if keys is None:
                keys = pd.DataFrame({"fold": int(fold), "symbol": said.symbol, "origin": said.origin})
                actual = outcomes(said, closes, step, horizon)
            elif not (np.array_equal(keys["symbol"], said.symbol) and np.array_equal(keys["origin"], said.origin)):
                raise UserError(f"{path}: has other origins than {first}; delete both and run again")
            crossings[member] = crossings.get(member, 0) + said.crossings
            scores = {name: score(actual[name], said.quantiles[rows], levels) for name, rows in said.rows().items()}
            cells += [_cell(int(fold), name, member, part) for name, part in scores.items()]
            keys[member] = np.concatenate([part["pinball"].mean(axis=1) for part in scores.values()])
        if keys is not None:
            losses.append(keys)
    return pd.concat(cells, ignore_index=True), pd.concat(losses, ignore_index=True), crossings


def outcomes(said: Forecasts, closes: Closes, step: int, horizon: int) -> dict[str, np.ndarray]:
    """Realised cumulative log returns [origins, horizon] of each symbol, in the forecasts' order.

    Raises UserError when the candles lack a bar of it.
    """
    found = {}
    for symbol, rows in said.rows().items():
        if symbol not in closes:
            raise UserError(f"evaluate: {symbol} is forecast, but has no candles; delete its forecasts and run again")
        times = said.origin[rows, None] + step * np.arange(horizon + 1)
        path = closes[symbol].reindex(times.ravel()).to_numpy().reshape(times.shape)
        if np.isnan(path).any():
            lacking = iso(int(times[np.isnan(path)][0]))
            raise UserError(
                f"evaluate: the candles of {symbol} lack the bar at {lacking} that forecasts are measured against; "
                "delete the forecasts and run again"
            )
        found[symbol] = path[:, 1:] - path[:, :1]
    return found


def score(actual: np.ndarray, quantiles: np.ndarray, levels: list[float]) -> dict[str, np.ndarray]:
    """Every loss and coverage [origins, horizon], of outcomes [origins, horizon] and quantiles [..., levels]."""
    at = {level: quantiles[..., k] for k, level in enumerate(levels)}
    loss = scoring.pinball(actual, quantiles, levels)
    return {
        "pinball": loss.mean(axis=-1),
        "crps": loss @ scoring.crps_weights(levels),
        "coverage50": scoring.covered(actual, at[0.25], at[0.75]),
        "coverage90": scoring.covered(actual, at[0.05], at[0.95]),
        "mae": np.abs(actual - at[0.5]),
        "mse": (actual - at[0.5]) ** 2,
        "mape": scoring.price_error_percent(actual, at[0.5]),
    }


def scored(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The cells' mean losses by `keys`, with rmse, skill against each baseline and the oracle share, sorted."""
    # every origin has every step, so steps weigh alike
    means = cells.groupby(keys, sort=True)[["origins", *LOSSES, *PLAIN]].mean().astype({"origins": np.int64})
    others = [key for key in keys if key != "member"]
    of_member = means["pinball"].unstack("member")
    wide = of_member.loc[pd.MultiIndex.from_frame(means.index.to_frame()[others])].set_axis(means.index)
    return _compared(means, wide).reset_index()[[*keys, *COLUMNS]]


def pool(cells: pd.DataFrame) -> pd.DataFrame:
    """Scores by member over all folds and symbols, origins weighing alike.

    Losses are in units of the random walk's own loss at that symbol, so that a quiet symbol counts as a wild one does.
    """
    symbols = _weighted(cells, ["symbol", "member"]).reset_index()
    walk = symbols[symbols["member"] == RANDOM_WALK].set_index("symbol")[LOSSES]
    still = ", ".join(walk.index[(walk == 0).any(axis="columns").to_numpy()])
    if still:
        raise UserError(f"evaluate: the price of {still} stands still in the test spans; drop it from symbols")
    relative = cells.copy()
    relative[LOSSES] /= walk.loc[cells["symbol"]].to_numpy()
    members = _weighted(relative, ["member"])
    wide = pd.DataFrame([members["pinball"]] * len(members), index=members.index)
    return _compared(members, wide)


def difference(losses: pd.DataFrame, baseline: str, spacing: int, horizon: int, stride: int) -> dict[str, Any]:
    """How the TFT's pinball loss differs from the baseline's, relative to it, and how sure that is.

    The standard error is that of a mean over origins whose losses overlap in time and are shared between symbols:
    the symbols of a moment are added up, then a HAC variance is taken along each fold (Driscoll and Kraay 1998,
    Review of Economics and Statistics 80(4)). `spacing` is the time between two origins, in ms.
    """
    unit = losses.groupby("symbol")[RANDOM_WALK].transform("mean")
    size = float((losses[baseline] / unit).mean())
    gap = (losses[TFT] - losses[baseline]) / unit
    mean = float(gap.mean())
    moments = len(losses[["fold", "origin"]].drop_duplicates())
    lags = scoring.hac_lags(horizon, stride, moments)
    total = 0.0
    for _, part in losses.assign(gap=gap - mean).groupby("fold"):
        slot = ((part["origin"] - part["origin"].min()) // spacing).to_numpy()
        total += scoring.hac_sum(np.bincount(slot, weights=part["gap"].to_numpy()), lags)
    error = float(np.sqrt(total) / len(losses)) / size if moments >= STRETCHES * (lags + 1) else None
    return {
        "baseline": baseline,
        "mean": mean / size,
        "standard_error": error,
        "significant": error is not None and abs(mean / size) > 2 * error,
        "lags": lags,
        "moments": moments,
        "origins": len(losses),
    }


def verdict(gap: dict[str, Any]) -> str:
    """A plain sentence on the difference to the best baseline, with two standard errors."""
    error = gap["standard_error"]
    spread = "" if error is None else f" ± {200 * error:.2f} %"
    amount = f"{100 * abs(gap['mean']):.2f} %{spread}"
    doubt = "" if gap["significant"] else " (not significant)" if error is not None else " (too few origins to be sure)"
    if gap["mean"] < 0:
        return f"The TFT beats the best baseline ({gap['baseline']}) by {amount} in pinball loss{doubt}."
    return (
        f"The TFT does not beat the best baseline ({gap['baseline']}): {amount} worse in pinball loss{doubt}. "
        "Use the baseline."
    )


def report(pooled: pd.DataFrame, sentence: str) -> str:
    """A small aligned table of the members, best first, and the verdict."""
    rows = [f"{'member':<16}{'pinball':>9}{'crps':>9}{'mae':>9}{'in 50 %':>9}{'in 90 %':>9}{'oracle':>9}"]
    for member, row in pooled.sort_values("pinball").iterrows():
        share = "" if np.isnan(row["oracle_share"]) else f"{row['oracle_share']:.0%}"
        rows.append(
            f"{member:<16}{row['pinball']:>9.4f}{row['crps']:>9.4f}{row['mae']:>9.4f}"
            f"{row['coverage50']:>9.1%}{row['coverage90']:>9.1%}{share:>9}"
        )
    return "\n".join([*rows, "(losses in units of the random walk's)", sentence])


def number(value: float) -> float | None:
    """A number as JSON has it: None for what is not one."""
    return float(value) if np.isfinite(value) else None


def _log_close(path: str) -> pd.Series:
    candles = read_parquet(path, ["timestamp", "close"])
    return pd.Series(np.log(candles["close"].to_numpy()), index=candles["timestamp"])


def _cell(fold: int, symbol: str, member: str, scores: dict[str, np.ndarray]) -> pd.DataFrame:
    origins, horizon = scores["pinball"].shape
    keys = {"fold": fold, "symbol": symbol, "member": member, "step": np.arange(1, horizon + 1), "origins": origins}
    return pd.DataFrame(keys | {name: values.mean(axis=0) for name, values in scores.items()})


def _weighted(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean of every score by `keys`, a cell weighing as many origins as it holds."""
    weights = cells["origins"]
    sums = cells[[*LOSSES, *PLAIN]].mul(weights, axis=0).assign(weight=weights, **cells[keys]).groupby(keys).sum()
    return sums.drop(columns="weight").div(sums["weight"], axis=0)


def _compared(means: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Add rmse, skills and oracle share to mean losses; `wide` holds each row's pinball loss of every member."""
    mine, walk = means["pinball"], wide[RANDOM_WALK]
    skills = {f"skill_{name}": 1 - mine / wide[name].where(wide[name] > 0) for name in BASELINES}
    room = walk - wide[ORACLE] if ORACLE in wide else pd.Series(np.nan, index=means.index)
    share = (walk - mine) / room.where(room > 0)
    return means.assign(rmse=np.sqrt(means["mse"]), **skills, oracle_share=share)


def _fold(span: Fold, origins: int) -> dict[str, Any]:
    return {
        "fold": span.name,
        "train_end_iso": iso(span.train_end),
        "test_start_iso": iso(span.test_start),
        "test_end_iso": iso(span.test_end),
        "origins": origins,
    }


def _member(row: pd.Series, crossings: int) -> dict[str, Any]:
    figures = ["pinball", "crps", "coverage50", "coverage90", "mae", "rmse", "mape", "oracle_share"]
    skill = {baseline: number(row[f"skill_{baseline}"]) for baseline in BASELINES}
    return {name: number(row[name]) for name in figures} | {"crossings": crossings, "skill": skill}


if __name__ == "__main__":
    with job() as snakemake:
        evaluate(
            table=snakemake.output.table,
            steps=snakemake.output.steps,
            summary=snakemake.output.summary,
            forecasts=list(snakemake.input.forecasts),
            candles=list(snakemake.input.candles),
            pin=snakemake.input.pin,
            exchange=snakemake.params.exchange,
            interval=snakemake.params.interval,
            symbols=snakemake.params.symbols,
            horizon=snakemake.params.horizon,
            levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
            stride=snakemake.params.stride,
        )
