"""Rule fetch_outcome: the candles after the decision, as far as they exist. Nothing before the audit reads them."""

from collections.abc import Mapping
from typing import Any

from common.files import read_json
from common.job import job, say
from market.candles import write_candles
from market.cutoffs import last_close
from market.fetching import open_at
from market.outcome import outcome
from market.sources import source_of
from market.store import Store
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
    name, start = slug(symbol), until["as_of"]
    exchange = open_at(until, exchange_settings, symbol, interval)
    kept = Store(store, source_of(exchange_settings), name, interval)
    closed = last_close(exchange, kept.bar_ms, exchange_settings["grace"])
    found = outcome(exchange, kept, (name, until["symbols"][name]), start, horizon, closed, fill)
    write_candles(output, quality_output, found.candles, found.quality)
    say(f"{name} {interval}: {len(found.candles)} of {horizon} bars after {until['as_of_iso']} are available")


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
