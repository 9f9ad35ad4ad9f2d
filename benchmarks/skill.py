"""How good the forecasts are on a folder of candles: the whole workflow over it, the last 30 % of its time as test.

    python benchmarks/skill.py --data FOLDER [--interval 1m --horizon 60] [--folds 3] [--seeds 1 2] [--hold-back 0.1]

The test span is cut into rolling folds, each with models of its own. --hold-back leaves the end of the files out of
everything, so that choices can be made without it. --baselines leaves the TFT out, to time the rest alone. --backtest
also walks the decisions over the test span: what the policy, and weights by the ensemble's and EWMA's width, leave.
Other settings: --config as Snakemake's, such as --config lookback=96.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from common.files import read_document  # noqa: E402
from forecasting.documents import Evaluation, Weights  # noqa: E402
from forecasting.members import ENSEMBLE, HAR, ORACLE, TFT  # noqa: E402
from market.intervals import DAY, iso, step_ms  # noqa: E402

TEST = 0.3


def main() -> None:
    """Run the workflow over the folder and print the figures of the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder with one <symbol>.parquet a symbol; none: the simulated market"
    )
    parser.add_argument("--interval", default="1m")
    parser.add_argument("--horizon", type=int, default=60)
    parser.add_argument("--lookback", type=int, default=48)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--hold-back", type=float, default=0.0, help="share of the time, at its end, that is not touched"
    )
    parser.add_argument("--baselines", action="store_true", help="without the TFT")
    parser.add_argument("--backtest", action="store_true", help="and the backtest of the decisions")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder of the run; none: a temporary one")
    parser.add_argument("--config", nargs="*", default=[], help="further settings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "skill.yaml").write_text(yaml.safe_dump(settings(given)))
        began = time.monotonic()
        command = ["snakemake", "-q", "all", "-j", str(given.cores), "--directory", str(folder)]
        command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(folder / "skill.yaml")]
        command += ["--config", *given.config] if given.config else []
        targets = ["evaluate", "artifacts/path_scores.json", *(["backtest"] if given.backtest else [])]
        done = subprocess.run([*command, "--", *targets], cwd=ROOT, stdout=subprocess.DEVNULL)
        if done.returncode:
            # the failed job's message is on the terminal
            raise SystemExit(done.returncode)
        took = time.monotonic() - began
        print((folder / "artifacts/logs/evaluate/all.log").read_text())
        print(figures(read_document(folder / "artifacts/evaluation.json", Evaluation)))
        print((folder / "artifacts/logs/score_paths/all.log").read_text())
        if given.backtest:
            print((folder / "artifacts/logs/backtest/all.log").read_text())
        for path in sorted(folder.glob("artifacts/forecasts/*/weights.json")):
            print(f"fold {path.parent.name}: {read_document(path, Weights)['weights']}")
        print(f"{took:.0f} s with {given.cores} cores")


def settings(given: argparse.Namespace) -> dict[str, Any]:
    """The config of a run over the folder's whole time, less what is held back."""
    bar_ms = step_ms(given.interval)
    config: dict[str, Any] = {
        "interval": given.interval,
        "horizon": given.horizon,
        "lookback": given.lookback,
        "tft": {"seeds": given.seeds},
    }
    if given.data:
        files = sorted(given.data.rglob("*.parquet"))
        if not files:
            raise SystemExit(f"skill.py: {given.data}: holds no .parquet file; give a folder with one a symbol")
        times = [pd.read_parquet(path, columns=["timestamp"])["timestamp"] for path in files]
        first, last = min(column.iloc[0] for column in times), max(column.iloc[-1] for column in times)
        bars = int((last - first) / bar_ms * (1 - given.hold_back))
        config |= {
            "exchange": {"id": "replay", "folder": str(given.data.resolve())},
            "symbols": [path.stem for path in files],
            "as_of": iso(int(first + bars * bar_ms)),
            "days": bars * bar_ms / DAY,
        }
    else:
        bars = 30 * DAY // bar_ms
    config["folds"] = {
        "count": given.folds,
        "test_bars": int(bars * TEST / given.folds),
        "stride": max(1, given.horizon // 4),
    }
    if given.baselines:
        every = yaml.safe_load((ROOT / "config/config.yaml").read_text())["members"]
        config["members"] = [name for name in every if name != TFT]
    return config


def figures(evaluation: Evaluation) -> str:
    """The figures that are required of the ensemble, a line each."""
    members, tests = evaluation["members"], evaluation["comparisons"][ENSEMBLE]
    scores = members[ENSEMBLE]
    lines = ["figure                                    ensemble         required"]
    required = {"ewma_fhs": "+0.8 % (1m), +1.8 % (1h), p < 0.05", HAR: "no worse than -0.05 %"}
    for rival, target in required.items():
        test = tests[rival]
        lower, upper = test["confidence_interval"] or (float("nan"), float("nan"))
        p = float("nan") if test["p"] is None else test["p"]
        skill = f"{100 * test['skill']:+.2f} % ({100 * lower:+.2f} … {100 * upper:+.2f}), p = {p:.3g}"
        lines.append(f"skill over {rival:<12} {skill:>36}   {target}")
    for percent, coverage, bound in ((90, scores["coverage90"], 1.5), (50, scores["coverage50"], 2.5)):
        lines.append(f"coverage of {percent} %, points off {100 * coverage - percent:>+31.2f}   within {bound}")
    lines.append(f"MAE over the random walk's {scores['mae']:>37.4f}   at most 1.003")
    values = evaluation["economic_value"]
    for name in (ENSEMBLE, "ewma", evaluation["best_baseline"]):
        if (worth := values[name]["utility"]) is not None:
            lines.append(f"utility by {name:<20} {100 * worth:>30.2f} % of wealth a year")
    if ORACLE in members:
        share = (1 - scores["pinball"]) / (1 - members[ORACLE]["pinball"])
        lines.append(
            f"share of the gain of the oracle ({evaluation['oracle']}) {share:.1%}   90 % on the simulated market"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
