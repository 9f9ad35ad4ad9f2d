"""How good the forecasts are on a folder of candles: the whole workflow over it, the last 30 % of its time as test.

    python benchmarks/skill.py --data FOLDER [--interval 1m --horizon 60] [--folds 3] [--seeds 1 2] [--hold-back 0.1]

The test span is cut into rolling folds, each with models of its own. --hold-back leaves the end of the files out of
everything, so that choices can be made without it. --baselines leaves the TFT out: how long is the rest alone?
Other settings: --config as Snakemake's, such as --config lookback=96.
"""

import argparse
import json
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

from forecasting.members import ENSEMBLE, HAR, ORACLE, TFT  # noqa: E402
from market.intervals import DAY, iso, step_ms  # noqa: E402

TEST = 0.3


def main() -> None:
    """Run the workflow over the folder and print what the evaluation found."""
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
        done = subprocess.run([*command, "--", "evaluate"], cwd=ROOT, stdout=subprocess.DEVNULL)
        if done.returncode:
            # the job that failed has said why
            raise SystemExit(done.returncode)
        took = time.monotonic() - began
        print((folder / "artifacts/logs/evaluate/all.log").read_text())
        print(figures(json.loads((folder / "artifacts/evaluation.json").read_text())))
        for weights in sorted(folder.glob("artifacts/forecasts/*/weights.json")):
            print(f"fold {weights.parent.name}: {json.loads(weights.read_text())['weights']}")
        print(f"{took:.0f} s with {given.cores} cores")


def settings(given: argparse.Namespace) -> dict[str, Any]:
    """The config of a run over the folder's whole time, less what is held back."""
    step = step_ms(given.interval)
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
        first, last = min(own.iloc[0] for own in times), max(own.iloc[-1] for own in times)
        bars = int((last - first) / step * (1 - given.hold_back))
        config |= {
            "exchange": {"id": "replay", "folder": str(given.data.resolve())},
            "symbols": [path.stem for path in files],
            "as_of": iso(int(first + bars * step)),
            "days": bars * step / DAY,
        }
    else:
        bars = 30 * DAY // step
    config["folds"] = {
        "count": given.folds,
        "test_bars": int(bars * TEST / given.folds),
        "stride": max(1, given.horizon // 4),
    }
    if given.baselines:
        every = yaml.safe_load((ROOT / "config/config.yaml").read_text())["members"]
        config["members"] = [name for name in every if name != TFT]
    return config


def figures(found: dict[str, Any]) -> str:
    """The figures that are asked of the ensemble, a line each."""
    members, against = found["members"], found["comparisons"][ENSEMBLE]
    own = members[ENSEMBLE]
    lines = ["figure                                    ensemble         asked"]
    asked = {"ewma_fhs": "+0.8 % (1m), +1.8 % (1h), p < 0.05", HAR: "no worse than -0.05 %"}
    for rival, words in asked.items():
        versus = against[rival]
        low, high = versus["confidence_interval"] or (float("nan"), float("nan"))
        told = f"{100 * versus['skill']:+.2f} % ({100 * low:+.2f} … {100 * high:+.2f}), p = {versus['p']:.3g}"
        lines.append(f"skill over {rival:<12} {told:>36}   {words}")
    for level, bound in (("90", 1.5), ("50", 2.5)):
        error = 100 * own[f"coverage{level}"] - int(level)
        lines.append(f"coverage of {level} %, points off {error:>+31.2f}   within {bound}")
    lines.append(f"MAE over no change's {own['mae']:>42.4f}   at most 1.003")
    if ORACLE in members:
        name = "law" if found["simulated"] else "realised volatility"
        share = (1 - own["pinball"]) / (1 - members[ORACLE]["pinball"])
        lines.append(f"share of the oracle's gain ({name}) {share:>24.1%}   90 % on the simulated market")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
