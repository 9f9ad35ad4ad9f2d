"""Rule fetch_candles: one symbol's candles up to a cutoff, cleaned."""

from collections.abc import Mapping
from typing import Any

from common.files import read_json
from common.job import job, say
from market.candles import clean, write_candles
from market.exchange import fetch_rows, open_exchange
from market.intervals import step_ms
from market.symbols import slug


def fetch_candles(
    output: str,
    quality_output: str,
    cutoff: str,
    exchange: Mapping[str, Any],
    symbol: str,
    interval: str,
    bars: int,
    fill: int,
    max_missing: float,
    max_conflicting: float,
) -> None:
    """Write the last `bars` candles that closed by the cutoff's as_of, and the record of their quality.

    exchange: the config's section. symbol: as the user writes it. fill, max_missing, max_conflicting: see
    `market.candles.clean`. Raises UserError when the exchange does not give them, or they are not good enough.
    """
    known_until = read_json(cutoff)
    name, end = slug(symbol), known_until["as_of"]
    start = end - bars * step_ms(interval)
    market = open_exchange(exchange, [symbol], interval)
    rows = fetch_rows(market, known_until["symbols"][name], interval, start, end)
    candles, quality = clean(rows, name, interval, start, end, fill, max_missing, max_conflicting)
    write_candles(output, quality_output, candles, quality)
    say(f"{name} {interval}: {quality['bars']} bars to {quality['end']}; " + _faults(quality))


def _faults(quality: Mapping[str, Any]) -> str:
    """What was wrong, in a few words."""
    counts = {name: quality[name] for name in ("missing", "filled", "duplicates")}
    counts |= {name: len(quality[name]) for name in ("conflicting", "dropped", "frozen_spans")}
    faults = [f"{number} {name.replace('_', ' ')}" for name, number in counts.items() if number]
    return ", ".join(faults) or "nothing wrong with them"


if __name__ == "__main__":
    with job() as snakemake:
        fetch_candles(
            output=snakemake.output.candles,
            quality_output=snakemake.output.quality,
            cutoff=snakemake.input.cutoff,
            exchange=snakemake.params.exchange,
            symbol=snakemake.params.symbol,
            interval=snakemake.params.interval,
            bars=snakemake.params.bars,
            fill=snakemake.params.fill,
            max_missing=snakemake.params.max_missing,
            max_conflicting=snakemake.params.max_conflicting,
        )
