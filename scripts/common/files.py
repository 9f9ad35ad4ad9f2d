"""Artifacts are written atomically: beside their name, then renamed. Reading one that is damaged names it.

A JSON artifact that another rule reads is a TypedDict: its writer is checked against it by mypy, its reader by
`read_document`.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import UserError, one_line

Document = TypeVar("Document")


def number(value: float) -> float | None:
    """A number as JSON has it: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A file beside `path` to be written, which is then renamed to `path`.

    Raises UserError when the folder cannot be written; whatever stood at `path` stays as it was, as it does when the
    block raises.
    """
    path = Path(path)
    # the suffix stays last: some writers choose the format by it
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        # Arrow's errors have no errno
        hint = "free some disk space" if "No space left" in str(error) else "make the folder writable"
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); {hint}, or change paths") from error
    finally:
        partial.unlink(missing_ok=True)


def write_atomic(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file that becomes `path`, as `atomic` does."""
    with atomic(path) as partial:
        write(partial)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_atomic(path, lambda partial: partial.write_bytes(text.encode()))


def json_text(content: Any) -> str:
    """JSON with ordered keys. Raises ValueError on NaN and infinities: they are not JSON."""
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: str | Path, content: Any) -> None:
    """Write `json_text`, whole or not at all."""
    write_text(path, json_text(content))


def read_json(path: str | Path) -> Any:
    """Read JSON. Raises UserError when the file is missing or damaged."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def read_document(path: str | Path, kind: type[Document]) -> Document:
    """Read JSON that holds a document of `kind`, a TypedDict.

    Raises UserError when it is missing or damaged, lacks a field or has a value of another type.
    """
    # imported here, as it takes 0.1 s, which jobs that read no document need not spend
    from pydantic import TypeAdapter, ValidationError

    content = read_json(path)
    try:
        TypeAdapter(kind).validate_python(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "JSON"
        raise UserError(
            f"{path}: is damaged, or of another version of this workflow ({place}: {first['msg']}); "
            "delete it and run again to rebuild it"
        ) from error
    # as it was written: the validated copy could hold other numbers, such as 1.0 for 1
    return content


def write_parquet(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a frame without its index; `frame.attrs` is kept."""
    # floats hardly repeat, so a dictionary of them is of no use; split into their bytes they take a third less
    floats = [str(name) for name, kind in frame.dtypes.items() if kind.kind == "f"]
    others = [str(name) for name in frame.columns if name not in floats]
    packing: dict[str, Any] = {"compression": "zstd", "use_byte_stream_split": floats, "use_dictionary": others}
    write_atomic(path, lambda partial: frame.to_parquet(partial, index=False, **packing))


@contextmanager
def parquet_writer(path: str | Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """A function that appends a frame, each with the same columns, to a Parquet file; as `atomic`. Call it at least
    once."""
    with atomic(path) as partial, ExitStack() as stack:
        writer: pq.ParquetWriter | None = None

        def write(frame: pd.DataFrame) -> None:
            nonlocal writer
            table = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or stack.enter_context(pq.ParquetWriter(partial, table.schema))
            writer.write_table(table)

        yield write


def read_parquet(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a frame written by `write_parquet`. Raises UserError when it is missing, damaged or lacks a column."""
    try:
        return pd.read_parquet(path, columns=columns)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def parquet_columns(path: str | Path) -> list[str]:
    """Names of the columns of a frame written by `write_parquet`. Raises UserError when it is missing or damaged."""
    try:
        return pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, floats to ten significant digits."""
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a frame as `csv_text` does, whole or not at all."""
    write_text(path, csv_text(frame))


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a frame written by `write_csv`. Raises UserError when it is missing or damaged."""
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def file_of(files: Sequence[str], stem: str) -> str:
    """The file of that name, without its ending. Raises UserError where there is none."""
    found = next((file for file in files if Path(file).stem == stem), None)
    if found is None:
        raise UserError(f"none of {', '.join(files)} is of {stem}; run again with the config that decided")
    return found


def sha256(path: str | Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 (hex) of the file that `write_text` writes."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(files: Sequence[str | Path], *params: Any) -> str:
    """Sixteen hex digits that identify the bytes of these files and these parameters, plain values."""
    hashed = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for path in files:
        hashed.update(Path(path).read_bytes())
    return hashed.hexdigest()[:16]


def _damaged(path: str | Path, error: Exception) -> UserError:
    return UserError(f"{path}: missing or damaged ({one_line(error)}); delete it and run again to rebuild it")
