"""Rule fetch_candles: candles up to a cutoff, cleaned, of one symbol or of several in turn."""

from collections.abc import Mapping
from typing import Any

from common.errors import UserError
from common.files import parquet_writer, read_json, write_json
from common.job import job, say
from market.candles import Quality, check_quality, clean, merged
from market.cutoffs import LATE
from market.fetching import fetch, open_at
from market.intervals import iso, step_ms
from market.replay import Replay
from market.sources import source_of
from market.store import Store
from market.symbols import slug


def fetch_candles(
    output: str,
    quality_output: str,
    cutoff: str,
    exchange_settings: Mapping[str, Any],
    store: str,
    symbol: str,
    interval: str,
    bars: int,
    candles_settings: Mapping[str, Any],
    train: str | None = None,
) -> None:
    """Write the last `bars` candles that closed by the cutoff's as_of, and the record of their quality.

    train: for the decision's cutoff the file of the training's: the candles are those since that, and `bars` before it.
    exchange_settings, candles_settings: the config's sections `exchange` and `candles`. store: the folder where candles
    of live exchanges are kept. symbol: as the user writes it. Raises UserError when the exchange fails to give them,
    the last one among them, or `market.candles.check_quality` refuses them.
    """
    limits = dict(candles_settings)
    fill = limits.pop("fill")
    until = read_json(cutoff)
    name, end = slug(symbol), until["as_of"]
    start = (read_json(train)["as_of"] if train else end) - bars * step_ms(interval)
    exchange = open_at(until, exchange_settings, symbol, interval)
    unified = until["symbols"][name]
    wait_until = end + int(1000 * LATE * exchange_settings["grace"])
    kept = Store(store, source_of(exchange_settings), name, interval)
    fetched = fetch(exchange, kept, unified, start, end, wait_until)
    if len(fetched.unconfirmed):
        raise UserError(
            f"{name} {interval}: {exchange.id} has no candle of {iso(int(fetched.unconfirmed[-1, 0]))} yet, and no "
            "later one, so the cutoff's last candle may still come; run again, take a new cutoff (make refresh), or "
            "choose another symbol if this one is not traded any more"
        )
    records = []
    with parquet_writer(output) as write:
        for rows, first, after in fetched.parts():
            # whatever a live exchange lacks at the end, a later candle closed
            candles, record = clean(rows, name, interval, first, after, fill, fill_end=not exchange.historical)
            write(candles)
            records.append(record)
        quality = merged(records)
        quality["revised"] = fetched.revisions
        if isinstance(exchange, Replay):
            quality["read"] = exchange.readings(symbol, interval)
            quality["partial"] = exchange.partial(symbol, interval, start, end)
        check_quality(quality, **limits)
    write_json(quality_output, quality)
    say(f"{name} {interval}: {quality['bars']} bars to {quality['end']}; {_summary(quality)}")


def _summary(quality: Quality) -> str:
    """What was found wrong, in a few words."""
    counts = {
        "missing": quality["missing"],
        "filled": quality["filled"],
        "duplicates": quality["duplicates"],
        "conflicting": len(quality["conflicting"]),
        "dropped": len(quality["dropped"]),
        "impossible": quality["impossible"],
        "partial": len(quality.get("partial", [])),
        "frozen spans": len(quality["frozen_spans"]),
        "revised": len(quality["revised"]),
    }
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "no defects"


if __name__ == "__main__":
    with job() as snakemake:
        for output, quality_output, name in zip(
            snakemake.output.candles, snakemake.output.quality, snakemake.params.symbols, strict=True
        ):
            fetch_candles(
                output=output,
                quality_output=quality_output,
                cutoff=snakemake.input.cutoff,
                exchange_settings=snakemake.params.connection,
                store=snakemake.params.store,
                symbol=name,
                interval=snakemake.params.interval,
                bars=snakemake.params.bars,
                candles_settings=snakemake.params.candles,
                train=snakemake.input.get("train"),
            )
