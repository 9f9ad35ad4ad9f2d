"""The errors that the code can raise, as docs/troubleshooting.md has them.

`python tests/support/troubleshooting.py` writes the page's tables anew; a test says when that is due.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
PAGE = ROOT / "docs" / "troubleshooting.md"
MARK = "<!-- from here on written by tests/support/troubleshooting.py -->\n"
KINDS = ("UserError", "FlagError", "ImageError", "InsufficientHistoryError")


class Area(NamedTuple):
    """A table of the page: its title, what its errors are about, what helps where a message does not say, and how the
    modules begin that raise them."""

    title: str
    about: str
    advice: str
    modules: tuple[str, ...]


# a module is of the first area that has it
AREAS = (
    Area(
        "Flags of `exec.sh`",
        "Nothing was run. `./exec.sh --help` has the flags, `--check` prints the call.",
        "correct the flag",
        ("dag/cli", "dag/decide"),
    ),
    Area(
        "Containers and clusters",
        "The image, its packages, or what submits jobs ([container-orchestration.md](container-orchestration.md)).",
        "see that page",
        ("dag/image", "dag/patches/"),
    ),
    Area(
        "Members, features and gates of your own",
        "A function of your file breaks its contract ([plug-ins.md](plug-ins.md)).",
        "correct the function",
        (
            "common/plug_ins",
            "dag/plug_ins",
            "forecasting/baselines/plug_in",
            "market/plug_in_features",
            "forecasting/leaks",
            "leak_trial",
        ),
    ),
    Area(
        "Settings",
        "Found before the first job, or by the first that can tell ([configuration.md](configuration.md)).",
        "change the key that the line begins with",
        (
            "dag/",
            "forecasting/folds",
            "forecasting/split",
            "market/intervals",
            "trading/policies",
            "trading/costs",
            "trading/exposure",
            "as_of",
        ),
    ),
    Area(
        "Candle files",
        "Files of `exchange.folder` that are not understood, or are not believed ([candle-files.md](candle-files.md)).",
        "correct the file, or say its columns in `exchange.columns`",
        (
            "market/archives",
            "market/candle",
            "market/column",
            "market/joining",
            "market/price_columns",
            "market/replay",
            "market/tables",
            "market/time_column",
            "market/volume_column",
            "import_candles",
        ),
    ),
    Area(
        "Exchanges",
        "What a live exchange refuses, or sends ([exchanges.md](exchanges.md)). What was received is kept: run again.",
        "what the line says, or run again later",
        ("market/", "fetch_candles", "fetch_outcome", "make_features"),
    ),
    Area(
        "Decisions, backtest and ledger",
        "What a decision stands on is not as it was ([decision.md](decision.md), [ledger.md](ledger.md)).",
        "check the candles, then run again",
        ("trading/", "consensus", "audit", "backtest", "ledger", "sample_paths"),
    ),
    Area(
        "The report",
        "There is no run to report on, or one that this version cannot read ([report.md](report.md)).",
        "run again, or name the run's folder",
        ("reporting/",),
    ),
    Area(
        "Training, forecasts and evaluation",
        "Too little history, or a file of an earlier run ([evaluation.md](evaluation.md), [training.md](training.md)).",
        "increase `days`, or delete the file and run again",
        ("forecasting/", "ensemble", "evaluate", "forecast_prices", "predict_", "score_paths", "train", "tune"),
    ),
    Area(
        "Files of a run",
        "A file that a job reads or writes ([outputs.md](outputs.md)).",
        "delete it and run again to rebuild it",
        ("common/", "summary", "plot_", "plotting/"),
    ),
)


class Message(NamedTuple):
    """What an error says, `…` standing for what varies, and what to do about it; "" where the message does not say."""

    what: str
    remedy: str


def messages(source: str) -> list[Message]:
    """The messages of the errors that a module makes, each once. One that only passes another on has none."""
    tree = ast.parse(source)
    found: dict[Message, None] = {}
    for call, names in _calls(tree, _texts(tree)):
        text = re.sub(r"…(?:[ ,]*…)+", "…", _pattern(call.args[0], names))
        what, _, remedy = text.partition("; ")
        if re.search(r"[a-z]{3}", what):
            found.setdefault(Message(what, remedy.strip(" …") and remedy))
    return list(found)


def _calls(node: ast.AST, names: dict[str, ast.expr]) -> Iterator[tuple[ast.Call, dict[str, ast.expr]]]:
    """Every making of an error below a node, and the texts that have a name there."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id in KINDS and child.args:
            yield child, names
        yield from _calls(child, names | _texts(child) if isinstance(child, ast.FunctionDef) else names)


def _texts(scope: ast.Module | ast.FunctionDef) -> dict[str, ast.expr]:
    """The texts that are given a name in a module, outside its functions, or in a function."""
    nodes = scope.body if isinstance(scope, ast.Module) else ast.walk(scope)
    return {
        node.targets[0].id: node.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant | ast.JoinedStr)
    }


def _pattern(node: ast.expr, names: dict[str, ast.expr]) -> str:
    """A text as it is written, `…` for what is computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_pattern(part, names) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _pattern(node.left, names) + _pattern(node.right, names)
    value = node.value if isinstance(node, ast.FormattedValue) else node
    if isinstance(value, ast.Name) and value.id in names:
        # a name may be given twice, of its own text
        return _pattern(names[value.id], {name: text for name, text in names.items() if name != value.id})
    return "…"


def area_of(module: str) -> Area:
    """The area of a module, such as `market/retries`. Raises LookupError where none has it."""
    for area in AREAS:
        if module.startswith(area.modules):
            return area
    raise LookupError(f"scripts/{module}.py raises errors; name it in an area of tests/support/troubleshooting.py")


def sections() -> Iterator[str]:
    """The page's tables."""
    found: dict[Area, dict[Message, None]] = {area: {} for area in AREAS}
    for path in sorted(SCRIPTS.rglob("*.py")):
        for message in messages(path.read_text()):
            found[area_of(path.relative_to(SCRIPTS).with_suffix("").as_posix())].setdefault(message)
    for area, rows in found.items():
        lines = [f"| {_code(row.what)} | {_plain(row.remedy) or area.advice} |" for row in sorted(rows)]
        yield "\n".join([f"## {area.title}\n", f"{area.about}\n", "| it says | what to do |", "| --- | --- |", *lines])


def _code(text: str) -> str:
    return f"``{text}``" if "`" in text else f"`{text}`".replace("|", "\\|")


def _plain(text: str) -> str:
    return re.sub(r"([|*_<{\[])", r"\\\1", text.rstrip("."))


def page() -> str:
    """docs/troubleshooting.md: what is written by hand, and the tables."""
    head = PAGE.read_text().partition(MARK)[0]
    return head + MARK + "\n" + "\n\n".join(sections()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
