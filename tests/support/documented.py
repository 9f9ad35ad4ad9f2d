"""The commands that README.md and docs/ show: which of them the tests run as written, and why the others are not run.

A test runs a command by `shell(folder, "the command")`; that call is what counts, not that the text stands somewhere.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from support.workflow import ROOT

SHELLS = ("bash", "sh", "shell", "zsh")
# fences that may hold commands beside their output, and what a command begins with there
MIXED = ("", "console", "text")
COMMAND = r"\$ |\./|(\w+=\S+ )*(snakemake|make|docker|python3?|pip|git|apptainer|singularity|sbatch|cd|source)(\s|$)"
# by .ci/run, which sets up the environment from the lock and runs all tests
CI = "run by .ci/run"
KUBERNETES = "no cluster; tests/workflow/test_kubernetes.py has the profile's jobs run through a local server"
SLURM = (
    "planned by tests/containers/test_entry_points.py; tests/containers/test_slurm.py runs it with a cluster's flags"
)
LEDGER = "tests/workflow/test_ledger_runs.py runs what it does on a smaller run"
GPU = "no GPU"
USER = "of the user's machine"
# commands that no test runs by `shell`: why, or what runs them instead
NOT_RUN = {
    "make run": CI,
    "make test": CI,
    "make test-containers": CI,
    "make check": CI,
    "make docs": CI,
    "make cluster": CI,
    "git clone <address of the repository> crypto-forecast": USER,
    "cd crypto-forecast": USER,
    "source .venv/bin/activate": USER,
    "snakemake -j4 --configfile config/live.yaml --config exchange='{id: binance}'": (
        "no network; tests/workflow/test_pipeline.py runs it against a local server"
    ),
    "snakemake -j4 --config interval=1d horizon=7": "tests/workflow/test_ready.py runs it with fewer members",
    "make decide": LEDGER,
    "make settle": LEDGER,
    "snakemake ledger_verify": LEDGER,
    "./exec.sh --decide --as-of 2024-05-31T13:00:00Z": LEDGER,
    "snakemake -j2 --config as_of=2024-05-31T12:00:00Z": LEDGER,
    "make import FOLDER=path/to/candles ARGS='--configfile mine.yaml'": (
        "tests/workflow/test_live.py runs what its recipe does"
    ),
    "make demo-exchange": "runs until it is stopped; tests/workflow/test_demo.py starts what its recipe does",
    "snakemake -j2 --configfile config/demo.yaml": (
        "port 8765 may be taken; tests/workflow/test_demo.py runs it on a free one, by the command that the demo prints"
    ),
    "docker compose -f docker-compose.yml -f docker-compose.gpu.yml run --rm train --device gpu": GPU,
    "snakemake --workflow-profile gpu -j4 --use-singularity": GPU,
    "snakemake --profile profiles/slurm": SLURM,
    "snakemake --profile profiles/slurm --use-singularity": SLURM,
    "snakemake -n --configfile thirty.yaml": ("tests/workflow/test_dag.py plans it in a folder of its own"),
    "cd /mnt/forecast/crypto-forecast": USER,
    "snakemake --profile profiles/kubernetes -n": KUBERNETES,
    "snakemake --profile profiles/kubernetes --configfile config/tiny.yaml": KUBERNETES,
    "snakemake --profile profiles/kubernetes --config 'tft={device: gpu}'": KUBERNETES,
    "snakemake --profile profiles/kubernetes --set-resources train_tft:mem_mb=8000": KUBERNETES,
}


def documented() -> dict[str, str]:
    """Every command on the project's pages, and the page that shows it."""
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
    return {command: str(page.relative_to(ROOT)) for page in pages for command in commands(page.read_text())}


def executed() -> dict[str, str]:
    """Every command that a test runs, and where: file::function."""
    files = sorted((ROOT / "tests").glob("**/*.py"))
    return {
        command: f"{path.relative_to(ROOT)}::{name}"
        for path in files
        for command, name in shell_calls(path.read_text())
    }


def commands(page: str) -> Iterator[str]:
    """The commands in a page's fences, of whatever language, without remarks; `a && b` is two."""
    for language, body in re.findall(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", page, flags=re.MULTILINE | re.DOTALL):
        for line in map(str.strip, body.replace("\\\n", " ").splitlines()):
            shell_line = language in SHELLS and line and not line.startswith("#")
            if shell_line or (language in MIXED and re.match(COMMAND, line)):
                yield from split(line.removeprefix("$ "))


def split(line: str) -> list[str]:
    """The commands of a line of shell, those of a list or pipe each, without a remark, with single blanks."""
    for remark in re.finditer(r"\s#\s", line):
        if _is_whole(line[: remark.start()]):
            line = line[: remark.start()]
            break
    return [" ".join(part.split()) for part in re.split(r" (?:&&|\|) ", line)]


def shell_calls(source: str) -> Iterator[tuple[str, str]]:
    """Commands that a test's source passes to `shell`, literally or as a parameter, and the functions that do."""
    for function in ast.parse(source).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        parameters = dict(_parameters(function))
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "shell":
                argument = call.args[1]
                texts = parameters.get(argument.id, []) if isinstance(argument, ast.Name) else [_text(argument)]
                for text in filter(None, texts):
                    for command in split(text):
                        yield command, function.name


def _parameters(function: ast.FunctionDef) -> Iterator[tuple[str, list[str | None]]]:
    """Names and values of `pytest.mark.parametrize` with one name and a list of texts."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.parametrize":
            name, values = decorator.args
            if isinstance(name, ast.Constant) and isinstance(values, ast.List):
                yield str(name.value), [_text(value) for value in values.elts]


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_whole(text: str) -> bool:
    """Whether all quotes are closed."""
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def missing_paths(reason: str) -> list[str]:
    """The files that a reason names and the project lacks."""
    named = re.findall(r"(?:tests/|\.ci/)[\w./]*\w", reason)
    return [name for name in named if not Path(ROOT, name).is_file()]
