"""Rule fetch_candles: one symbol's candles up to a cutoff, cleaned."""

from collections.abc import Mapping
from typing import Any

from common.files import read_json
from common.job import job, say
from market.candles import Quality, check_quality, clean, write_candles
from market.exchange import open_exchange
from market.fetching import fetch_rows
from market.intervals import step_ms
from market.symbols import slug


def fetch_candles(
    output: str,
    quality_output: str,
    cutoff: str,
    exchange_settings: Mapping[str, Any],
    symbol: str,
    interval: str,
    bars: int,
    candles_settings: Mapping[str, Any],
) -> None:
    """Write the last `bars` candles that closed by the cutoff's as_of, and the record of their quality.

    exchange_settings, candles_settings: the config's sections `exchange` and `candles`. symbol: as the user writes it.
    Raises UserError when the exchange fails to give them, or `market.candles.check_quality` refuses them.
    """
    limits = dict(candles_settings)
    fill = limits.pop("fill")
    until = read_json(cutoff)
    name, end = slug(symbol), until["as_of"]
    start = end - bars * step_ms(interval)
    exchange = open_exchange(exchange_settings, [symbol], interval)
    rows = fetch_rows(exchange, until["symbols"][name], interval, start, end)
    candles, quality = clean(rows, name, interval, start, end, fill)
    check_quality(candles, quality, **limits)
    write_candles(output, quality_output, candles, quality)
    say(f"{name} {interval}: {quality['bars']} bars to {quality['end']}; {_summary(quality)}")


def _summary(quality: Quality) -> str:
    """What was found wrong, in a few words."""
    counts = {
        "missing": quality["missing"],
        "filled": quality["filled"],
        "duplicates": quality["duplicates"],
        "conflicting": len(quality["conflicting"]),
        "dropped": len(quality["dropped"]),
        "frozen spans": len(quality["frozen_spans"]),
    }
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "no defects"


if __name__ == "__main__":
    with job() as snakemake:
        fetch_candles(
            output=snakemake.output.candles,
            quality_output=snakemake.output.quality,
            cutoff=snakemake.input.cutoff,
            exchange_settings=snakemake.params.exchange,
            symbol=snakemake.params.symbol,
            interval=snakemake.params.interval,
            bars=snakemake.params.bars,
            candles_settings=snakemake.params.candles,
        )
