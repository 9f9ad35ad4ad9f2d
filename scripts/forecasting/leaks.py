"""The leak trial: candles after a cut are changed, and what was made of earlier ones must be the same bytes."""

from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_document
from market.intervals import iso

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


def spread_cuts(times: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """At most `count` of the origin times (ms) of all folds, evenly spread; those of each fold.

    times: of each fold, increasing.
    """
    total = sum(map(len, times))
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(np.int64))
    starts = np.cumsum([0, *map(len, times)])
    return [
        fold[chosen[(chosen >= start) & (chosen < start + len(fold))] - start]
        for fold, start in zip(times, starts, strict=False)
    ]


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


def find_leak(
    forecasts: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    symbols: Sequence[str],
    origins: Sequence[np.ndarray],
    until: int,
    cause: str,
) -> Leak | None:
    """The earliest difference between two forecasts of origins up to `until` (ms); None where they are the same bytes.

    forecasts: before and after a change, each with an array [origins, horizon, levels] a symbol; origins: of each
    symbol, in ms.
    """
    found: list[tuple[int, str, int]] = []
    for symbol, times, before, after in zip(symbols, origins, *forecasts, strict=True):
        early = times <= until
        differs = (_bits(before[early]) != _bits(after[early])).any(axis=2)
        rows = np.flatnonzero(differs.any(axis=1))
        if len(rows):
            found.append((int(times[early][rows[0]]), symbol, int(np.flatnonzero(differs[rows[0]])[0]) + 1))
    if not found:
        return None
    origin, symbol, step = min(found)
    return {"symbol": symbol, "origin_iso": iso(origin), "step": step, "cause": cause}


def describe(trial: Trial) -> str:
    """The result in one line."""
    leak, name = trial["leak"], f"{trial['kind']} {trial['name']}"
    if leak is None:
        return f"{name}: passed, {trial['cuts']} cuts"
    step = "" if leak["step"] is None else f" from step {leak['step']} on"
    return f"{name}: leak: what it makes of {leak['symbol']} at {leak['origin_iso']} differs{step} {leak['cause']}"


def check_passed(files: Sequence[str], names: Sequence[str]) -> None:
    """Raise UserError where one of these files says that one of these members or features leaks."""
    for trial in (trial for file in files for trial in read_document(file, Trials)["trials"]):
        if trial["leak"] and trial["name"] in names:
            raise UserError(f"{describe(trial)}; it is refused, since leak_trial.required is true")


def _bits(values: np.ndarray) -> np.ndarray:
    """Floats as whole numbers, which are equal where the bytes are."""
    return np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
