"""Rule fetch_outcome: the candles after the decision, as far as they exist. Nothing before the audit reads them."""

from collections.abc import Mapping
from typing import Any

from common.files import read_json
from common.job import job, say
from market.candles import clean, write_candles
from market.cutoffs import last_close
from market.fetching import fetch, open_at
from market.intervals import step_ms
from market.sources import source_of
from market.store import RECHECKED, Store
from market.symbols import slug


def fetch_outcome(
    output: str,
    quality_output: str,
    cutoff: str,
    exchange_settings: Mapping[str, Any],
    store: str,
    symbol: str,
    interval: str,
    horizon: int,
    fill: int,
) -> None:
    """Write the closed candles of the `horizon` bars after the cutoff's as_of, and the record of their quality.

    They may be fewer, or none, while the horizon has not passed; the record's `end` says how far they go.
    exchange_settings: the config's section `exchange`. store: the folder where candles of live exchanges are kept.
    symbol: as the user writes it. fill: gaps of up to so many bars
    between two candles are filled. Raises UserError when a request to the exchange fails.
    """
    until = read_json(cutoff)
    name, bar_ms, start = slug(symbol), step_ms(interval), until["as_of"]
    exchange = open_at(until, exchange_settings, symbol, interval)
    unified = until["symbols"][name]
    closed = last_close(exchange, bar_ms, exchange_settings["grace"])
    kept = Store(store, source_of(exchange_settings), name, interval)
    last = max(start, min(start + horizon * bar_ms, closed))
    fetched = fetch(exchange, kept, unified, start, last)
    rows = fetched.rows
    settled = not exchange.historical and not len(fetched.unconfirmed)
    # bars that do not exist yet are no gap
    end = last if settled else int(rows[:, 0].max(initial=start - bar_ms)) // bar_ms * bar_ms + bar_ms
    revised = kept.revisions(start - RECHECKED * bar_ms, end)
    candles, quality = clean(rows, name, interval, start, end, fill, revised=revised, fill_end=settled)
    for revision in revised:
        say(f"{name} {interval}: {exchange.id} changed the candle of {revision['time']} after it was fetched")
    write_candles(output, quality_output, candles, quality)
    say(f"{name} {interval}: {len(candles)} of {horizon} bars after {until['as_of_iso']} are available")


if __name__ == "__main__":
    with job() as snakemake:
        for output, quality_output, name in zip(
            snakemake.output.candles, snakemake.output.quality, snakemake.params.symbols, strict=True
        ):
            fetch_outcome(
                output=output,
                quality_output=quality_output,
                cutoff=snakemake.input.cutoff,
                exchange_settings=snakemake.params.connection,
                store=snakemake.params.store,
                symbol=name,
                interval=snakemake.params.interval,
                horizon=snakemake.params.horizon,
                fill=snakemake.params.fill,
            )
