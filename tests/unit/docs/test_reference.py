"""docs/commands.md is what the code has; bash completes the flags."""

import subprocess

import pytest

from dag.cli import SETTINGS, STAGES
from support.reference import PAGE, page
from support.workflow import ROOT


def test_the_page_is_what_the_code_has() -> None:
    assert page() == PAGE.read_text(), "run PYTHONPATH=scripts python tests/support/reference.py"


def test_the_page_has_a_row_a_flag_target_and_rule() -> None:
    text = PAGE.read_text()
    rules = [line for path in (ROOT / "rules").glob("*.smk") for line in path.read_text().splitlines()]
    named = [line.split()[1].rstrip(":") for line in rules if line.startswith(("rule ", "checkpoint "))]
    for name in [*STAGES, *named, "--configfile FILE", "run", "docs"]:
        assert f"| `{name}` |" in text, name
    for flag, setting in SETTINGS.items():
        assert f"| `{flag} {setting.metavar}` |" in text and f"| `{setting.key}` |" in text


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("--cons-h", ["--cons-horizon-m"]),
        ("--fo", ["--folds"]),
        ("--pl", ["--plots"]),
        ("--hel", ["--help"]),
        ("--nothing", []),
        ("value", []),
    ],
)
def test_bash_completes_flags(typed: str, completed: list[str]) -> None:
    lines = f'source scripts/dag/completion.bash; _exec_sh ./exec.sh "{typed}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", lines], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == completed


def test_bash_completes_every_flag() -> None:
    lines = 'source scripts/dag/completion.bash; _exec_sh ./exec.sh "--"; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", lines], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {*STAGES, *SETTINGS, "--fresh", "--check", "--help"} <= set(done.stdout.split())
