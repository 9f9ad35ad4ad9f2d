"""What is in a candle file that is compressed, or an archive of several: the members that hold a symbol's candles."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path

from common.errors import UserError, one_line
from market.candle_folder import COMPRESSED, TABLES, holds_no_candles
from market.pairs import canonical, symbol_in

UNPACK = {".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress}


def members(path: Path, symbol: str) -> dict[str, bytes]:
    """Names and contents of the tables in a file: one, or an archive's that are of the symbol.

    A member whose name has no symbol is of the archive's; folders and texts are left out.
    Raises UserError with the reason, in which the archive is named.
    """
    name = path.name.lower()
    try:
        if name.endswith(".zip"):
            return _of_zip(path, symbol)
        packed = next((suffix for suffix in COMPRESSED if name.endswith(suffix)), "")
        content = path.read_bytes()
        return {name.removesuffix(packed): UNPACK[packed](content) if packed else content}
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise UserError(
            f"{path}: cannot be read, it may be truncated or corrupt ({one_line(error)}); delete or replace it"
        ) from error


def _of_zip(path: Path, symbol: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        found = [member for member in archive.infolist() if _is_table(member)]
        if not found:
            raise UserError(f"{path}: holds no file of candles; delete or replace it")
        chosen = [member for member in found if _is_of(member.filename, symbol)]
        if not chosen:
            names = ", ".join(member.filename for member in found[:5])
            raise UserError(f"{path}: holds {names}, which are not of {symbol}; rename it, or delete it")
        if any(member.flag_bits & 1 for member in chosen):
            raise UserError(f"{path}: is encrypted; unpack it with its password, and delete it")
        return {member.filename: archive.read(member) for member in chosen}


def _is_table(member: zipfile.ZipInfo) -> bool:
    name = Path(member.filename).name
    hidden = name.startswith((".", "_")) or member.filename.startswith("__MACOSX/")
    return not (member.is_dir() or hidden or holds_no_candles(name)) and name.lower().endswith(TABLES)


def _is_of(name: str, symbol: str) -> bool:
    """Is it a member of the symbol, or of the archive's, if its own name and those of its folders say none?"""
    parts = reversed(Path(name).parts)
    found = next(filter(None, (symbol_in(part, [symbol] if symbol else []) for part in parts)), None)
    return not symbol or found is None or canonical(found) == canonical(symbol)
