"""What more rows cost a training: python benchmarks/rows.py [--member tft_raw] [rows …] (625000 2500000 10000000).

Simulated one-minute candles of up to 1,000,000 bars a symbol become features, and rule train_tft's function trains
on them for four epochs of 20 steps, in a new process. The member is tft, the correction, or tft_raw. Time before
training should grow as rows do, the time of an epoch hardly (the validation windows are at most 1024), and memory by
what a row takes, not by what a window does.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import pandas as pd  # noqa: E402

from common.files import write_json, write_parquet  # noqa: E402
from dag.config import Config  # noqa: E402
from forecasting.folds import FoldScheme  # noqa: E402
from forecasting.members import MEMBERS, TFT, TFTS  # noqa: E402
from forecasting.task import Task  # noqa: E402
from market.coins import COINS  # noqa: E402
from market.features import compute_features  # noqa: E402
from market.intervals import MINUTE, iso, parse_time  # noqa: E402
from market.simulated import Simulated  # noqa: E402
from market.warmup import warm_up  # noqa: E402

CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
SPANS = Config().spans
LONGEST, EPOCHS = 1_000_000, 4


def write_features(folder: Path, rows: int) -> list[str]:
    """Feature files of `rows` rows in all; their paths."""
    market = Simulated(7, parse_time(CONFIG["exchange"]["data_end"]))
    count = -(-rows // LONGEST)
    paths = []
    for coin in COINS[:count]:
        bars = rows // count + warm_up(SPANS)
        found = market.fetch_ohlcv(f"{coin.base}/USDT", "1m", market.milliseconds() - bars * MINUTE, bars)
        candles = pd.DataFrame(found, columns=["timestamp", "open", "high", "low", "close", "volume"])
        candles = candles.astype({"timestamp": "int64"})
        frame = compute_features(candles, None, SPANS, MINUTE)
        paths.append(str(folder / f"{coin.base}USDT.parquet"))
        write_parquet(paths[-1], frame)
        write_parquet(folder / "candles" / f"{coin.base}USDT.parquet", candles)
    end = market.milliseconds()
    write_json(folder / "cutoff.json", {"as_of": end, "as_of_iso": iso(end)})
    return paths


def train(folder: Path, member: str, features: list[str]) -> None:
    """Train as the rule does, in this process."""
    from train_tft import train_tft

    lookback, horizon = CONFIG["lookback"], CONFIG["horizon"]
    settings = CONFIG["tft"] | {"epochs": EPOCHS, "patience": EPOCHS, "stride": min(lookback, horizon)}
    fraction = CONFIG["folds"]["validation_fraction"]
    train_tft(
        output=str(folder / "model.ckpt"), curve=str(folder / "curve.csv"), features=features,
        candles=[str(folder / "candles" / Path(path).name) for path in features],
        cutoff=str(folder / "cutoff.json"), member=member, corrects=bool(MEMBERS[member].needs), fold="0", seed=1,
        task=Task("1m", lookback, horizon, CONFIG["quantiles"]),
        scheme=FoldScheme(count=3, test_bars=1440, embargo=horizon, validation_fraction=fraction),
        settings=settings, threads=1,
    )  # fmt: skip


def watched(folder: Path, member: str, features: list[str]) -> tuple[float, float, float]:
    """Seconds until training starts, seconds an epoch, and peak memory (MiB), of `train` in a new process."""
    started, ends, lines = time.monotonic(), [], []
    with subprocess.Popen(
        [sys.executable, __file__, "--train", str(folder), member, *features], stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            lines.append(line)
            if "training windows" in line or "validation loss" in line:
                ends.append(time.monotonic())
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit("".join(lines[-20:]))
    # the first epoch also validates the start
    return ends[0] - started, (ends[-1] - ends[1]) / (EPOCHS - 1), usage.ru_maxrss / 1024


def main() -> None:
    """A line for each number of rows."""
    if sys.argv[1:2] == ["--train"]:
        return train(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*", default=[625_000, 2_500_000, 10_000_000])
    parser.add_argument("--member", choices=TFTS, default=TFT)
    given = parser.parse_args()
    print("      rows  symbols  files, MiB  until training starts, s  an epoch, s  peak, MiB", flush=True)
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as name:
            features = write_features(Path(name), rows)
            size = sum(Path(path).stat().st_size for path in features) / 2**20
            before, epoch, peak = watched(Path(name), given.member, features)
            print(
                f"{rows:10d}  {len(features):7d}  {size:10.0f}  {before:24.1f}  {epoch:11.2f}  {peak:9.0f}", flush=True
            )


if __name__ == "__main__":
    main()
