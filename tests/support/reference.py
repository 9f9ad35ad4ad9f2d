"""docs/commands.md: the flags of exec.sh, the targets of make and the rules, as the code has them.

`PYTHONPATH=scripts python tests/support/reference.py` writes the page anew; a test says when that is due.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dag.cli import SETTINGS, STAGES, parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "commands.md"

# who asks for a stage or a file asks for these
RULE = re.compile(r'^(?:rule|checkpoint) (\w+):\n    (""".*?""")', re.MULTILINE | re.DOTALL)
HEAD = """\
# Commands

Written from the code by `tests/support/reference.py`. How they are used: [running.md](running.md) and
[container-orchestration.md](container-orchestration.md#execsh-and-make).
"""
FLAGS = """\
## `./exec.sh`

Stages, one or more, in the pipeline's order; settings; options. After `source scripts/dag/completion.bash`
bash completes them.
"""
TARGETS = "## `make`\n"
RULES = """\
## Rules

Names to give `snakemake` as targets, where a rule has no wildcards, or to force by `-R`; each file of `rules/` is a
stage.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_flags(), *_targets(), *_rules()])


def _flags() -> Iterator[str]:
    yield FLAGS
    yield _table(["stage", "what is made"], ([f"`{flag}`", stage.help] for flag, stage in STAGES.items()))
    rows = ([f"`{flag} {one.metavar}`", one.help, f"`{one.key}`"] for flag, one in SETTINGS.items())
    yield _table(["setting", "what it is", "key of the config"], rows)
    others = [
        [f"`{' '.join(filter(None, [', '.join(action.option_strings), str(action.metavar or '')]))}`", str(action.help)]
        for action in parser()._actions
        if not {*action.option_strings} & {*STAGES, *SETTINGS}
    ]
    yield _table(["option", "what it does"], others)


def _targets() -> Iterator[str]:
    found = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    yield TARGETS
    yield _table(["target", "what it does"], ([f"`{name}`", about] for name, about in found))


def _rules() -> Iterator[str]:
    yield RULES
    rows = [
        [f"`{name}`", " ".join(ast.literal_eval(text).split()), f"`{path.name}`"]
        for path in sorted((ROOT / "rules").glob("*.smk"))
        for name, text in RULE.findall(path.read_text())
    ]
    yield _table(["rule", "what it makes", "file"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
