"""docs/architecture.md against the code: its table of packages, its picture, and that imports go downward alone."""

import re
from pathlib import Path

import matplotlib.image
import pytest

from support.architecture import INPUTS, PACKAGES, PICTURE, RULES, SCRIPT_FILES, documented, drawn, imports, packages
from support.workflow import ROOT, snakemake


def test_the_table_has_every_package() -> None:
    assert sorted(documented()) == packages()


@pytest.mark.parametrize("package", packages())
def test_the_table_has_a_package_s_imports(package: str) -> None:
    assert documented()[package] == imports(package)


@pytest.mark.parametrize("package", packages())
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    order = list(documented())
    assert imports(package) <= set(order[order.index(package) + 1 :])


def test_no_package_imports_a_script() -> None:
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    for path in (ROOT / "scripts").glob("*/**/*.py"):
        imported = set(re.findall(r"^ *(?:from|import) (\w+)(?: import|$)", path.read_text(), flags=re.MULTILINE))
        assert not imported & scripts, path


def test_the_picture_is_up_to_date() -> None:
    assert set(PACKAGES) == {SCRIPT_FILES, *packages()}
    assert matplotlib.image.imread(PICTURE).size
    # a PNG's description is in it as plain text
    current = drawn().encode("latin-1") in PICTURE.read_bytes()
    assert current, "imports or rules changed: run python tests/support/architecture.py, and look at the picture"


def test_the_picture_s_rules_and_arrows_are_in_the_rule_graph(tmp_path: Path) -> None:
    graph = snakemake(tmp_path, "--rulegraph", "-j1").stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
    edges = {(names[one], names[other]) for one, other in re.findall(r"(\d+) -> (\d+)", graph)}
    assert set(INPUTS) <= edges
    missing = set(names.values()) - set(RULES)
    left_out = {"all", "run_config", "plot_forecast", "plot_consensus", "plot_paths", "plot_backtest"}
    assert missing == left_out, "give new rules a place in tests/support/architecture.py"
