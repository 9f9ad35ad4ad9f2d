"""Rule fetch_outcome: what came after the decision, as far as it has come. Nothing before the audit reads it."""

from collections.abc import Mapping
from typing import Any

from common.files import read_json
from common.job import job, say
from market.candles import tidy, write_candles
from market.exchange import fetch_closed_rows, open_exchange
from market.intervals import step_ms
from market.symbols import slug


def fetch_outcome(
    output: str,
    quality_output: str,
    cutoff: str,
    exchange: Mapping[str, Any],
    symbol: str,
    interval: str,
    horizon: int,
    fill: int,
) -> None:
    """Write the closed candles of the `horizon` bars after the cutoff's as_of, and the record of their quality.

    They may be fewer, or none, when the exchange has not got there yet; the record's `end` says how far they go.
    exchange: the config's section. symbol: as the user writes it. fill: gaps of up to so many bars between two candles
    are filled. Raises UserError when the exchange does not answer.
    """
    known_until = read_json(cutoff)
    name, step, start = slug(symbol), step_ms(interval), known_until["as_of"]
    market = open_exchange(exchange, [symbol], interval)
    rows = fetch_closed_rows(market, known_until["symbols"][name], interval, start, start + horizon * step)
    # what has not come yet is no gap
    reached = int(rows[:, 0].max(initial=start - step)) // step * step + step
    candles, quality = tidy(rows, name, interval, start, reached, fill)
    write_candles(output, quality_output, candles, quality)
    say(f"{name} {interval}: {len(candles)} of {horizon} bars after {known_until['as_of_iso']} have come")


if __name__ == "__main__":
    with job() as snakemake:
        fetch_outcome(
            output=snakemake.output.candles,
            quality_output=snakemake.output.quality,
            cutoff=snakemake.input.cutoff,
            exchange=snakemake.params.exchange,
            symbol=snakemake.params.symbol,
            interval=snakemake.params.interval,
            horizon=snakemake.params.horizon,
            fill=snakemake.params.fill,
        )
