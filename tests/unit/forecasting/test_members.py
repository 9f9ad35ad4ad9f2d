"""The registry: every member can be loaded, drawn and selected; what is wrong in it or in a config gets one line."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import UserError
from forecasting.baselines.interface import load_baseline
from forecasting.members import (
    BASELINES,
    DEFAULT,
    ENSEMBLE,
    MEMBERS,
    MODELS,
    ORACLE,
    REGISTRY,
    SELECTABLE,
    baselines,
    check_registry,
    display_name,
)
from support.workflow import ROOT, snakemake


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_s_function_is_found(name: str) -> None:
    assert callable(load_baseline(name))


def test_members_are_models_baselines_or_the_oracle() -> None:
    assert sorted(MEMBERS) == sorted([*MODELS, *BASELINES, ORACLE])
    assert sorted(SELECTABLE) == sorted(name for name in MEMBERS if name not in ("ensemble", ORACLE))


def test_needed_members_are_in_the_registry() -> None:
    assert {needed for member in REGISTRY for needed in member.needs} <= set(BASELINES)


def test_the_docs_describe_the_ensemble_the_oracle_and_the_default_members_in_the_registry_s_order() -> None:
    table = re.search(
        r"^\| member \| .*\n\|.*\n((?:\|.*\n)+)", (ROOT / "docs" / "evaluation.md").read_text(), re.MULTILINE
    )
    assert table is not None
    described = re.findall(r"^\| `(\w+)` ", table[1], re.MULTILINE)
    assert described == [name for name in MEMBERS if name in described]
    assert set(described) >= {ENSEMBLE, *DEFAULT, ORACLE}


def test_no_two_members_look_alike() -> None:
    assert len({(member.color, member.linestyle) for member in REGISTRY}) == len(REGISTRY)
    assert len({member.label for member in REGISTRY}) == len(REGISTRY)


def test_baselines_keep_the_registry_s_order() -> None:
    given = ["seasonal_naive", "mine", "tft", "drift", "ewma", "random_walk"]
    assert baselines(given) == ["random_walk", "ewma", "seasonal_naive", "mine"]


def test_models_have_a_name_in_sentences() -> None:
    assert [display_name(name) for name in MODELS] == ["the ensemble", "the TFT", "the direct TFT"]


def test_a_member_declared_twice_is_refused() -> None:
    twice = (*REGISTRY, replace(MEMBERS["ewma"], label="another EWMA"))
    with pytest.raises(UserError, match=r"^scripts/forecasting/members.py: ewma is declared twice; rename or delete"):
        check_registry(twice)
    check_registry(REGISTRY)


def test_a_registry_with_a_member_twice_ends_a_run_in_one_line(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    left_out = shutil.ignore_patterns(
        ".*", "tests", "docs", "benchmarks", "data", "artifacts", "lightning_logs", "*.sif"
    )
    shutil.copytree(ROOT, checkout, ignore=left_out)
    registry = checkout / "scripts" / "forecasting" / "members.py"
    line = next(line for line in registry.read_text().splitlines() if 'Member("ewma",' in line)
    registry.write_text(registry.read_text().replace(line, f"{line}\n{line}"))
    done = snakemake(tmp_path, "-n", "-j1", "--snakefile", str(checkout / "Snakefile"), check=False)
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line]
    assert [line for line in lines if not line.startswith(("Using workflow", "Config file"))] == [
        "config: scripts/forecasting/members.py: ewma is declared twice; rename or delete one of them"
    ]
