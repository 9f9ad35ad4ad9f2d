"""Numbers as sentences have them."""


def signed_percent(share: float | None) -> str:
    """A share of one as percent, with its sign."""
    return "unknown" if share is None else f"{100 * share:+.2f} %"


def percent(share: float | None) -> str:
    """A share of one as percent."""
    return "unknown" if share is None else f"{100 * share:.1f} %"
