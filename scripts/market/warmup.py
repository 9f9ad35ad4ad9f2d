"""Bars that the features need before their first valid row. Standard library only: the workflow reads it too."""

from collections.abc import Sequence

RSI_BARS = 14
# Wilder's smoothing forgets by (1 - 1/14) a bar: 20 periods leave 1e-9
RSI_MEMORY = 20 * RSI_BARS


def warm_up(spans: Sequence[int]) -> int:
    """Bars at the start of a contiguous segment whose features are not yet valid. spans: in bars."""
    return max(max(spans) + 1, RSI_MEMORY)
