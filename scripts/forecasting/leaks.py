"""The leak trial: candles after a cut are changed, and what was made of earlier ones must be the same bytes.

What is compared are tables of forecasts (forecasting.quantiles.forecast_table) or of a feature: `symbol, origin`, with
forecasts `step`, and values.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from typing_extensions import TypedDict

from common.errors import UserError
from common.files import read_document, write_parquet
from forecasting.folds import FoldScheme
from forecasting.task import Task
from market.candles import read_candles
from market.intervals import iso

KEYS = ["symbol", "origin", "step"]
PRICES = ["open", "high", "low", "close"]


class Leak(TypedDict):
    """Where a trial found a difference: the symbol, the origin, the first step (null of a feature), and what had been
    changed, as a clause."""

    symbol: str
    origin_iso: str
    step: int | None
    cause: str


class Trial(TypedDict):
    """The result for one member or feature; the leak is null where it has passed. cuts: after how many candles were
    changed."""

    kind: Literal["member", "feature"]
    name: str
    cuts: int
    leak: Leak | None


class Trials(TypedDict):
    """leak_trial.json, and the files below leak_trial/ that it is gathered from."""

    trials: list[Trial]


def spread_cuts(scheme: FoldScheme, as_of: int, task: Task, stride: int, count: int) -> dict[str, list[int]]:
    """At most `count` of the times (ms) at which test origins may be, evenly spread over all folds; those of each fold.

    as_of: of the training cutoff. stride: bars between origins.
    """
    grid: list[tuple[str, int]] = []
    for number in range(scheme.count):
        fold = scheme.fold(str(number), as_of, task.bar_ms)
        end = fold.test_end - task.horizon * task.bar_ms
        grid += [(fold.name, time) for time in range(fold.test_start, end, stride * task.bar_ms)]
    chosen = np.unique(np.linspace(0, len(grid) - 1, min(count, len(grid))).round().astype(int))
    cuts: dict[str, list[int]] = {str(number): [] for number in range(scheme.count)}
    for place in chosen:
        name, time = grid[place]
        cuts[name].append(time)
    return cuts


def tried(
    member: str, cuts: Mapping[str, Sequence[int]], leaks: Callable[[str, Sequence[int]], Iterator[Leak | None]]
) -> Trial:
    """The trial of a member, fold by fold up to its first leak. leaks: the results of a fold's cuts, one by one."""
    trial: Trial = {"kind": "member", "name": member, "cuts": 0, "leak": None}
    for fold, times in cuts.items():
        for leak in leaks(fold, times):
            trial["cuts"] += 1
            if leak:
                trial["leak"] = leak
                return trial
    return trial


def changed(candles: pd.DataFrame, cut: int) -> pd.DataFrame:
    """The candles with other prices and volumes in every bar that opens after the cut (ms)."""
    later = candles["timestamp"].to_numpy() > cut
    count = int(later.sum())
    # the same for all symbols and each time
    draw = np.random.default_rng(cut)
    factor, volume = np.exp(draw.uniform(-0.7, 0.7, count)), draw.uniform(0.1, 10.0, count)
    other = candles.copy()
    other.loc[later, PRICES] = candles.loc[later, PRICES].to_numpy() * factor[:, None]
    other.loc[later, "volume"] = (candles.loc[later, "volume"].to_numpy() + 1) * volume
    return other


def write_changed(folder: Path, candles: Iterable[str], interval: str, cut: int) -> list[str]:
    """Write the candles of these files into the folder, as `changed` has them; their paths, in the same order."""
    paths = []
    for path in candles:
        paths.append(str(folder / Path(path).name))
        write_parquet(paths[-1], changed(read_candles(path, interval), cut))
    return paths


def find_leak(before: pd.DataFrame, after: pd.DataFrame, until: int, cause: str) -> Leak | None:
    """The earliest difference of two tables in rows of origins up to `until` (ms); None where they are the same bytes.

    before, after: made of the candles as they are, and as they were changed.
    """
    keys = [name for name in KEYS if name in before]
    one, other = (table[table["origin"] <= until].set_index(keys) for table in (before, after))
    other = other.reindex(one.index.union(other.index))
    one = one.reindex(other.index)
    differing = (_bits(one) != _bits(other)).any(axis=1)
    if not differing.any():
        return None
    first = one.index[differing].to_frame(index=False).sort_values([*keys[1:2], *keys[2:], "symbol"]).iloc[0]
    return {
        "symbol": str(first["symbol"]),
        "origin_iso": iso(int(first["origin"])),
        "step": int(first["step"]) if "step" in keys else None,
        "cause": cause,
    }


def describe(trial: Trial) -> str:
    """The result in one line."""
    leak, name = trial["leak"], f"{trial['kind']} {trial['name']}"
    if leak is None:
        return f"{name}: passed, {trial['cuts']} cuts"
    what = "value" if leak["step"] is None else f"forecast from step {leak['step']} on"
    return f"{name}: leak: its {what} of {leak['symbol']} at {leak['origin_iso']} changes {leak['cause']}"


def after_cut(cut: int) -> str:
    """The cause of a leak: what was changed."""
    return f"where the candles after {iso(cut)} do"


def check_passed(files: Sequence[str], names: Sequence[str]) -> None:
    """Raise UserError where one of these files says that one of these members or features leaks."""
    for trial in (trial for file in files for trial in read_document(file, Trials)["trials"]):
        if trial["leak"] and trial["name"] in names:
            raise UserError(f"{describe(trial)}; it is refused, since leak_trial.required is true")


def _bits(table: pd.DataFrame) -> np.ndarray:
    """Floats as whole numbers, which are equal where the bytes are."""
    return np.ascontiguousarray(table.to_numpy(dtype=np.float64)).view(np.int64)
