"""Rule ledger_settle: what came after the ledger's decisions, as far as it is there; their scores; drift."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_csv, write_csv
from common.job import job, say
from common.locks import locked
from common.notify import notify
from market.candles import COLUMNS
from market.cutoffs import last_close
from market.exchange import Exchange, open_exchange
from market.fetching import fetch_rows
from market.intervals import DAY, iso, step_ms
from market.outcome import outcome
from market.sources import market_of, source_of
from market.store import Store
from trading.ledger.chain import LOCK, Link, read_chain
from trading.ledger.documents import Settlement, Status, SymbolSettlement
from trading.ledger.drift import drift, outcomes, warning
from trading.ledger.entries import documents
from trading.ledger.settling import (
    Realised,
    horizon_span,
    open_symbols,
    read_settlement,
    settle_symbol,
    write_settlement,
)
from trading.ledger.table import ledger_table
from trading.settlement import closes_from

# horizons, and at least a day, after which a candle that did not come is given up
GIVEN_UP = 10


def ledger_settle(
    ledger: str, table: str, drift_table: str, exchange_settings: Mapping[str, Any], store: str, fill: int, window: int
) -> None:
    """Settle what is due, and write the `table` of all forecasts and decisions, and the `drift_table`.

    exchange_settings: the config's section `exchange`. store: the folder where candles of live exchanges are kept.
    fill: gaps of up to so many bars are filled. window: decisions whose figures are told together. Raises UserError
    where the ledger is not what was sealed, or a request to the exchange fails.
    """
    if not (links := read_chain(ledger)):
        raise UserError(f"{ledger}: holds no decision yet; make decide appends one")
    with locked(Path(ledger, LOCK), f"{ledger}: waiting for another run that writes into it"):
        settled = settle_due(links, exchange_settings, store, fill)
    rows = ledger_table(settled)
    write_csv(table, rows)
    last = links[-1].entry
    expected = {link.entry["as_of"]: link.entry["skill"] for link in links}
    found = drift(outcomes(rows, expected), step_ms(last["interval"]), last["horizon"], window)
    tell_drift(found, drift_table)
    write_csv(drift_table, found)
    say(f"ledger: {describe(settled)}")


def settle_due(
    links: Sequence[Link], settings: Mapping[str, Any], store: str, fill: int
) -> list[tuple[Link, Settlement]]:
    """Every entry with its settlement; those that are due are settled, as far as their candles are there."""
    made: dict[str, dict[str, SymbolSettlement]] = {link.digest: {} for link in links}
    due = sorted(
        ((name, place) for place, link in enumerate(links) for name in open_symbols(link)), key=lambda one: one
    )
    market = market_of(settings)
    for interval in sorted({links[place].entry["interval"] for _, place in due}):
        own = [
            (name, links[place])
            for name, place in due
            if (links[place].entry["interval"], links[place].entry["market"]) == (interval, market)
        ]
        if own:
            for name, link, realised in _realised(own, settings, store, interval, fill):
                made[link.digest][name] = settle_symbol(link, name, realised)
    for name, place in due:
        link = links[place]
        if link.entry["market"] != market:
            say(f"ledger: {link.folder} is of {link.entry['market']}, and the config's exchange is {market}")
        if name not in made[link.digest] and read_settlement(link) is None:
            nothing = Realised(np.full(link.entry["horizon"], np.nan), final=False)
            made[link.digest][name] = settle_symbol(link, name, nothing)
    return [(link, write_settlement(link, made[link.digest])) for link in links]


def _realised(
    due: Sequence[tuple[str, Link]], settings: Mapping[str, Any], store: str, interval: str, fill: int
) -> Iterator[tuple[str, Link, Realised]]:
    """What came after the entries that are due, of one interval, by symbol: an exchange may keep the candles of one
    symbol at a time."""
    exchange = open_exchange(settings, sorted({name for name, _ in due}), interval)
    closed = last_close(exchange, step_ms(interval), settings["grace"])
    for name, link in due:
        kept = Store(store, source_of(settings), name, interval)
        close = documents(link)[name]["decision"]["entry_price"]
        if exchange.historical and not _continues(exchange, link, name, close):
            say(f"ledger: {link.folder} is of other candles of {name} than the exchange has, and stays as it is")
            continue
        yield name, link, realise(exchange, kept, name, link, closed, fill)


def _continues(exchange: Exchange, link: Link, name: str, close: float) -> bool:
    """Whether the exchange's bar before an entry has the close that was decided on."""
    start, interval = horizon_span(link)[0], link.entry["interval"]
    before = fetch_rows(exchange, link.entry["symbols"][name], interval, start - step_ms(interval), start)
    return not len(before) or bool(np.isclose(before[-1, 4], close, rtol=1e-9))


def realise(exchange: Exchange, kept: Store, name: str, link: Link, closed: int, fill: int) -> Realised:
    """The closes after an entry, as far as the exchange has them. closed: time (ms) by which bars are final."""
    unified, horizon = link.entry["symbols"][name], link.entry["horizon"]
    start, end = horizon_span(link)
    market = {} if exchange.historical else exchange.load_markets().get(unified)
    if market is None:
        candles = pd.DataFrame(kept.rows(start, end), columns=COLUMNS).astype({"timestamp": "int64"})
        gone = f"{unified} is not listed on {exchange.id} any more"
        return Realised(closes_from(candles, start, kept.bar_ms, horizon), final=False, halted=gone)
    found = outcome(exchange, kept, (name, unified), start, horizon, closed, fill)
    closes = closes_from(found.candles, start, kept.bar_ms, horizon)
    halted: str | None = None
    if closed >= end and market.get("active") is False:
        halted = f"{unified} is not traded on {exchange.id} any more (halted, delisted or renamed)"
    elif closed >= end + max(GIVEN_UP * (end - start), DAY):
        halted = f"{exchange.id} has no candle up to {iso(end)}, long after it"
    return Realised(closes, found.final, None if found.final else halted)


def tell_drift(found: pd.DataFrame, before: str) -> None:
    """Warn of what drifts after the last decision; notify where nothing did when the table `before` was written."""
    if not len(found) or not found["drifting"].iloc[-1]:
        return
    line = warning(found.iloc[-1].to_dict())
    say(line)
    known = read_csv(before)["drifting"].tail(1).notna().any() if Path(before).exists() else False
    if not known:
        notify("the forecasts drift", line)


def describe(settled: Sequence[tuple[Link, Settlement]]) -> str:
    """How many decisions there are, by how far they are settled."""
    status = Counter(one["status"] for _, settlement in settled for one in settlement["symbols"].values())
    counts = ", ".join(f"{status[name]} {name}" for name in get_args(Status) if status[name])
    return f"{len(settled)} entries, {status.total()} decisions: {counts}"


if __name__ == "__main__":
    with job() as snakemake:
        ledger_settle(
            ledger=snakemake.params.ledger,
            table=snakemake.output.table,
            drift_table=snakemake.output.drift,
            exchange_settings=snakemake.params.connection,
            store=snakemake.params.store,
            fill=snakemake.params.fill,
            window=snakemake.params.window,
        )
