"""How good and how fast sample paths are, on a folder of candles or on a finished run.

    python benchmarks/paths.py --data FOLDER [--interval 1m --horizon 60] [--hold-back 0.3]
    python benchmarks/paths.py --run FOLDER

--data makes the forecasts first, of the baselines alone, as benchmarks/skill.py does; --run reads those of a run in
that folder, which stays as it is: one with artifacts/run.yaml, or one that skill.py has kept. Printed are each score of
the ensemble's sample paths beside those of simpler paths, with Diebold-Mariano tests, the reliability of touching a
level by tenth, and the milliseconds that the paths of an origin take.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from common.files import read_document, read_json  # noqa: E402
from forecasting.bars import read_bars  # noqa: E402
from forecasting.folds import FoldScheme  # noqa: E402
from forecasting.members import ENSEMBLE  # noqa: E402
from forecasting.paths.documents import PathScores  # noqa: E402
from forecasting.paths.history import read_history  # noqa: E402
from forecasting.paths.sampling import generator, marginals, sample_paths  # noqa: E402
from forecasting.quantiles import read_forecasts  # noqa: E402
from forecasting.task import Task  # noqa: E402
from market.symbols import slug  # noqa: E402
from score_paths import score_all  # noqa: E402

REPEATS = 20


def main() -> None:
    """Score the paths of a run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder with one <symbol>.parquet a symbol")
    source.add_argument("--run", type=Path, help="folder of a finished run")
    parser.add_argument("--interval", default="1m")
    parser.add_argument("--horizon", type=int, default=60)
    parser.add_argument("--lookback", type=int, default=48)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--hold-back", type=float, default=0.0, help="share of the time, at its end, left out")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--paths", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=1_000_000, help="origin times that are scored a fold")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = given.run or forecasts_of(given, Path(scratch))
        measured(Run(run), given, Path(scratch))


class Run:
    """What is read of a finished run: its config and its files."""

    def __init__(self, folder: Path) -> None:
        found = [path for path in (folder / "artifacts/run.yaml", folder / "skill.yaml") if path.is_file()]
        if not found:
            raise SystemExit(
                f"paths.py: {folder}: holds neither artifacts/run.yaml nor skill.yaml; give a run's folder"
            )
        defaults = yaml.safe_load((ROOT / "config/config.yaml").read_text())
        config: dict[str, Any] = defaults | yaml.safe_load(found[0].read_text())
        scheme = defaults["folds"] | config["folds"]
        self.stride = int(scheme.pop("stride"))
        embargo = config["horizon"] if scheme["embargo"] is None else scheme["embargo"]
        self.scheme = FoldScheme(**scheme | {"embargo": embargo})
        self.task = Task(config["interval"], config["lookback"], config["horizon"], config["quantiles"])
        self.candles = [str(folder / f"data/candles/train/{slug(name)}.parquet") for name in config["symbols"]]
        self.cutoff = str(folder / "data/as_of/train.json")
        self.forecasts = [
            str(folder / f"artifacts/forecasts/{fold}/{ENSEMBLE}.parquet") for fold in range(self.scheme.count)
        ]


def forecasts_of(given: argparse.Namespace, folder: Path) -> Path:
    """A run over the folder of candles, as skill.py makes it, without the TFT."""
    command = [sys.executable, str(ROOT / "benchmarks/skill.py"), "--baselines", "--keep", str(folder)]
    for name in ("data", "interval", "horizon", "lookback", "folds", "hold_back", "cores"):
        command += [f"--{name.replace('_', '-')}", str(vars(given)[name])]
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    if done.returncode:
        # the failed job's message is on the terminal
        raise SystemExit(done.returncode)
    return folder


def measured(run: Run, given: argparse.Namespace, scratch: Path) -> None:
    """Print the scores of a run's paths, and how long they take."""
    table, summary = str(scratch / "path_scores.csv"), str(scratch / "path_scores.json")
    began = time.process_time()
    inputs = (table, summary, run.forecasts, run.candles, run.cutoff, run.task, run.scheme, run.stride)
    score_all(*inputs, given.paths, given.seed, given.most)
    took = time.process_time() - began
    print(figures(read_document(summary, PathScores)))
    each = milliseconds(run, given.paths)
    print(f"{each:.1f} ms an origin for {given.paths} paths; all scores: {took:.0f} s of CPU time")


def figures(scores: PathScores) -> str:
    """Every score with its tests, the reliability by tenth, and the drawdown's PIT."""
    lines = [f"{'score':<14}" + "".join(f"{name:>22}" for name in scores["losses"]["energy"])]
    for name, losses in scores["losses"].items():
        cells = [f"{losses[ENSEMBLE]:.5g}"]
        for test in scores["tests"][name].values():
            t = test["skill"] / test["standard_error"] if test["skill"] and test["standard_error"] else float("nan")
            cells.append(f"{100 * (test['skill'] or 0):+.2f} % (t {t:+.1f})")
        lines.append(f"{name:<14}" + "".join(f"{cell:>22}" for cell in cells))
    lines.append("touching a level, observed less forecast in points ± standard error (events), by tenth")
    for method, tenths in scores["touching"].items():
        cells = [
            f"{100 * (tenth['observed'] - tenth['forecast']):+.1f} ± {100 * (tenth['standard_error'] or 0):.1f}"
            f" ({tenth['events']})"
            if tenth["observed"] is not None and tenth["forecast"] is not None
            else "-"
            for tenth in scores["touching"][method]
        ]
        lines.append(f"{method:<16}" + "".join(f"{cell:>19}" for cell in cells[: len(tenths)]))
    lines.append("maximum drawdown's PIT, shares of tenths")
    for method, shares in scores["drawdown_pit"].items():
        lines.append(f"{method:<16}" + "".join(f"{share:>8.3f}" for share in shares))
    return "\n".join(lines)


def milliseconds(run: Run, count: int) -> float:
    """Time of one origin's paths, without what is read and fitted once."""
    last = run.scheme.fold(str(run.scheme.count - 1), read_json(run.cutoff)["as_of"], run.task.bar_ms)
    bars, _ = read_bars(run.candles, [], run.task.interval)
    named = {Path(path).stem: one.before(last.train_end) for path, one in zip(run.candles, bars, strict=True)}
    history = read_history(named, run.task.horizon)
    forecasts = read_forecasts(run.forecasts[-1], run.task.horizon, run.task.quantile_levels)
    rows = forecasts.origin == forecasts.origin[0]
    origin, symbols = int(forecasts.origin[0]), [str(name) for name in forecasts.symbol[rows]]
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        given = marginals(forecasts.quantiles[rows], run.task.quantile_levels, count)
        sample_paths(given, history.only(symbols), origin + run.task.bar_ms * run.task.steps, generator(1, origin))
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))


if __name__ == "__main__":
    main()
