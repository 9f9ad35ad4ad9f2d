"""Files written from the config's models: config/config.yaml, config/schema.json, the tables of docs/configuration.md.

`make config-files` writes them; a test says when they are out of date.
"""

import ast
import json
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dag import config as models
from dag.config import Config, Section
from dag.fields import MustBe
from dag.image import ROOT
from dag.renamed import RENAMED

WIDTH = 120
DOCS = ROOT / "docs" / "configuration.md"
HEAD = """\
# yaml-language-server: $schema=schema.json
# Every setting of the workflow, with its default. Override any of them on the command line
# (`snakemake -j4 --config horizon=30 tft='{epochs: 5}'`) or in a file of your own (`--configfile mine.yaml`):
# what you give is merged into this file. It is written from scripts/dag/config.py by `make config-files`.
"""


def files() -> dict[Path, str]:
    """Path and content of each file."""
    return {
        ROOT / "config" / "config.yaml": HEAD + "".join(_yaml(Config)),
        ROOT / "config" / "schema.json": json.dumps(_schema(), indent=2, ensure_ascii=False) + "\n",
        DOCS: _docs(DOCS.read_text()),
    }


@cache
def _descriptions() -> dict[tuple[str, str], str]:
    """The text below each field, by its model and its name.

    Read from the source: pydantic would read it at every import, which takes the Snakefile 0.15 s.
    """
    return {
        (model.name, field.target.id): " ".join(text.value.value.split())
        for model in ast.parse(Path(models.__file__).read_text()).body
        if isinstance(model, ast.ClassDef)
        for field, text in pairwise(model.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _section(field: FieldInfo) -> type[Section] | None:
    """The model of a setting that is a section."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _yaml(model: type[Section], indent: str = "") -> Iterator[str]:
    """A section's lines: each setting with its default and a comment."""
    after_section = True
    for name, field in model.model_fields.items():
        section = _section(field)
        if not indent and (section or after_section):
            yield "\n"
        after_section = bool(section)
        if section:
            yield f"{indent}# {section.__doc__}\n{indent}{name}:\n"
            yield from _yaml(section, f"{indent}  ")
        else:
            yield _commented(f"{indent}{name}: {_default(field)}", _descriptions()[model.__name__, name], indent)


def _commented(line: str, comment: str, indent: str) -> str:
    """A line with its comment, behind it or above it."""
    if len(line) + len(comment) + 3 <= WIDTH:
        return f"{line} # {comment}\n"
    start = f"{indent}# "
    return textwrap.fill(comment, WIDTH, initial_indent=start, subsequent_indent=start) + f"\n{line}\n"


def _default(field: FieldInfo) -> str:
    """A setting's default as YAML writes it in one line."""
    value = field.default.model_dump() if isinstance(field.default, BaseModel) else field.default
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _schema() -> dict[str, Any]:
    """The JSON Schema, for editors."""
    schema = Config.model_json_schema()
    for (model, name), text in _descriptions().items():
        # of the generic models there is one for each type
        for part in (part for key, part in schema["$defs"].items() if key.split("_")[0] == model):
            part["properties"][name]["description"] = text
        if model == "Config":
            schema["properties"][name]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _docs(page: str) -> str:
    """The page with its tables written anew."""
    rows = [("key", "default", "must be", "what it is"), ("---",) * 4, *_rows(Config)]
    page = _between(page, "settings", _table(rows))
    rows = [("before", "now"), ("---",) * 2, *((f"`{old}`", f"`{new}`") for old, new in RENAMED.items())]
    return _between(page, "renamed keys", _table(rows))


def _rows(model: type[Section], prefix: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each setting that is no section."""
    for name, field in model.model_fields.items():
        section = _section(field)
        if section:
            yield from _rows(section, f"{prefix}{name}.")
        else:
            meaning = [part.meaning for part in field.metadata if isinstance(part, MustBe)][-1]
            yield f"`{prefix}{name}`", f"`{_default(field)}`", meaning, _descriptions()[model.__name__, name]


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _between(page: str, name: str, content: str) -> str:
    """The page with `content` between the two comments of that name."""
    start, end = f"<!-- {name}: written by make config-files -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.partition(start)
    after = rest.partition(end)[2]
    return f"{before}{start}\n{content}\n{end}{after}"


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content)
