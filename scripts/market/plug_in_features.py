"""Functions of a user's files as features: what they are given, and what is checked of what they return."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from inspect import signature
from typing import Any

import numpy as np

from common.errors import UserError
from common.plug_ins import PlugIn
from market.features import FEATURES, KEYS, OTHERS_RETURN, Feature, Segment
from market.indicators import CALENDAR, SMALLEST_SCALE
from market.intervals import iso
from market.warmup import warm_up

# inputs that the TFT has beside the features
RESERVED = (*KEYS, *CALENDAR, OTHERS_RETURN, "position", "har")


def load_features(plug_ins: Sequence[PlugIn]) -> list[Feature]:
    """The functions as features. One of a segment alone is a column of its name, one of a segment and a span a column
    for each of the config's spans.

    Raises UserError when a file or a name is wrong; so do the features when they are computed, where a function fails,
    returns what is no column, needs more bars than there are for the warm-up, or returns another one the next time.
    """
    taken = [*RESERVED, *(_stem(feature.name) for feature in FEATURES)]
    features = []
    for plug_in in plug_ins:
        if _stem(plug_in.name) in taken:
            raise UserError(f"{plug_in}: there is a feature of this name already; give the function another name")
        features.append(_feature(plug_in, plug_in.load()))
    return features


def _stem(name: str) -> str:
    """A column's name without its span."""
    start, _, end = name.rpartition("_")
    return start if end.isdigit() or end == "{span}" else name


def _feature(plug_in: PlugIn, function: Callable[..., Any]) -> Feature:
    count = len(signature(function).parameters)
    if count not in (1, 2):
        raise UserError(f"{plug_in}: takes {count} arguments; it must take a segment, or a segment and a span")

    def values(segment: Segment, span: int) -> np.ndarray:
        # it may do with its arrays what it likes
        one, other = (_column(plug_in, function, deepcopy(segment), span, count) for _ in range(2))
        _check_finite(plug_in, one, segment)
        differing = np.flatnonzero(one.view(np.int32) != other.view(np.int32))
        if len(differing):
            raise plug_in.differs(iso(int(segment.timestamp[differing[0]])))
        _check_memory(plug_in, one, segment, lambda late: _column(plug_in, function, late, span, count))
        return one

    if count == 1:
        return Feature(plug_in.name, values, lambda spans: [max(spans)])
    return Feature(f"{plug_in.name}_{{span}}", values, list)


def _column(plug_in: PlugIn, function: Callable[..., Any], segment: Segment, span: int, count: int) -> np.ndarray:
    """What the function returns, as a column [rows] float32. Raises UserError when it is none."""
    returned = plug_in.call(function, *(segment, span)[:count])
    return plug_in.array(returned, (len(segment.close),), "a value a bar", np.float32)


def _check_finite(plug_in: PlugIn, column: np.ndarray, segment: Segment) -> None:
    """Raise UserError where a row after the warm-up has no value, unless its price is frozen."""
    used = np.arange(len(column)) >= warm_up(segment.spans)
    wrong = np.flatnonzero(used & (segment.scale >= SMALLEST_SCALE) & ~np.isfinite(column))
    if len(wrong):
        raise UserError(
            f"{plug_in}: is {column[wrong[0]]} at {iso(int(segment.timestamp[wrong[0]]))}; "
            f"it must be finite after the first {warm_up(segment.spans)} bars of a segment, the warm-up"
        )


def _check_memory(
    plug_in: PlugIn, column: np.ndarray, segment: Segment, compute: Callable[[Segment], np.ndarray]
) -> None:
    """Raise UserError where a row is another one in a segment that starts later: the live history is short."""
    warm = warm_up(segment.spans)
    start = max(1, len(column) - 2 * warm)
    late = compute(segment.since(start))[warm:]
    whole = column[start + warm :]
    wrong = np.flatnonzero(~np.isclose(late, whole, rtol=1e-4, atol=1e-5) & np.isfinite(whole))
    if len(wrong):
        row = wrong[0]
        time = iso(int(segment.timestamp[start + warm + row]))
        raise UserError(
            f"{plug_in}: is {whole[row]:.6g} at {time}, and {late[row]:.6g} where history starts {start} bars later; "
            f"it may use the last {warm} bars at most, the warm-up of features.spans"
        )
