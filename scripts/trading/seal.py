"""The seal of a decision: a hash of all that it holds, which reveals a later change."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from common.errors import UserError


def seal(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the document's canonical JSON, `seal` itself left out: keys sorted, no spaces, ASCII."""
    rest = {key: value for key, value in document.items() if key != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(document: Mapping[str, Any], source: str) -> None:
    """Raise UserError, naming `source`, unless the document's `seal` is that of its content."""
    if document.get("seal") != seal(document):
        raise broken_seal(source)


def broken_seal(source: str) -> UserError:
    """The error of a decision, or of a part of it in `source`, that is not what was sealed."""
    return UserError(
        f"{source}: the decision was changed after it was sealed, so its audit would prove nothing; "
        "delete it and run again to decide anew"
    )
