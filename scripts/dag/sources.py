"""Which modules a script is made of: declared as inputs, an edited module reruns the rules that use it."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from dag.image import ROOT


def code(rule_name: str, modules: Iterable[str] = (), files: Iterable[str] = ()) -> list[str]:
    """The modules that a rule's script imports, `modules` that it imports by name, and `files` of scripts/ that it
    reads, as inputs of the rule.

    By whatever path the Snakefile was reached, one working folder sees the same names: others would be other inputs.
    They are relative where the workflow runs in its checkout, so that this can be moved.
    """
    paths = sources(ROOT / "scripts" / f"{rule_name}.py", modules) + [str(ROOT / "scripts" / name) for name in files]
    return [str(Path(path).relative_to(ROOT)) for path in paths] if Path.cwd() == ROOT else paths


def sources(script: Path, modules: Iterable[str] = ()) -> list[str]:
    """Paths of all modules under the script's folder that it imports, directly or not, sorted; without itself.

    modules: dotted names of further ones, which it imports by name.
    """
    root = script.parent
    found = {root.joinpath(*name.split(".")).with_suffix(".py") for name in modules}
    waiting = [script, *found]
    while waiting:
        for module in _imports(waiting.pop(), root) - found:
            found.add(module)
            waiting.append(module)
    return sorted(str(path) for path in found)


def imports(path: Path, root: Path) -> frozenset[Path]:
    """Modules under `root` that one file imports: `from a.b import c`, where c may be a module too, or `import a.b`."""
    names: set[str] = set()
    for node in _statements(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    files = (root.joinpath(*name.split(".")).with_suffix(".py") for name in names)
    return frozenset(file for file in files if file.is_file())


# most modules are those of many rules
_imports = cache(imports)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements of a module, nested ones too; without their expressions, which are most of the tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        inner = ast.stmt, ast.excepthandler, ast.match_case
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, inner)]
