"""The seal of a decision: a hash of all that it holds, the digests of its inputs too, which reveals a later change."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import UserError
from common.files import sha256
from trading.documents import Inputs


def seal(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the document's canonical JSON, `seal` itself left out: keys sorted, no spaces, ASCII."""
    rest = {key: value for key, value in document.items() if key != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(document: Mapping[str, Any], source: str) -> None:
    """Raise UserError, naming `source`, unless the document's `seal` is that of its content."""
    if document.get("seal") != seal(document):
        raise broken_seal(source)


def inputs_of(files: Mapping[str, str], config: Mapping[str, Any], image: str) -> Inputs:
    """The SHA-256 of what a decision stands on: these files, the scripts, the config; and the name of the container
    image, which holds a digest of the lock. files: paths by the names that they are sealed under."""
    return {
        "files": {name: sha256(path) for name, path in sorted(files.items())},
        "scripts": _folder_sha256(Path(__file__).parents[1]),
        "config": seal(config),
        "image": image,
    }


def changed_inputs(sealed: Inputs, found: Inputs) -> list[str]:
    """The names of all files, and of the scripts, the config and the image, that are not what was sealed."""
    before, now = sealed["files"], found["files"]
    files = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return files + [name for name in ("scripts", "config", "image") if dict(sealed)[name] != dict(found)[name]]


def _folder_sha256(folder: Path) -> str:
    """Of the names and contents of all Python files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def broken_seal(source: str) -> UserError:
    """The error of a decision, or of a part of it in `source`, that is not what was sealed."""
    return UserError(
        f"{source}: the decision was changed after it was sealed, so its audit would prove nothing; "
        "delete it and run again to decide anew"
    )
