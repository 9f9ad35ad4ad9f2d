"""What an entry is made of: the decisions of one time with all that they say they were made on."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import read_document, read_parquet, sha256
from forecasting.quantiles import KEYS, quantile_columns
from trading.documents import Trade
from trading.exposure import drifted
from trading.ledger.chain import Link, read_chain
from trading.seal import broken_seal, verify

FORECASTS, WEIGHTS = "forecasts.parquet", "weights.json"


def entry_files(
    folder: str | Path, symbols: Sequence[str], forecasts: Sequence[str], weights: str, origin: int
) -> dict[str, bytes]:
    """The files of an entry, by name: each symbol's document, path and plans of `folder`, all members' forecasts from
    `origin` (ms), and their weights.

    forecasts: a file a member, named by it. Raises UserError where a document, or a table beside it, is not what was
    sealed.
    """
    files: dict[str, bytes] = {}
    for symbol in symbols:
        trade = Path(folder, f"{symbol}.json")
        sealed = read_document(trade, Trade)
        verify(sealed, str(trade))
        tables = {"path": sealed["forecast"]["path_sha256"], "plans": sealed["plans_sha256"]}
        for name, digest in tables.items():
            if sha256(table := Path(folder, f"{symbol}-{name}.csv")) != digest:
                raise broken_seal(str(table))
        paths = [trade, *(Path(folder, f"{symbol}-{name}.csv") for name in tables)]
        files |= {path.name: path.read_bytes() for path in paths}
    return files | {FORECASTS: forecasts_from(forecasts, origin), WEIGHTS: Path(weights).read_bytes()}


def forecasts_from(files: Sequence[str], origin: int) -> bytes:
    """All members' forecasts from one origin (ms), as Parquet: `member`, then the columns of their files. A skipped
    member has no rows."""
    tables = []
    for file in sorted(files):
        frame = read_parquet(file)
        rows = frame[frame["origin"] == origin]
        tables.append(rows.assign(member=Path(file).stem)[["member", *frame.columns]])
    table = pd.concat(tables, ignore_index=True).astype({"member": "str"})
    table.attrs = {}
    return write_bytes(table)


def write_bytes(table: pd.DataFrame) -> bytes:
    """A table as the bytes of a Parquet file."""
    made = io.BytesIO()
    table.to_parquet(made, index=False, compression="zstd")
    return made.getvalue()


def read_entry_forecasts(link: Link) -> dict[tuple[str, str], tuple[float, np.ndarray]]:
    """The forecasts of an entry by member and symbol: the close that they start from, and the quantiles [horizon,
    levels].

    Raises UserError when the file holds anything else.
    """
    path = link.folder / FORECASTS
    frame, columns = read_parquet(path), quantile_columns(link.entry["quantile_levels"])
    horizon = link.entry["horizon"]
    found = {}
    if list(frame.columns) != ["member", *KEYS, *columns]:
        raise UserError(f"{path}: does not hold the forecasts of this entry; restore it from a copy of the ledger")
    for (member, symbol), rows in frame.groupby(["member", "symbol"], sort=True):
        if rows["step"].tolist() != list(range(1, horizon + 1)):
            raise UserError(f"{path}: {member} lacks steps of {symbol}; restore it from a copy of the ledger")
        found[str(member), str(symbol)] = (float(rows["close"].iloc[0]), rows[columns].to_numpy(np.float64))
    return found


def documents(link: Link) -> Mapping[str, Trade]:
    """The decisions of an entry, by symbol."""
    return {symbol: read_document(link.folder / f"{symbol}.json", Trade) for symbol in sorted(link.entry["symbols"])}


def held_weights(ledger: str | Path, as_of: str, closes: Mapping[str, float]) -> dict[str, float]:
    """The weights that the last entry before a time left, by symbol, at the `closes` of now; none where that entry is
    no `exposure`."""
    links = [link for link in read_chain(ledger) if link.entry["as_of"] < as_of]
    held = {}
    for symbol, trade in documents(links[-1]).items() if links else ():
        if symbol in closes and trade["exposure"] is not None:
            ratio = closes[symbol] / trade["decision"]["entry_price"]
            held[symbol] = drifted(trade["exposure"]["weight"], ratio)
    return held
