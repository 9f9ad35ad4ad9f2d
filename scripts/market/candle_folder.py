"""Which files of a folder are candles, and of which symbol: by their names and those of the folders they are in.

Standard library only: the workflow reads it too.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from market.pairs import canonical, split, symbol_in
from market.symbols import slug

TABLES = (".parquet", ".feather", ".csv", ".tsv", ".json", ".jsonl", ".ndjson")
COMPRESSED = (".gz", ".xz", ".bz2")
SUFFIXES = (*TABLES, *(table + packed for table in TABLES for packed in COMPRESSED), ".zip")
NOT_CANDLES = {
    "QUALITY", "TRADES", "AGGTRADES", "MARK", "INDEX", "PREMIUMINDEX", "FUNDING", "FUNDINGRATE", "README",
    "MARKPRICEKLINES", "INDEXPRICEKLINES", "PREMIUMINDEXKLINES", "BOOKTICKER", "BOOKDEPTH", "METRICS",
}  # fmt: skip
# a folder that holds one of these is a run's own: its candles, or its artifacts
OF_A_RUN = ("as_of/train.json", "run.yaml", "logs/as_of")


def candle_files(folder: str | Path, symbols: Iterable[str] = ()) -> dict[str, list[Path]]:
    """Candle files under the folder, sorted, by unified symbol; all spellings of a symbol are one.

    symbols: those that are asked for; they are spelt as here. Linked folders are searched too; what a run of this
    workflow wrote is left out.
    """
    symbols = list(symbols)
    spelt = {canonical(symbol): symbol for symbol in symbols}
    found: dict[str, list[Path]] = {}
    names: dict[str, str] = {}
    for path in _files(Path(folder)):
        parts = [path.name, *(parent.name for parent in path.relative_to(folder).parents)]
        if not is_candle_file(path.name) or any(NOT_CANDLES & _tokens(part) for part in parts):
            continue
        symbol = next(filter(None, (symbol_in(part, symbols) for part in parts)), None)
        if symbol:
            key = canonical(symbol)
            names.setdefault(key, _unified(spelt.get(key, symbol), symbol))
            found.setdefault(key, []).append(path)
    return {names[key]: found[key] for key in sorted(found, key=names.__getitem__)}


def is_candle_file(name: str) -> bool:
    """Is it a kind of file that is read, by its name's end?"""
    return name.lower().endswith(SUFFIXES) and not name.startswith((".", "_"))


def holds_no_candles(name: str) -> bool:
    """Does the name say that it is something else, such as trades or funding rates?"""
    return bool(NOT_CANDLES & _tokens(name))


def _unified(asked: str, found: str) -> str:
    """The symbol as it is asked for, with its slash if a known quote currency tells where it stands."""
    if "/" in asked or slug(found) == slug(asked):
        return found if slug(found) == slug(asked) else asked
    base, quote = split(asked)
    settle = asked.partition("-")[2]
    return f"{base}/{quote}" + (f":{settle}" if settle else "") if quote else asked


def _tokens(name: str) -> set[str]:
    return set(re.split("[^A-Z0-9]+", name.upper()))


def _files(folder: Path) -> Iterator[Path]:
    """All files under the folder, sorted, but those of hidden folders and of a run; each folder is entered once."""
    entered = set()
    found = []
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        real = here.resolve()
        own = here != folder and (here.name.startswith(".") or any((here / mark).exists() for mark in OF_A_RUN))
        if real in entered or own:
            folders.clear()
            continue
        entered.add(real)
        found += [here / name for name in files]
    yield from sorted(path for path in found if path.is_file())
