"""CONTRIBUTING.md, followed word for word in a copy of the checkout; pre-commit's hooks; links of all pages."""

import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import yaml

from dag.renamed import RENAMED
from support.engines import copy_project, shell
from support.workflow import ROOT

PAGE = ROOT / "CONTRIBUTING.md"
RECIPES = dict(re.findall(r"^## An? (\w+)\n(.*?)(?=^## |\Z)", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL))
BLOCK = r"^(?:(?:New file|In) `(?P<path>[^`\n]+)`[^\n]*:\n\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```"


def follow(recipe: str, checkout: Path) -> None:
    """Make the edits of a recipe in the checkout: new files, and diffs of the file that was named last."""
    path = checkout
    for block in re.finditer(BLOCK, RECIPES[recipe], flags=re.MULTILINE | re.DOTALL):
        path = checkout / block["path"] if block["path"] else path
        if block["kind"] == "diff":
            lines = block["text"].splitlines(keepends=True)
            before, after = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
            assert path.read_text().count(before) == 1, before
            path.write_text(path.read_text().replace(before, after))
        elif block["path"]:
            assert not path.exists()
            path.write_text(block["text"])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which every recipe was followed, one after the other."""
    folder = copy_project(tmp_path_factory.mktemp("contributing"), tiny=False)
    for recipe in RECIPES:
        follow(recipe, folder)
    return folder


def test_every_kind_of_addition_has_a_recipe() -> None:
    assert list(RECIPES) == ["member", "feature", "exchange", "policy", "rule", "plot"]


def test_what_the_recipes_add_passes_the_checks(checkout: Path) -> None:
    shell(checkout, "ruff check . && ruff format --check . && snakefmt --check Snakefile rules")


def test_the_member(checkout: Path) -> None:
    shell(
        checkout,
        "snakemake -j2 artifacts/evaluation.csv --configfile config/tiny.yaml "
        "--config members='[random_walk, laplace_walk]'",
    )
    forecasts = pd.read_parquet(checkout / "artifacts/forecasts/0/laplace_walk.parquet")
    steps = forecasts.groupby("step")[["q0.05", "q0.5", "q0.95"]].mean()
    assert (steps["q0.5"].abs() < 1e-12).all()
    np.testing.assert_allclose(steps["q0.95"], -steps["q0.05"], rtol=1e-6)
    np.testing.assert_allclose(steps["q0.95"], steps["q0.95"].iloc[0] * np.sqrt(steps.index), rtol=1e-6)
    assert set(pd.read_csv(checkout / "artifacts/evaluation.csv")["member"]) >= {"random_walk", "laplace_walk"}


def test_the_feature(checkout: Path) -> None:
    shell(checkout, "snakemake -j2 features --configfile config/tiny.yaml")
    features = pd.read_parquet(checkout / "data/features/train/BTCUSDT.parquet")
    candles = pd.read_parquet(checkout / "data/candles/train/BTCUSDT.parquet").tail(30)
    low, high = candles["low"].min(), candles["high"].max()
    expected = (candles["close"].iloc[-1] - low) / (high - low)
    assert features["close_in_range_30"].iloc[-1] == pytest.approx(expected, rel=1e-5)
    assert "close_in_range_5" in features


def test_the_exchange(checkout: Path) -> None:
    shell(
        checkout,
        "snakemake -j2 fetch --configfile config/tiny.yaml "
        "--config exchange='{id: sinusoid, options: {period_hours: 6}}' symbols='[SINEUSDT]'",
    )
    candles = pd.read_parquet(checkout / "data/candles/train/SINEUSDT.parquet")
    hours = candles["timestamp"].to_numpy() / 3_600_000
    np.testing.assert_allclose(candles["open"], 100 + np.sin(2 * np.pi * hours / 6), rtol=1e-9)


def test_the_rule(checkout: Path) -> None:
    shell(checkout, "snakemake -j2 artifacts/daily_range.csv --configfile config/tiny.yaml")
    table = pd.read_csv(checkout / "artifacts/daily_range.csv")
    candles = pd.read_parquet(checkout / "data/candles/train/ETHUSDT.parquet")
    day = candles[pd.to_datetime(candles["timestamp"], unit="ms").dt.strftime("%Y-%m-%d") == "2024-05-30"]
    (row,) = table[(table["symbol"] == "ETHUSDT") & (table["day"] == "2024-05-30")].itertuples()
    assert (row.low, row.high) == (day["low"].min(), day["high"].max())


def test_the_plot(checkout: Path) -> None:
    shell(checkout, "snakemake -j2 artifacts/plots/range.png --configfile config/tiny.yaml")
    picture = matplotlib.image.imread(checkout / "artifacts/plots/range.png")
    assert picture.shape[0] > 500 and picture[..., :3].std() > 0
    assert (checkout / "artifacts/plots/range.pdf").read_bytes().startswith(b"%PDF")
    assert "artifacts/plots/range.pdf" in shell(checkout, "snakemake --summary plots --configfile config/tiny.yaml")


def test_the_hooks_are_the_checks_of_make_check() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert recipe is not None
    checks = re.sub(r"\$\(SNAKEMAKE\)", "$(VENV)/bin/snakemake", recipe[1]).replace("$(VENV)", ".venv").splitlines()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    # a hook that is given file names has them in place of the folders
    folders = {".", "Snakefile", "rules"}
    words = [[word for word in check.split() if word not in folders] for check in checks]
    assert [hook["entry"].replace(" --force-exclude", "").split() for hook in hooks] == words


def test_the_changelog_has_every_renamed_key() -> None:
    rows = re.findall(
        r"^\| (`[a-z_.`, ]+`) \| (`[a-z_.`, ]+`) \|$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE
    )
    documented = {
        before: now
        for keys in rows
        for before, now in zip(*(re.findall(r"`([^`]+)`", cell) for cell in keys), strict=True)
    }
    sections = ("combination", "tuned")  # their keys are
    assert documented == {before: now for before, now in RENAMED.items() if before not in sections}


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "config").glob("*.md")])


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_of_the_project_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        target = link.partition("#")[0]
        assert link.startswith(("http://", "https://", "#")) or (page.parent / target).exists(), link


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name
