"""What sample paths answer: quantiles of a step, probabilities of touching a level or staying in a band, drawdowns."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_parquet

COLUMNS = ["symbol", "origin", "close", "path", "step", "log_return"]


@dataclass(frozen=True)
class PathDistribution:
    """Sample paths [..., horizon, n]: cumulative log returns from the close at the origin, after each bar's close.

    Answers are shares of the paths, [...] each; between closes a price may go further. step: the last one that counts,
    from 1; None: the horizon. Raises ValueError where a step is none of the horizon, or a probability not in (0, 1).
    """

    paths: np.ndarray

    def quantile(self, p: float, step: int | None = None) -> np.ndarray:
        """The quantile at probability p of the return at a step."""
        return np.quantile(self._at(step), _probability(p), axis=-1)

    def expected_shortfall(self, p: float, step: int | None = None) -> np.ndarray:
        """The mean return at a step of the worst share p of the paths, at least of one."""
        returns = np.sort(self._at(step), axis=-1)
        return returns[..., : max(1, round(_probability(p) * returns.shape[-1]))].mean(axis=-1)

    def probability_of_touching(self, level: float | np.ndarray, step: int | None = None) -> np.ndarray:
        """The probability that a close up to a step is at the return `level` [...] or beyond it, as seen from 0."""
        level = np.asarray(level)
        upto = self._upto(step)
        highest, lowest = upto.max(axis=-2), upto.min(axis=-2)
        touched = np.where(level[..., None] >= 0, highest >= level[..., None], lowest <= level[..., None])
        return touched.mean(axis=-1)

    def probability_of_staying(self, lower: float, upper: float, step: int | None = None) -> np.ndarray:
        """The probability that all closes up to a step are within the returns [lower, upper]."""
        upto = self._upto(step)
        return ((lower <= upto.min(axis=-2)) & (upto.max(axis=-2) <= upper)).mean(axis=-1)

    def maximum_drawdown(self, step: int | None = None) -> np.ndarray:
        """The largest fall [..., n] of each path up to a step below its highest point before, the origin included, as a
        log return, 0 or more."""
        return maximum_drawdown(self._upto(step))

    def _at(self, step: int | None) -> np.ndarray:
        return self.paths[..., self._last(step) - 1, :]

    def _upto(self, step: int | None) -> np.ndarray:
        return self.paths[..., : self._last(step), :]

    def _last(self, step: int | None) -> int:
        horizon = self.paths.shape[-2]
        if step is not None and not 1 <= step <= horizon:
            raise ValueError(f"step {step} is not within 1 and {horizon}")
        return horizon if step is None else step


def maximum_drawdown(paths: np.ndarray) -> np.ndarray:
    """The largest fall [..., n] of paths [..., steps, n] that start at 0."""
    peak = np.maximum(np.maximum.accumulate(paths, axis=-2), 0)
    return np.maximum((peak - paths).max(axis=-2), 0)


def path_table(symbols: list[str], origin: int, closes: np.ndarray, paths: np.ndarray) -> pd.DataFrame:
    """Paths [symbols, horizon, n] as the rows of a file, by symbol, path and step.

    origin: open time (ms) of the last bar before the forecast; closes [symbols]: of that bar. Returns are float32,
    whose error is less than a millionth of the return.
    """
    _, horizon, count = paths.shape
    rows = horizon * count
    return pd.DataFrame(
        {
            "symbol": pd.array(symbols, dtype="str").repeat(rows),
            "origin": np.full(len(symbols) * rows, origin, dtype=np.int64),
            "close": np.repeat(closes, rows),
            "path": np.tile(np.repeat(np.arange(1, count + 1, dtype=np.int32), horizon), len(symbols)),
            "step": np.tile(np.arange(1, horizon + 1, dtype=np.int32), len(symbols) * count),
            "log_return": rounded(np.swapaxes(paths, 1, 2).ravel()),
        }
    )


def rounded(paths: np.ndarray) -> np.ndarray:
    """Log returns as a file holds them: further digits depend on the machine, and mean nothing for a price."""
    return np.round(paths, 10).astype(np.float32)


def read_paths(path: str | Path, origin: int | None = None) -> dict[str, PathDistribution]:
    """The sample paths of each symbol in a file of them.

    origin: open time (ms) of the bar that they must start from. Raises UserError when it is damaged or holds others.
    """
    table = read_parquet(path)
    foreign = origin is not None and "origin" in table and bool((table["origin"] != origin).any())
    if list(table.columns) != COLUMNS or not len(table) or foreign or not np.isfinite(table["log_return"]).all():
        raise UserError(f"{path}: does not hold sample paths; delete it and run again to rebuild it")
    horizon = int(table["step"].max())
    return {
        str(symbol): PathDistribution(rows["log_return"].to_numpy(np.float64).reshape(-1, horizon).T)
        for symbol, rows in table.groupby("symbol")
    }


def _probability(p: float) -> float:
    if not 0 < p < 1:
        raise ValueError(f"probability {p} is not between 0 and 1")
    return p
