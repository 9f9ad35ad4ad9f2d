"""Which config keys hold secrets. Standard library only: the workflow's own Python reads it too."""

from collections.abc import Mapping
from typing import Any

SECRETS = {"apikey", "secret", "password", "token", "privatekey", "walletaddress", "twofa"}


def secret_in(options: Mapping[str, Any]) -> str | None:
    """Dotted name of the first key among ccxt's options, at any depth, that holds a secret."""
    for name, value in options.items():
        if str(name).lower() in SECRETS:
            return str(name)
        inner = secret_in(value) if isinstance(value, Mapping) else None
        if inner:
            return f"{name}.{inner}"
    return None
