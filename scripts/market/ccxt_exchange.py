"""Exchanges of ccxt by their id. Credentials come from EXCHANGE_API_KEY and EXCHANGE_SECRET alone."""

import os
from collections.abc import Mapping
from typing import Any

from common.errors import UserError, one_line
from common.secrets import secret_in

# what ccxt raises on options of a wrong type and on malformed responses
MALFORMED = (TypeError, ValueError, AttributeError, KeyError)


def exchange_ids() -> list[str]:
    """Every exchange id that ccxt supports."""
    import ccxt  # takes most of a second

    return list(ccxt.exchanges)


def open_ccxt(settings: Mapping[str, Any]) -> Any:
    """ccxt's exchange of the id that the config's section `exchange` names, with `options` for its constructor.

    Raises UserError when the options hold credentials or are invalid, or the exchange has no candles.
    """
    import ccxt

    name, options = settings["id"], settings["options"]
    secret = secret_in(options)
    if secret:
        raise UserError(
            f"exchange.options.{secret}: credentials are not allowed in a config; "
            "set the environment variables EXCHANGE_API_KEY and EXCHANGE_SECRET instead"
        )
    credentials = {"apiKey": os.environ.get("EXCHANGE_API_KEY"), "secret": os.environ.get("EXCHANGE_SECRET")}
    given = {key: value for key, value in credentials.items() if value}
    try:
        exchange = getattr(ccxt, name)({"enableRateLimit": True, **options, **given})
    except MALFORMED as error:
        raise UserError(f"exchange.options: invalid options for ccxt's {name} ({one_line(error)})") from error
    if not exchange.has.get("fetchOHLCV"):
        raise UserError(f"exchange.id: ccxt's {name} does not support fetchOHLCV (candles); choose another exchange")
    return exchange
