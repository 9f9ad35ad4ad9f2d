"""Numbers as sentences have them."""


def percent(value: float | None) -> str:
    """A share of one as signed percent."""
    return "unknown" if value is None else f"{100 * value:+.2f} %"


def share(value: float | None) -> str:
    """A share of one as percent."""
    return "unknown" if value is None else f"{100 * value:.1f} %"
