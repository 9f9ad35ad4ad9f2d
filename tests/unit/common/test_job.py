"""The frame of a job: messages, warnings and errors are on the terminal and in the log."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.workflow import ROOT

SCRIPT = """
import sys
import warnings
from types import SimpleNamespace

sys.path.insert(0, {scripts!r})
from common.errors import UserError
from common.job import job, say

# Snakemake writes this line
snakemake = SimpleNamespace(rule="train", log=["logs/train/0.log"])

if __name__ == "__main__":
    with job() as snakemake:
        say("train: fold 0")
        {body}
"""


def run(folder: Path, body: str) -> tuple[int, str, str]:
    """Exit code, terminal and log of a script whose job does `body`."""
    (folder / "script.py").write_text(SCRIPT.format(scripts=str(ROOT / "scripts"), body=body))
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True)
    assert done.stdout == ""
    return done.returncode, done.stderr, (folder / "logs" / "train" / "0.log").read_text()


def test_what_a_job_says_is_on_the_terminal_and_in_its_log(tmp_path: Path) -> None:
    assert run(tmp_path, "say('12 windows ±')") == (0, "train: fold 0\n12 windows ±\n", "train: fold 0\n12 windows ±\n")


def test_a_library_s_warning_is_in_the_log(tmp_path: Path) -> None:
    code, terminal, log = run(tmp_path, "warnings.warn('deprecated')")
    assert code == 0
    assert terminal == log
    assert "UserWarning: deprecated" in log


def test_a_user_error_is_one_line(tmp_path: Path) -> None:
    code, terminal, log = run(tmp_path, "raise UserError('candles: missing; run fetch')")
    assert code == 1
    assert terminal == log == "train: fold 0\ntrain: candles: missing; run fetch\n"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("raise RuntimeError('shapes differ\\n(3, 4)')", "RuntimeError: shapes differ"),
        ("{}['close']", "KeyError: 'close'"),
    ],
)
def test_the_traceback_of_an_unforeseen_error_is_in_the_log(body: str, named: str, tmp_path: Path) -> None:
    code, terminal, log = run(tmp_path, body)
    assert code == 1
    line = f"train: unexpected {named}; its traceback is in logs/train/0.log\n"
    assert terminal == f"train: fold 0\n{line}"
    assert log.endswith(line)
    assert "Traceback (most recent call last):" in log
    assert body in log


def test_a_log_is_of_the_last_try(tmp_path: Path) -> None:
    run(tmp_path, "1 / 0")
    assert run(tmp_path, "pass")[2] == "train: fold 0\n"
