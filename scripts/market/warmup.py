"""How many bars the features need before they hold. Standard library only: the workflow's own Python reads it too."""

RSI_BARS = 14
# Wilder's smoothing forgets by (1 - 1/14) a bar: 20 periods leave 1e-9
RSI_MEMORY = 20 * RSI_BARS


def warm_up(spans: list[int]) -> int:
    """Bars at the start of an unbroken run whose features are not yet to be trusted. spans: in bars."""
    return max(max(spans) + 1, RSI_MEMORY)
