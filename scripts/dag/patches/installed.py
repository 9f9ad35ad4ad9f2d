"""Whether an installed package still has what a patch replaces."""

import inspect
from importlib.metadata import version
from typing import Any

from common.errors import UserError


def expect(found: bool, what: str, distribution: str) -> None:
    """Raise UserError unless `what` was found in the installed `distribution`."""
    if not found:
        raise UserError(
            f"{distribution} {version(distribution)} has no {what}, which scripts/dag/patches changes; "
            "install the locked version: make cluster"
        )


def expect_parameters(owner: Any, name: str, parameters: set[str], distribution: str) -> None:
    """Raise UserError unless `owner`, of the installed `distribution`, has a function of these parameters."""
    expect(hasattr(owner, name), f"{owner.__name__}.{name}", distribution)
    found = inspect.signature(getattr(owner, name)).parameters
    for parameter in sorted(parameters):
        expect(parameter in found, f"parameter {parameter} of {owner.__name__}.{name}", distribution)


def expect_text(owner: Any, name: str, text: str, distribution: str) -> None:
    """Raise UserError unless `owner`, of the installed `distribution`, has a function in whose source `text` is."""
    expect(hasattr(owner, name), f"{owner.__name__}.{name}", distribution)
    expect(text in inspect.getsource(getattr(owner, name)), f"{text} in {owner.__name__}.{name}", distribution)
