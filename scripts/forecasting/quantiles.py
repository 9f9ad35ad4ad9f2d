"""Quantile forecasts as arrays [origins, horizon, levels] of cumulative log returns, and as files of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_parquet

# columns of a file beside the quantiles
KEYS = ["symbol", "origin", "close", "step"]


@dataclass(frozen=True)
class Forecasts:
    """One member's forecasts, a row per (symbol, origin), sorted.

    symbol [n] str, origin [n] int64 (ms, open time of the last observed bar), close [n] there, quantiles [n, horizon,
    levels] of the log return from it, and how many (origin, step) rows had quantiles that crossed before they were
    sorted.
    """

    symbol: np.ndarray
    origin: np.ndarray
    close: np.ndarray
    quantiles: np.ndarray
    crossings: int

    def same_origins(self, other: "Forecasts") -> bool:
        """Are both of the same symbols and origins?"""
        return np.array_equal(self.symbol, other.symbol) and np.array_equal(self.origin, other.origin)

    def at(self, origin: int) -> "Forecasts":
        """Those from one origin (ms) alone."""
        rows = np.flatnonzero(self.origin == origin)
        return replace(
            self,
            symbol=self.symbol[rows],
            origin=self.origin[rows],
            close=self.close[rows],
            quantiles=self.quantiles[rows],
        )

    def rows(self) -> dict[str, slice]:
        """The rows of each symbol."""
        names, first = np.unique(self.symbol, return_index=True)
        return {name: slice(a, b) for name, a, b in zip(names, first, [*first, len(self.symbol)][1:], strict=True)}


def quantile_columns(quantile_levels: Sequence[float]) -> list[str]:
    """Column names of the levels: q0.05, q0.5, …"""
    return [f"q{level:g}" for level in quantile_levels]


def sort_quantiles(quantiles: np.ndarray) -> tuple[np.ndarray, int]:
    """Quantiles [..., levels] in increasing order, and how many rows were not.

    Sorting never worsens a quantile forecast: Chernozhukov, Fernández-Val and Galichon (2010), Econometrica 78(3).
    """
    crossings = int((np.diff(quantiles, axis=-1) < 0).any(axis=-1).sum())
    return np.sort(quantiles, axis=-1), crossings


def forecast_table(
    symbols: Sequence[str],
    origins: Sequence[np.ndarray],
    closes: Sequence[np.ndarray],
    quantiles: Sequence[np.ndarray],
    quantile_levels: Sequence[float],
) -> pd.DataFrame:
    """A member's forecasts as the rows of its file, by symbol, origin and step; quantiles sorted.

    One item a symbol: origins [n] in ms, increasing, closes [n] there, and quantiles [n, horizon, levels].
    `attrs["crossings"]` counts the rows whose quantiles crossed.
    """
    order = sorted(range(len(symbols)), key=lambda place: symbols[place])
    times, prices, values = (np.concatenate([part[place] for place in order]) for part in (origins, closes, quantiles))
    horizon = values.shape[1]
    rows, crossings = sort_quantiles(values)
    names = pd.array([symbols[place] for place in order], dtype="str")
    table = pd.DataFrame(
        {
            "symbol": names.repeat([len(origins[place]) * horizon for place in order]),
            "origin": np.repeat(times.astype(np.int64), horizon),
            "close": np.repeat([float(f"{price:.12g}") for price in prices.tolist()], horizon).astype(np.float64),
            "step": np.tile(np.arange(1, horizon + 1), len(rows)),
        }
    )
    # further digits depend on the machine, and mean nothing for a price
    table[quantile_columns(quantile_levels)] = np.round(rows.reshape(-1, len(quantile_levels)).astype(np.float64), 10)
    table.attrs["crossings"] = crossings
    return table


def single_precision(table: pd.DataFrame) -> pd.DataFrame:
    """A table of forecasts with its quantiles as float32: those of validation are many, and compared alone."""
    columns = [name for name in table if name not in KEYS]
    return table.astype(dict.fromkeys(columns, np.float32))


def no_forecasts(symbols: Sequence[str], horizon: int, quantile_levels: Sequence[float]) -> pd.DataFrame:
    """The file of a skipped member: no rows."""
    empty = [np.empty((0, horizon, len(quantile_levels)))] * len(symbols)
    none = [np.empty(0)] * len(symbols)
    return forecast_table(symbols, none, none, empty, quantile_levels)


def read_forecasts(path: str | Path, horizon: int, quantile_levels: Sequence[float]) -> Forecasts:
    """Read a file of forecasts; one without rows is of a skipped member.

    Raises UserError when it is damaged, or its columns, steps, quantile levels or order are not the expected ones.
    """
    frame = read_parquet(path)
    columns = quantile_columns(quantile_levels)
    if list(frame.columns) != [*KEYS, *columns] or len(frame) % horizon:
        raise _stale(path, horizon, columns)
    codes, names = pd.factorize(frame["symbol"])
    keys = np.stack([codes, frame["origin"], frame["step"]]).reshape(3, -1, horizon)
    symbol, origin = keys[:2, :, 0]
    whole = (keys[:2] == keys[:2, :, :1]).all() and (keys[2] == np.arange(1, horizon + 1)).all()
    # codes count names as they appear: with sorted names, increasing codes are sorted symbols
    increasing = (np.diff(symbol) > 0) | (np.diff(symbol) == 0) & (np.diff(origin) > 0)
    if not whole or not increasing.all() or not names.is_monotonic_increasing:
        raise _stale(path, horizon, columns)
    close = frame["close"].to_numpy().reshape(-1, horizon)
    if not (np.isfinite(close) & (close > 0) & (close == close[:, :1])).all():
        raise UserError(f"{path}: its closes are not one price an origin; delete it and run again to rebuild it")
    quantiles = frame[columns].to_numpy().reshape(-1, horizon, len(columns))
    if not np.isfinite(quantiles).all() or (np.diff(quantiles, axis=-1) < 0).any():
        raise UserError(f"{path}: its quantiles cross or are not finite; delete it and run again to rebuild it")
    crossings = int(frame.attrs.get("crossings", 0))
    return Forecasts(names.to_numpy(dtype=object)[symbol], origin, close[:, 0], quantiles, crossings)


def _stale(path: str | Path, horizon: int, columns: list[str]) -> UserError:
    expected = f"sorted steps 1 to {horizon} of {', '.join(columns)}, with the close at each origin"
    return UserError(f"{path}: does not hold {expected}; delete it and run again to rebuild it")
