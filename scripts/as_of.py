"""Rule as_of: write the cutoff, the time after which nothing is known; check symbols and interval on the exchange."""

from collections.abc import Mapping
from typing import Any

from common.errors import UserError
from common.files import read_json, write_json
from common.job import job, say
from market.cutoffs import last_close, next_close
from market.exchange import Exchange, LiveExchange, open_exchange
from market.fetching import check_interval, resolve_symbols
from market.intervals import iso, parse_time, step_ms


def as_of(
    output: str,
    exchange_settings: Mapping[str, Any],
    symbols: list[str],
    interval: str,
    horizon: int,
    requested: str,
    train: str | None,
) -> None:
    """Write the cutoff: `as_of` (ms, on the interval's grid), `as_of_iso`, `exchange`, `simulated`, `latest` (whether
    it was the present when it was taken), `symbols`, and of a live exchange ccxt's `markets` of these.

    exchange_settings: the config's section `exchange`. symbols: as the user writes them. requested: `latest` or an ISO
    time. train: for the decision's cutoff, the file of the training's, which this one is never earlier than.
    Raises UserError when the exchange lacks a symbol or the interval, or does not trade a symbol any more, or
    `requested` lies in its future.
    """
    bar_ms = step_ms(interval)
    exchange = open_exchange(exchange_settings, symbols, interval)
    check_interval(exchange, interval)
    before = read_json(train) if train else None
    if before and isinstance(exchange, LiveExchange):
        exchange.set_markets(before["markets"])
    unified = resolve_symbols(exchange, symbols)
    markets = exchange.load_markets() if isinstance(exchange, LiveExchange) else {}
    grace = exchange_settings["grace"]
    latest = requested == "latest" and not exchange.historical
    if latest:
        _check_traded(exchange, [markets[symbol] for symbol in unified.values()])
        time = next_close(exchange, bar_ms, grace) if train else last_close(exchange, bar_ms, grace)
    else:
        time = _resolve_time(exchange, bar_ms, horizon, requested, grace)
    if before:
        time = max(time, before["as_of"])
    cutoff = {
        "as_of": time,
        "as_of_iso": iso(time),
        "exchange": exchange.id,
        "simulated": exchange.id == "simulated",
        "latest": latest,
        "symbols": unified,
        # what an exchange says of a market beside what ccxt makes of it is of no use
        "markets": {symbol: {**markets[symbol], "info": {}} for symbol in unified.values() if symbol in markets},
    }
    write_json(output, cutoff)
    say(f"as_of: {cutoff['as_of_iso']} on {exchange.id}, {', '.join(unified.values())}")


def _check_traded(exchange: Exchange, markets: list[Any]) -> None:
    """Raise UserError when one of ccxt's markets is not traded now. Many exchanges do not say (None)."""
    halted = [market["symbol"] for market in markets if market.get("active") is False]
    if halted:
        raise UserError(
            f"symbols: {halted[0]} is not traded on {exchange.id} (halted, delisted or renamed), so it has no latest "
            "candle; choose another symbol, or an as_of before its last candle"
        )


def _resolve_time(exchange: Exchange, bar_ms: int, horizon: int, requested: str, grace: float) -> int:
    """The requested time, ms on the grid; on historical data, `latest` leaves a horizon for the audit."""
    now = last_close(exchange, bar_ms, grace)
    if requested == "latest":
        return now - horizon * bar_ms
    time = parse_time(requested) // bar_ms * bar_ms
    if time > now:
        raise UserError(
            f"as_of: {requested} is in the future: the last closed candle on {exchange.id} ends at {iso(now)}; "
            "choose latest or earlier"
        )
    return time


if __name__ == "__main__":
    with job() as snakemake:
        as_of(
            output=snakemake.output.cutoff,
            exchange_settings=snakemake.params.connection,
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
            horizon=snakemake.params.horizon,
            requested=snakemake.params.as_of,
            train=snakemake.input.get("train"),
        )
