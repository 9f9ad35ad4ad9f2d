"""Rule as_of: cutoff the moment after which nothing is known, and check symbols and interval against the exchange."""

from collections.abc import Mapping
from typing import Any

from common.errors import UserError
from common.files import read_json, write_json
from common.job import job, say
from market.exchange import EMBEDDED, Exchange, check_interval, clock, open_exchange, resolve_symbols
from market.intervals import iso, parse_time, step_ms


def as_of(
    output: str,
    exchange: Mapping[str, Any],
    symbols: list[str],
    interval: str,
    horizon: int,
    wanted: str,
    not_before: str | None,
) -> None:
    """Write the cutoff: `as_of` (ms, on the interval's grid), `as_of_iso`, `exchange`, `simulated`, `symbols`.

    exchange: the config's section. symbols: as the user writes them. wanted: `latest` or an ISO time.
    not_before: another cutoff, which this one is never earlier than, or None.
    Raises UserError when the exchange lacks a symbol or the interval, or `wanted` lies in its future.
    """
    step_ms(interval)
    market = open_exchange(exchange, symbols, interval)
    check_interval(market, interval)
    names = resolve_symbols(market, symbols)
    moment = _moment(market, step_ms(interval), horizon, wanted)
    if not_before:
        moment = max(moment, read_json(not_before)["as_of"])
    cutoff = {
        "as_of": moment,
        "as_of_iso": iso(moment),
        "exchange": market.id,
        "simulated": market.id == "simulated",
        "symbols": names,
    }
    write_json(output, cutoff)
    say(f"as_of: {cutoff['as_of_iso']} on {market.id}, {', '.join(names.values())}")


def _moment(market: Exchange, step: int, horizon: int, wanted: str) -> int:
    """The moment that `wanted` stands for, ms on the grid; on a tape, `latest` leaves a horizon for the audit."""
    now = clock(market) // step * step
    if wanted == "latest":
        return now - horizon * step if market.id in EMBEDDED else now
    moment = parse_time(wanted) // step * step
    if moment > now:
        raise UserError(f"as_of: {wanted} is to come: on {market.id} it is {iso(now)}; choose latest or earlier")
    return moment


if __name__ == "__main__":
    with job() as snakemake:
        as_of(
            output=snakemake.output.cutoff,
            exchange=snakemake.params.exchange,
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
            horizon=snakemake.params.horizon,
            wanted=snakemake.params.as_of,
            not_before=snakemake.input.get("not_before"),
        )
