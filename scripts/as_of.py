"""Rule as_of: write the cutoff, the time after which nothing is known; check symbols and interval on the exchange."""

from collections.abc import Mapping
from typing import Any

from common.errors import UserError
from common.files import read_json, write_json
from common.job import job, say
from market.exchange import Exchange, is_historical, open_exchange
from market.fetching import check_interval, clock, resolve_symbols
from market.intervals import iso, parse_time, step_ms


def as_of(
    output: str,
    exchange_settings: Mapping[str, Any],
    symbols: list[str],
    interval: str,
    horizon: int,
    requested: str,
    not_before: str | None,
) -> None:
    """Write the cutoff: `as_of` (ms, on the interval's grid), `as_of_iso`, `exchange`, `simulated`, `symbols`.

    exchange_settings: the config's section `exchange`. symbols: as the user writes them. requested: `latest` or an ISO
    time. not_before: the file of another cutoff, which this one is never earlier than, or None.
    Raises UserError when the exchange lacks a symbol or the interval, or `requested` lies in its future.
    """
    bar_ms = step_ms(interval)
    exchange = open_exchange(exchange_settings, symbols, interval)
    check_interval(exchange, interval)
    unified = resolve_symbols(exchange, symbols)
    time = _resolve_time(exchange, bar_ms, horizon, requested)
    if not_before:
        time = max(time, read_json(not_before)["as_of"])
    cutoff = {
        "as_of": time,
        "as_of_iso": iso(time),
        "exchange": exchange.id,
        "simulated": exchange.id == "simulated",
        "symbols": unified,
    }
    write_json(output, cutoff)
    say(f"as_of: {cutoff['as_of_iso']} on {exchange.id}, {', '.join(unified.values())}")


def _resolve_time(exchange: Exchange, bar_ms: int, horizon: int, requested: str) -> int:
    """The requested time, ms on the grid; on historical data, `latest` leaves a horizon for the audit."""
    now = clock(exchange) // bar_ms * bar_ms
    if requested == "latest":
        return now - horizon * bar_ms if is_historical(exchange) else now
    time = parse_time(requested) // bar_ms * bar_ms
    if time > now:
        raise UserError(
            f"as_of: {requested} is in the future: the time on {exchange.id} is {iso(now)}; choose latest or earlier"
        )
    return time


if __name__ == "__main__":
    with job() as snakemake:
        as_of(
            output=snakemake.output.cutoff,
            exchange_settings=snakemake.params.exchange,
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
            horizon=snakemake.params.horizon,
            requested=snakemake.params.as_of,
            not_before=snakemake.input.get("not_before"),
        )
