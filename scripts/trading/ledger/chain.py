"""The chain: a folder an entry, named by its time; each entry.json holds the SHA-256 of the one before.

    <ledger>/2024-05-31T120000Z/entry.json    the entry, and the SHA-256 of the files beside it
    <ledger>/head.json                        the SHA-256 of the last entry.json

An entry appears whole, by the rename of its folder, and is never written again.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import UserError, one_line
from common.files import json_text, sha256, text_sha256, write_json
from common.locks import locked
from trading.ledger.documents import VERSION, Entry, Head

ENTRY, HEAD, SETTLEMENTS, LOCK = "entry.json", "head.json", "settlements", ".lock"
# of what is being written
PARTIAL = ".partial-"


class Link(NamedTuple):
    """An entry in its chain: its folder, what its entry.json holds, and the SHA-256 of that file."""

    folder: Path
    entry: Entry
    digest: str


def folder_name(time: str) -> str:
    """The name of an entry's folder: its time without colons, which some file systems refuse."""
    return time.replace(":", "")


def read_chain(ledger: str | Path) -> list[Link]:
    """The entries in order of time, none if there is no ledger.

    Raises UserError, naming the first entry that does not fit: one that is damaged, edited, of another version or of
    another ledger, or missing. The files beside entry.json are looked at by `check_files` alone.
    """
    links: list[Link] = []
    for folder in _folders(Path(ledger)):
        link = _read_link(folder)
        _check_order(link, links[-1] if links else None)
        links.append(link)
    _check_head(Path(ledger), links)
    return links


def check_files(link: Link) -> None:
    """Raise UserError unless the entry's folder holds the files that were sealed, all of them, and no other."""
    sealed = link.entry["files"]
    found = {path.name for path in link.folder.iterdir()} - {ENTRY}
    for name in sorted(sealed.keys() | found):
        path = link.folder / name
        if name not in sealed:
            raise UserError(f"{path}: is no file of this entry; remove it")
        if name not in found:
            raise UserError(f"{path}: is missing from the entry; restore it from a copy of the ledger")
        if not path.is_file() or sha256(path) != sealed[name]:
            raise UserError(f"{path}: was changed after it was sealed; restore it from a copy of the ledger")


def append(ledger: str | Path, entry: Mapping[str, Any], files: Mapping[str, bytes]) -> Link | None:
    """Append an entry, its fields but those of the chain, with its files by name; None: it is there already.

    Raises UserError where the chain does not fit, or holds another entry of that time, or a later one.
    """
    ledger = Path(ledger)
    ledger.mkdir(parents=True, exist_ok=True)
    with locked(ledger / LOCK, f"{ledger}: waiting for another run that writes into it"):
        links = read_chain(ledger)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
        last = links[-1] if links else None
        if last and not _is_new(last, entry["as_of"], digests):
            write_json(ledger / HEAD, _head(last))
            return None
        chained = {"version": VERSION, "number": len(links) + 1, "previous": last.digest if last else None}
        link = _write(ledger, {**entry, **chained, "files": digests}, files)
        write_json(ledger / HEAD, _head(link))
        return link


def read_head(ledger: str | Path) -> Head | None:
    """What head.json holds, None where there is none. Raises UserError when it is damaged."""
    path = Path(ledger, HEAD)
    if not path.exists():
        return None
    try:
        head: Head = json.loads(path.read_bytes())
        if head.keys() == Head.__required_keys__ and isinstance(head["entries"], int) and head["entries"] > 0:
            return {**head, "last": str(head["last"])}
    except (ValueError, AttributeError):
        pass
    raise UserError(f"{path}: is damaged; restore it from a copy of the ledger")


def _is_new(last: Link, as_of: str, digests: Mapping[str, str]) -> bool:
    """Whether an entry of that time comes after the last one; False: it is that one."""
    before = last.entry["as_of"]
    if as_of > before:
        return True
    if as_of < before:
        raise UserError(
            f"{last.folder}: the ledger goes up to {before}, and a decision of {as_of} comes too late for it; "
            "take a later as_of, or another folder of artifacts"
        )
    if dict(digests) != last.entry["files"]:
        raise UserError(
            f"{last.folder}: the ledger holds another decision of {as_of}, which stays as it is; decide again at a "
            "later time (make decide), or in another folder of artifacts"
        )
    return False


def _write(ledger: Path, entry: Mapping[str, Any], files: Mapping[str, bytes]) -> Link:
    """Write the entry's folder beside its name, and rename it."""
    for left in ledger.glob(f"{PARTIAL}*"):
        shutil.rmtree(left)
    folder = ledger / folder_name(entry["as_of"])
    partial = ledger / f"{PARTIAL}{folder.name}"
    try:
        partial.mkdir()
        for name, content in files.items():
            (partial / name).write_bytes(content)
        (partial / ENTRY).write_bytes(json_text(entry).encode())
        # a folder that is there is never replaced
        partial.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error}); nothing was appended") from error
    return _read_link(folder)


def _folders(ledger: Path) -> list[Path]:
    """The folders of the entries, by time. Raises UserError on what is no part of a ledger."""
    known = {HEAD, SETTLEMENTS, LOCK}
    found = sorted(path for path in ledger.glob("*") if path.name not in known and not path.name.startswith(PARTIAL))
    for path in found:
        if not (path / ENTRY).is_file():
            raise UserError(
                f"{path / ENTRY}: is missing; restore the entry from a copy of the ledger"
                if path.is_dir()
                else f"{path}: is no part of a ledger; remove it"
            )
    return found


def _read_link(folder: Path) -> Link:
    """Raises UserError where entry.json is damaged, edited, or of another version, or the folder has another name."""
    path = folder / ENTRY
    try:
        text = path.read_bytes().decode()
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is damaged ({one_line(error)}); restore it from a copy of the ledger") from error
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        raise UserError(
            f"{path}: is of {'a newer' if newer else 'an older or another'} version of the ledger ({version}), and "
            f"this workflow reads version {VERSION}; use the workflow that wrote it, or another folder of artifacts"
        )
    if content.keys() != Entry.__required_keys__ or text != json_text(content):
        raise UserError(f"{path}: was changed after it was written; restore it from a copy of the ledger")
    if folder.name != folder_name(str(content["as_of"])):
        raise UserError(f"{path}: is the entry of {content['as_of']}, in the folder of another; it was moved")
    return Link(folder, content, text_sha256(text))


def _check_order(link: Link, before: Link | None) -> None:
    """Raise UserError unless the entry is the one after `before`, or the first."""
    number, expected = link.entry["number"], before.entry["number"] + 1 if before else 1
    after = f"after {before.folder.name}" if before else "at the beginning"
    if number > expected:
        missing = f"entry {expected}" if number == expected + 1 else f"entries {expected} to {number - 1}"
        raise UserError(
            f"{link.folder}: is entry {number}, and {missing} {after} {'is' if number == expected + 1 else 'are'} "
            "missing; restore what is missing from a copy of the ledger"
        )
    if number < expected or link.entry["previous"] != (before.digest if before else None):
        raise UserError(
            f"{link.folder}: does not continue the chain {after}: it is of another ledger, or the entry before it was "
            "changed or replaced; restore both from a copy of the ledger"
        )


def _check_head(ledger: Path, links: Sequence[Link]) -> None:
    """Raise UserError unless head.json names an entry of the chain. (One run may have ended between the last entry and
    its head.)"""
    path, head = ledger / HEAD, read_head(ledger)
    if head is None:
        if len(links) > 1:
            raise UserError(f"{path}: is missing; restore it from a copy of the ledger")
        return
    if head["entries"] > len(links):
        raise UserError(
            f"{ledger / head['last']}: entry {head['entries']}, the last one by {HEAD}, is missing; restore it from a "
            "copy of the ledger"
        )
    link = links[head["entries"] - 1]
    if head != _head(link) or path.read_bytes() != json_text(head).encode():
        raise UserError(
            f"{link.folder / ENTRY}: was changed after it was written, or {path} was; restore them from a copy of the "
            "ledger"
        )


def _head(link: Link) -> Head:
    return {"entries": link.entry["number"], "last": link.folder.name, "head": link.digest}
