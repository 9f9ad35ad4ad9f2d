"""What the explorer shows: members' forecasts at the test origins and at the live one, beside what followed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecasting.losses import covered, pinball
from forecasting.members import ENSEMBLE, ORACLE, find_member, member_name
from forecasting.quantiles import Forecasts, read_forecasts
from market.candles import continued
from market.intervals import step_ms
from plotting.style import member_color, member_dash
from reporting.packing import Packing
from reporting.results import Results

# quantiles of a fan, which every run has
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
# points of a fan along its horizon, and quantiles in all: beyond, steps and origins are thinned evenly
MOST_STEPS, MOST_QUANTILES = 24, 1_500_000


@dataclass(frozen=True)
class Shown:
    """What is shown of all: the columns of LEVELS, steps [steps] from 1, and each `every`th origin."""

    columns: list[int]
    steps: np.ndarray
    every: int


def explorer(results: Results) -> dict[str, Any] | None:
    """The explorer's data, JSON but for `data`, the packed arrays; None where no fold has forecasts.

    Of each fold: rows, sorted by symbol and origin, with the closes there; of each member quantiles [rows, steps,
    levels] of log returns, its pinball loss [rows] and its share of closes in the 90 % interval [rows]; the closes
    before and after, as log returns [rows, 2 × steps].
    """
    closes = joined(results)
    found = {name: _forecasts(results, name) for name in [*map(str, range(results.config["folds"]["count"])), "live"]}
    found = {name: members for name, members in found.items() if members and ENSEMBLE in members}
    if not found:
        return None
    shown, packing = _shown(results, found), Packing()
    folds = [_fold(name, members, closes, results, shown, packing) for name, members in found.items()]
    names = dict.fromkeys(name for members in found.values() for name in members)
    return {
        "symbols": results.symbols,
        "interval": results.config["interval"],
        "horizon": results.config["horizon"],
        "bar_ms": step_ms(results.config["interval"]),
        "levels": LEVELS,
        "steps": [int(step) for step in shown.steps],
        "every": shown.every,
        "members": {
            name: {"label": find_member(name).label, "color": member_color(name), "dash": member_dash(name)}
            for name in names
        },
        "folds": folds,
        "data": packing.text(),
    }


def joined(results: Results) -> dict[str, pd.DataFrame]:
    """Candles of each symbol with those after the decision, or after an earlier one that was audited last."""
    return {
        symbol: continued(frame, results.outcome[symbol]) if symbol in results.outcome else frame
        for symbol, frame in results.candles.items()
    }


def even_steps(horizon: int, most: int = MOST_STEPS) -> np.ndarray:
    """At most so many steps from 1 to the horizon, evenly apart, both ends among them."""
    return np.unique(np.round(np.linspace(1, horizon, min(most, horizon))).astype(int))


def _forecasts(results: Results, fold: str) -> dict[str, Forecasts]:
    """Of a fold's members those that did forecast, the ensemble first; of the live fold at the last origin."""
    selected = [member_name(text) for text in results.config["members"]]
    horizon, levels = results.config["horizon"], results.config["quantiles"]
    members = {}
    for name in [ENSEMBLE, *selected, *([] if fold == "live" else [ORACLE])]:
        forecasts = results.folder.artifact(
            f"forecasts/{fold}/{name}.parquet", lambda path: read_forecasts(path, horizon, levels)
        )
        if forecasts is not None and len(forecasts.origin):
            members[name] = forecasts.at(int(forecasts.origin.max())) if fold == "live" else forecasts
    return {name: one for name, one in members.items() if ENSEMBLE in members and one.same_origins(members[ENSEMBLE])}


def _shown(results: Results, found: Mapping[str, Mapping[str, Forecasts]]) -> Shown:
    known = list(results.config["quantiles"])
    steps = even_steps(results.config["horizon"])
    count = sum(len(one.origin) for members in found.values() for one in members.values()) * len(LEVELS) * len(steps)
    return Shown([known.index(level) for level in LEVELS], steps, -(-count // MOST_QUANTILES))


def _fold(
    name: str,
    members: Mapping[str, Forecasts],
    closes: Mapping[str, pd.DataFrame],
    results: Results,
    shown: Shown,
    packing: Packing,
) -> dict[str, Any]:
    """One fold's rows and arrays."""
    first = members[ENSEMBLE]
    rows = _thinned(first, shown.every)
    before, after = _around(first, rows, closes, step_ms(results.config["interval"]), results.config["horizon"])
    levels = results.config["quantiles"]
    drawn = {}
    for member, forecasts in members.items():
        quantiles = forecasts.quantiles[rows]
        scores = _scores(quantiles, after, levels)
        fan = quantiles[:, shown.steps - 1][:, :, shown.columns]
        drawn[member] = {"fan": packing.add_scaled(fan)} | {key: packing.add(value) for key, value in scores.items()}
    beside = np.concatenate([before[:, -shown.steps[::-1]], after[:, shown.steps - 1]], axis=1)
    return {
        "name": name,
        "symbol": first.symbol[rows].tolist(),
        "origin": packing.add(first.origin[rows].astype(np.float64)),
        "close": packing.add(first.close[rows].astype(np.float64)),
        "closes": packing.add_scaled(beside),
        "members": drawn,
    }


def _thinned(forecasts: Forecasts, every: int) -> np.ndarray:
    """Rows of each `every`th origin of each symbol."""
    return np.concatenate([np.arange(part.start, part.stop)[::every] for part in forecasts.rows().values()])


def _around(
    forecasts: Forecasts, rows: np.ndarray, closes: Mapping[str, pd.DataFrame], bar_ms: int, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """Log returns [rows, horizon] from the close at each origin to those before it, the last one a bar before, and to
    those after it; NaN where there is no bar."""
    around = np.full((len(rows), 2 * horizon + 1), np.nan)
    symbol, origin, close = (part[rows] for part in (forecasts.symbol, forecasts.origin, forecasts.close))
    times = origin[:, None] + bar_ms * np.arange(-horizon, horizon + 1)
    for name, frame in closes.items():
        of = symbol == name
        known = frame.set_index("timestamp")["close"].reindex(times[of].ravel())
        around[of] = np.log(known.to_numpy().reshape(-1, 2 * horizon + 1) / close[of, None])
    return around[:, :horizon], around[:, horizon + 1 :]


def _scores(quantiles: np.ndarray, after: np.ndarray, levels: Sequence[float]) -> dict[str, np.ndarray]:
    """Of each row the mean pinball loss, over steps and levels, and the share of closes in the 90 % interval."""
    # of what has no bar yet, neither
    with np.errstate(invalid="ignore"):
        loss = pinball(after, quantiles, levels).mean(axis=2)
        inside = covered(after, _level(quantiles, levels, 0.05), _level(quantiles, levels, 0.95)).astype(np.float64)
    inside[np.isnan(after)] = np.nan
    return {"loss": _mean(loss), "inside": _mean(inside)}


def _level(quantiles: np.ndarray, levels: Sequence[float], level: float) -> np.ndarray:
    return quantiles[..., list(levels).index(level)]


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean [rows] of values [rows, steps] without NaN; NaN where there are none."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0).astype(np.float32)
