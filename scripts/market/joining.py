"""Candle files of one symbol as one history: joined where they are of one market, resampled where they are finer."""

from itertools import pairwise

import numpy as np

from common.errors import UserError
from common.job import say
from market.candle_files import CandleFile
from market.candles import deduplicate, valid_rows
from market.intervals import iso

DEVIATIONS = 10  # of a bar's return, beyond which a jump at a seam is no move of the market
SPREADS = 20  # of what opens differ from the closes before them, where the files have no bar between them
FEW = 20  # moves by which a file's volatility is known


def join(files: list[CandleFile], bar_ms: int, what: str) -> np.ndarray:
    """Rows of several files as one, sorted by time.

    Raises UserError when one holds no time that another does not, or the price jumps where one file ends and another
    begins by more than the volatility of both allows: they are of two markets.
    """
    files = sorted(files, key=lambda file: (file.rows[0, 0], -file.rows[-1, 0]))
    for one, other in pairwise(files):
        if other.rows[-1, 0] <= one.rows[-1, 0]:
            raise UserError(
                f"exchange.folder: {one.name} and {other.name} overlap, both hold {what} candles of the same time; "
                "remove one"
            )
        _check_seam(one, other, bar_ms, what)
    rows = np.concatenate([file.rows for file in files])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    say(f"{what}: {len(rows)} bars from {iso(rows[0, 0])} to {iso(rows[-1, 0])} in {len(files)} file(s)")
    return rows


def _check_seam(one: CandleFile, other: CandleFile, bar_ms: int, what: str) -> None:
    earlier, later = (valid_rows(file.rows, bar_ms)[0] for file in (one, other))
    earlier = earlier[earlier[:, 0] < later[0, 0]] if len(later) else earlier[:0]
    if not len(earlier):
        return
    apart = (later[0, 0] - earlier[-1, 0]) / bar_ms
    jump = abs(np.log(later[0, 1] / earlier[-1, 4]))
    if jump > _allowed(earlier, later, bar_ms, apart):
        raise UserError(
            f"exchange.folder: {one.name} and {other.name} are of two markets: the price of {what} jumps from "
            f"{earlier[-1, 4]:g} to {later[0, 1]:g} where the second begins ({iso(later[0, 0])}), "
            "more than the volatility of either allows; remove one"
        )


def _allowed(earlier: np.ndarray, later: np.ndarray, bar_ms: int, apart: float) -> float:
    """The largest log return from the last close of one file to the first open of another, `apart` bars later."""
    moves, spreads = [], []
    for rows in (earlier, later):
        follows = np.diff(rows[:, 0]) == bar_ms
        moves.append(np.diff(np.log(rows[:, 4]))[follows])
        spreads.append(np.log(rows[1:, 1] / rows[:-1, 4])[follows])
    if sum(map(len, moves)) < FEW:
        return np.inf
    deviation = max(_deviation(part) for part in moves)
    if apart > 1:
        return float(DEVIATIONS * deviation * np.sqrt(apart))
    return float(max(SPREADS * max(_deviation(part) for part in spreads), 2 * deviation))


def _deviation(returns: np.ndarray) -> float:
    """Root mean square of log returns."""
    return float(np.sqrt(np.mean(returns**2))) if len(returns) else 0.0


def resample(
    rows: np.ndarray, fine_ms: int, bar_ms: int, min_share: float, what: str
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Bars of `bar_ms` made of sorted bars of `fine_ms`, and the share [n] of its finer bars that each has.

    One of which less than `min_share` is there is left out, a gap; so are the first and the last one where the rows
    begin or end within it. Raises UserError when none is left.
    """
    rows, dropped = valid_rows(rows, fine_ms)
    rows, identical, conflicting = deduplicate(rows)
    if dropped or identical or len(conflicting):
        say(
            f"{what}: resampled without {len(dropped)} invalid, {identical} duplicate and {len(conflicting)} "
            "conflicting rows"
        )
    bucket = rows[:, 0] // bar_ms
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    size = np.diff(starts, append=len(rows))
    share = size * fine_ms / bar_ms
    kept = share >= min_share
    if len(rows):
        kept[0] &= rows[0, 0] % bar_ms == 0
        kept[-1] &= rows[-1, 0] % bar_ms == bar_ms - fine_ms
    if not kept.any():
        raise UserError(
            f"exchange.folder: no bar of {what} is complete in it; choose a shorter interval or add candle files"
        )
    bars = np.empty((len(starts), 6))
    bars[:, 0] = bucket[starts] * bar_ms
    bars[:, 1] = rows[starts, 1]
    bars[:, 2] = np.maximum.reduceat(rows[:, 2], starts)
    bars[:, 3] = np.minimum.reduceat(rows[:, 3], starts)
    bars[:, 4] = rows[starts + size - 1, 4]
    bars[:, 5] = np.add.reduceat(rows[:, 5], starts)
    partial = np.count_nonzero(share[kept] < 1)
    if partial:
        say(f"{what}: {partial} bars are made of a part of their finer bars, {share[kept].min():.0%} or more")
    return bars[kept], share[kept]
