"""Rule import_candles: bring a folder of candle files into the store of a live exchange."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.errors import UserError
from common.files import write_json
from common.job import job, say
from market.candles import clean
from market.exchange import EXCHANGES
from market.fetching import fetch_rows
from market.intervals import iso, step_ms
from market.replay import open_replay
from market.sources import source_of
from market.store import Store
from market.symbols import slug


def import_candles(
    output: str, exchange_settings: Mapping[str, Any], store: str, symbols: list[str], interval: str
) -> None:
    """Store the candles of `exchange.folder` that the store lacks, and write what was stored, by symbol.

    The files are read and cleaned as the replay exchange reads them; gaps stay gaps. A candle that is stored already
    stays. exchange_settings: the config's section `exchange`. symbols: as the user writes them. Raises UserError when
    the exchange is none of ccxt's, or a file is missing or damaged.
    """
    source = exchange_settings["id"]
    if source in EXCHANGES:
        raise UserError(
            f"exchange.id: {source} has no store; import is for a ccxt exchange, such as exchange='{{id: binance}}'"
        )
    replay = open_replay(exchange_settings, symbols, interval)
    bar_ms, report = step_ms(interval), {}
    for symbol, name in ((found, slug(found)) for found in replay.load_markets()):
        if name not in map(slug, symbols):
            continue
        rows = fetch_rows(replay, symbol, interval, 0, np.iinfo(np.int64).max)
        first, end = int(rows[:, 0].min()) // bar_ms * bar_ms, int(rows[:, 0].max()) // bar_ms * bar_ms + bar_ms
        candles, quality = clean(rows, name, interval, first, end, fill=0)
        kept = Store(store, source_of(exchange_settings), name, interval)
        with kept.locked():
            stored = kept.rows(first, end)
            new = candles.to_numpy(dtype=np.float64)
            new = new[~np.isin(new[:, 0], stored[:, 0])]
            kept.add(new, first)
        report[name] = {"first": iso(first), "end": iso(end), "bars": len(new), "stored_before": len(stored)}
        say(f"{name} {interval}: {len(new)} of {quality['bars']} candles from {iso(first)} to {iso(end)} are new")
    write_json(output, report)


if __name__ == "__main__":
    with job() as snakemake:
        import_candles(
            output=snakemake.output.report,
            exchange_settings=snakemake.params.connection,
            store=snakemake.params.store,
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
        )
