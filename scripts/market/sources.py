"""Where candles come from, by the config's section `exchange` alone."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# ccxt's constructor options that say how an exchange is asked; any other may change what it answers
CONNECTION = {
    *("timeout", "rateLimit", "enableRateLimit", "verbose", "userAgent", "headers", "proxies", "proxyUrl", "verify"),
    *("httpProxy", "httpsProxy", "socksProxy", "trustEnv", "requests_trust_env", "validateServerSsl"),
}
# the same within `options.options`: which markets are listed, not what their candles are
LISTING = {"fetchMarkets", "fetchCurrencies"}


def source_of(settings: Mapping[str, Any]) -> str:
    """A name, fit for a folder, of where the section `exchange` takes candles from.

    The id, and eight hex digits of the options that may change candles, if there are any: another timeout or proxy is
    no other source.
    """
    options = {key: value for key, value in settings["options"].items() if key not in CONNECTION}
    inner = {key: value for key, value in options.pop("options", {}).items() if key not in LISTING}
    if not (options or inner):
        return str(settings["id"])
    text = json.dumps([options, inner], sort_keys=True, default=str)
    return f"{settings['id']}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def market_of(settings: Mapping[str, Any]) -> str:
    """A name of the market whose prices these are: `source_of`, and which of the simulated markets."""
    own = f"-{settings['seed']}-{settings['trend']:g}" if settings["id"] == "simulated" else ""
    return source_of(settings) + own
