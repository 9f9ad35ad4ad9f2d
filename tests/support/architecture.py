"""The packages and their imports, as docs/architecture.md has them and as they are, and the picture in it.

`python tests/support/architecture.py` draws docs/images/architecture.png anew; a test says when that is due.
"""

import ast
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "architecture.png"

# where a rule stands: column, row; what it gives
RULES = {
    "as_of": (0, 1, "data/as_of/*.json"),
    "fetch_candles": (1, 1, "data/candles/"),
    "make_features": (2, 1, "data/features/"),
    "train_tft": (3, 2, "artifacts/models/"),
    "predict_tft": (4, 2, "artifacts/forecasts/"),
    "predict_baselines": (3, 1, "artifacts/forecasts/"),
    "ensemble": (5, 1, "artifacts/forecasts/"),
    "predict_oracle": (4.5, 0, "artifacts/forecasts/"),
    "evaluate": (6, 0, "artifacts/evaluation.json"),
    "sample_paths": (5, 2.2, "artifacts/forecasts/live/"),
    "forecast_prices": (6, 2.9, "artifacts/forecast.csv"),
    "score_paths": (4.5, -0.8, "artifacts/path_scores.json"),
    "backtest_fold": (6, -0.8, "artifacts/backtest/"),
    "backtest": (7, -0.8, "artifacts/backtest.json"),
    "consensus": (6, 1, "artifacts/mock_trade.json"),
    "fetch_outcome": (6, 2, "data/outcome/"),
    "audit": (7, 2, "artifacts/mock_eval.json"),
    "plot_evaluation": (7, 0, "artifacts/plots/"),
    "summary": (7, 1, "artifacts/summary.txt"),
}
# the main ones; `snakemake --rulegraph` has all
INPUTS = [
    ("as_of", "fetch_candles"),
    ("fetch_candles", "make_features"),
    ("make_features", "train_tft"),
    ("make_features", "predict_baselines"),
    ("train_tft", "predict_tft"),
    ("predict_tft", "ensemble"),
    ("predict_baselines", "ensemble"),
    ("predict_baselines", "predict_oracle"),
    ("ensemble", "evaluate"),
    ("ensemble", "sample_paths"),
    ("sample_paths", "consensus"),
    ("ensemble", "score_paths"),
    ("ensemble", "backtest_fold"),
    ("backtest_fold", "backtest"),
    ("evaluate", "backtest"),
    ("ensemble", "forecast_prices"),
    ("predict_oracle", "evaluate"),
    ("evaluate", "consensus"),
    ("evaluate", "plot_evaluation"),
    ("consensus", "fetch_outcome"),
    ("consensus", "summary"),
    ("fetch_outcome", "audit"),
    ("audit", "summary"),
]
# where a package stands: column, row; what it holds
SCRIPT_FILES = "scripts/*.py"
PACKAGES = {
    SCRIPT_FILES: (3.0, 4.3, "one a rule"),
    "dag": (5.0, 3.2, "config, branches, image,\ncommand line"),
    "dag.patches": (6.5, 2.2, "of Snakemake and plugins"),
    "forecasting.tft": (3.7, 3.2, "network, training,\ncheckpoints, tuning"),
    "forecasting.baselines": (3.7, 2.2, "HAR, GARCH, LightGBM, …"),
    "forecasting.ensemble": (1.2, 2.2, "weights,\nconformal calibration"),
    "forecasting.evaluation": (2.35, 2.2, "scores, significance,\nverdict"),
    "forecasting.paths": (2.6, 3.2, "sample paths,\ntheir scores"),
    "trading": (5.2, 2.2, "costs, policies, gates,\nsettlement, backtest"),
    "trading.ledger": (6.5, 3.2, "chain, settlement,\ndrift"),
    "reporting": (0.3, 3.2, "the report"),
    "plotting": (0.2, 1.6, "style of figures"),
    "forecasting": (3.0, 1.3, "task, members, bars, folds,\nquantiles, losses"),
    "market": (3.0, 0.4, "exchanges, candles, features"),
    "common": (3.0, -0.5, "errors, files, logs"),
}


def packages() -> list[str]:
    """The packages of scripts/, sorted."""
    folders = [path.parent.relative_to(SCRIPTS) for path in SCRIPTS.rglob("__init__.py")]
    return sorted(".".join(folder.parts) for folder in folders)


def imports(package: str) -> set[str]:
    """The other packages of scripts/ that a package's modules import; `SCRIPT_FILES` stands for the scripts."""
    folder = SCRIPTS if package == SCRIPT_FILES else SCRIPTS.joinpath(*package.split("."))
    modules: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {module.rpartition(".")[0] for module in modules if _is_file(module)}
    return (files & set(packages())) - {package}


def _is_file(module: str) -> bool:
    return SCRIPTS.joinpath(*module.split(".")).with_suffix(".py").is_file()


def documented() -> dict[str, set[str]]:
    """The table of docs/architecture.md: each package, top to bottom, and what it imports."""
    rows = re.findall(r"^\| `([\w.]+)` \|.*\| ([^|]*) \|$", PAGE.read_text(), flags=re.MULTILINE)
    return {package: set(re.findall(r"`([\w.]+)`", names)) for package, names in rows}


def arrows() -> list[tuple[str, str]]:
    """Imports without those that follow from others: of a → b → c and a → c, the last is left out."""
    direct = {name: imports(name) for name in [SCRIPT_FILES, *packages()]}

    def reachable(name: str) -> set[str]:
        return direct[name].union(*(reachable(below) for below in direct[name]))

    return [
        (name, below)
        for name in direct
        for below in sorted(direct[name])
        if not any(below in reachable(other) for other in direct[name])
    ]


def drawn() -> str:
    """All that the picture shows, as text; it is written into the picture's file."""
    return json.dumps([RULES, INPUTS, PACKAGES, arrows()])


def draw(path: Path) -> None:
    """Draw the picture as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (data, code) = plt.subplots(2, 1, figsize=(13, 10), height_ratios=[1.1, 1.6])
    for axes, boxes, edges in ((data, RULES, INPUTS), (code, PACKAGES, arrows())):
        axes.axis("off")
        places = {name: (column, row) for name, (column, row, _) in boxes.items()}
        patches = {}
        for name, (column, row, note) in boxes.items():
            style = {"boxstyle": "round,pad=0.5", "facecolor": "#eef3f8", "edgecolor": "#3b6ea5"}
            text = axes.text(column, row, f"{name}\n{note}", ha="center", va="center", fontsize=8, bbox=style)
            patches[name] = text.get_bbox_patch()
        for one, other in edges:
            ends = {"patchA": patches[one], "patchB": patches[other], "shrinkA": 0, "shrinkB": 0}
            style = {"arrowstyle": "-|>", "color": "#888888"}
            axes.annotate("", places[other], places[one], arrowprops=style | ends)
    data.set_title("Rules, and what they write (arrow: its output is an input of)", loc="left", fontsize=11)
    code.set_title(
        "Packages of scripts/ (arrow: imports; those that follow from others are left out)", loc="left", fontsize=11
    )
    data.set(xlim=(-0.5, 7.6), ylim=(-1.1, 3.1))
    code.set(xlim=(-0.3, 7.1), ylim=(-0.8, 4.6))
    figure.tight_layout()
    figure.savefig(path, dpi=120, metadata={"Description": drawn()})


if __name__ == "__main__":
    draw(PICTURE)
