"""Members and features of a user's files, before the first job: where a file is, what it is made of, what it must not
do. Files are read and never run here."""

import ast
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from common.errors import UserError
from common.plug_ins import ALONE, PlugIn
from dag.image import ROOT
from dag.sources import imports

# what a clock is read by; the clocks that count from no given moment are for measuring durations
CLOCKS = {f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "clock_gettime")}
CLOCKS |= {f"datetime.{name}" for name in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")}
CLOCKS |= {f"pandas.Timestamp.{name}" for name in ("now", "utcnow", "today")}
# numpy's clock is a word
NOW = ("now", "today")


def located(text: str, folders: Sequence[Path]) -> str:
    """A config's `file.py:function`, its path looked for in the working folder, then in `folders`; relative to the
    working folder where it is in there. Any other text is left alone.

    Raises UserError when the file is missing or is no Python, has no such function, or reads a clock.
    """
    plug_in = PlugIn.of(text)
    if plug_in is None:
        return text
    candidates = [Path(os.path.abspath(folder / plug_in.file)) for folder in (Path.cwd(), *folders)]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        where = " or ".join(dict.fromkeys(str(path.parent) for path in candidates))
        raise UserError(f"{plug_in.file} does not exist in {where}; give its path from the working folder")
    shown = str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
    found = PlugIn(shown, plug_in.name)
    _check(found)
    return str(found)


def files(plug_in: PlugIn) -> list[str]:
    """The plug-in's file, and the modules that it imports, directly or not: those beside it and those of the workflow.

    As inputs of a rule, they are hashed as the workflow's own code is. Raises UserError when one cannot be parsed.
    """
    own = Path(plug_in.file)
    roots = {own.parent, ROOT / "scripts" if Path.cwd() != ROOT else Path("scripts")}
    found, waiting = {own}, [own]
    while waiting:
        path = waiting.pop()
        _parsed(str(path))
        for module in {module for root in roots for module in imports(path, root)} - found:
            found.add(module)
            waiting.append(module)
    return [str(own), *sorted(str(path) for path in found - {own})]


def plug_ins(selected: Iterable[str]) -> dict[str, PlugIn]:
    """Those of a config's members or features that are plug-ins, by name."""
    found = (PlugIn.of(text) for text in selected)
    return {plug_in.name: plug_in for plug_in in found if plug_in}


def folders(selected: Iterable[str]) -> list[str]:
    """The folders that their files are in, for containers to see."""
    return [str(Path(plug_in.file).parent) for plug_in in plug_ins(selected).values()]


def _check(plug_in: PlugIn) -> None:
    """Raise UserError when a file cannot be parsed, lacks the function, or one of its modules reads a clock."""
    tree = _parsed(plug_in.file)
    defined = list(_defined(tree))
    if plug_in.name not in defined:
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        names = f"it has {', '.join(functions)}" if functions else "it has none"
        raise UserError(f"{plug_in.file} has no function {plug_in.name}; {names}")
    for path in files(plug_in):
        if not Path(path).absolute().is_relative_to(ROOT / "scripts"):
            _check_clock(path)


def _parsed(path: str) -> ast.Module:
    try:
        return ast.parse(Path(path).read_bytes(), path)
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: SyntaxError: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as Python ({error})") from error


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module's own statements define."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def _check_clock(path: str) -> None:
    """Raise UserError where a file reads a clock, by whatever name it has imported it."""
    tree = _parsed(path)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, *rest = ast.unparse(node).split(".")
            name = ".".join([names.get(first, first), *rest])
            if name in CLOCKS:
                _refuse(path, node, name)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("datetime64", "Timestamp")):
            words = [given.value for given in node.args if isinstance(given, ast.Constant)]
            if set(words) & set(NOW):
                _refuse(path, node, ast.unparse(node))


def _refuse(path: str, node: ast.expr, clock: str) -> None:
    raise UserError(f"{path}, line {node.lineno}: reads the clock ({clock}); {ALONE}")
