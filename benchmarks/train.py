"""Time to a validation loss: this workflow's training beside stock pytorch-forecasting, on the same data and threads.

    python benchmarks/train.py [--case a|b|c|d] [--data FOLDER] [--seeds 1 2 3] [--minutes 6] [--pace] [--device gpu]
                               [--out FOLDER]

Both train the same model, from the same start, on the same features, targets and loss; what is learned is volatility:
targets are in one unit a symbol. Stock is pytorch-forecasting's forward under lightning with Adam, on batches of 64
random windows, with the best of three learning rates, chosen with a separate seed: the best of three runs has been
lucky, too. Its windows are sliced from memory, to be the same as ours; the time that TimeSeriesDataSet takes to collate
a batch is measured separately and added to its clock. Both are evaluated on the same validation windows, of every fifth
block of bars, each forecast alone as stock's forward does it, which is checked; the clock stops meanwhile. The runs go
two at a time, a core and a thread each, as two folds of the workflow do.
--data: a folder of one-minute candle files; without it the simulated market. --pace: steps a second alone and side by
side, with one thread and two, and no more; on a GPU, by windows a step.
--device gpu: both on the GPU, one run at a time; the memory is the GPU's. Collating does not count there, since other
cores could do it.

Writes train-<case>.csv (a row per look, a validation during training) and train-<case>.png, and prints the table.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import lightning  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from lightning.pytorch.callbacks import Callback  # noqa: E402
from pytorch_forecasting import TimeSeriesDataSet  # noqa: E402
from torch.utils.data import DataLoader, Dataset, TensorDataset  # noqa: E402

from common.errors import UserError  # noqa: E402
from forecasting.folds import training_origins  # noqa: E402
from forecasting.task import Task  # noqa: E402
from forecasting.tft import training  # noqa: E402
from forecasting.tft.datasets import TrainingOrigins  # noqa: E402
from forecasting.tft.network import (  # noqa: E402
    QuantileTFT,
    build_network,
    hyperparameters,
    init_output_bias,
    predict,
)
from forecasting.tft.panel import Panel, feature_columns, fit_scaler  # noqa: E402
from market import indicators  # noqa: E402
from market.coins import COINS  # noqa: E402
from market.features import compute_features  # noqa: E402
from market.intervals import MINUTE, parse_time  # noqa: E402
from market.replay import Replay  # noqa: E402
from market.simulated import Simulated  # noqa: E402

CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
CASES: dict[str, dict[str, Any]] = {
    "a": {"symbols": 2, "lookback": 168, "horizon": 24, "hidden": 16},
    "b": {"symbols": 10, "lookback": 720, "horizon": 60, "hidden": 16},
    "c": {"symbols": 2, "lookback": 168, "horizon": 24, "hidden": 64},
    "d": {"symbols": 2, "lookback": 168, "horizon": 24, "hidden": 128},
}
BARS, BLOCK, FEATURES, WINDOWS = 30_000, 1500, 12, 64
RATES = [0.001, 0.003, 0.01]
ENDLESS = {"learning_rate": CONFIG["tft"]["learning_rate"], "patience": 10**6, "epochs": 10**6}
LOOKED_AT, LOOKS, COLLATED = 2048, 5, 20
GPU_BATCHES = {"stock": [64, 1024], "ours": [128, 1024, 4096]}


def frames_of(count: int, folder: str | None, symbols: list[str]) -> list[pd.DataFrame]:
    """FEATURES features of the last BARS one-minute candles of a folder's symbols, or of `count` simulated ones."""
    names = symbols[:count] if folder else [f"{coin.base}/USDT" for coin in COINS[:count]]
    market: Any = Simulated(7, parse_time(CONFIG["exchange"]["data_end"]))
    if folder:
        market = Replay(folder, names, "1m")
    end = market.milliseconds()
    frames = []
    for name in names:
        rows = market.fetch_ohlcv(name, "1m", end - BARS * MINUTE, BARS)
        candles = pd.DataFrame(rows, columns=["timestamp", "open", "high", "low", "close", "volume"])
        frame = compute_features(candles.astype({"timestamp": "int64"}), None, [5, 60], MINUTE)
        spared = [name for name in feature_columns(frame) if name not in indicators.CALENDAR][FEATURES - 4 :]
        # volatility is left to be learned, as in a training on returns in one unit
        typical = float(np.sqrt((frame["scale"] ** 2).mean()))
        frames.append(frame.drop(columns=spared).assign(scale=typical))
    return frames


def split(frames: list[pd.DataFrame], task: Task) -> TrainingOrigins:
    """Every fifth block of BLOCK bars validates, and no window fitted on reaches into one: how fast a model learns is
    measured on the regimes that it has learned from."""
    starts = np.cumsum([0, *(len(frame) for frame in frames)])
    fit, validation = [], []
    for frame, start in zip(frames, starts, strict=False):
        times = frame["timestamp"].to_numpy()
        origins = training_origins(frame, int(times[-1]) + MINUTE, task)
        first, last = (times[origins + to] // (BLOCK * MINUTE) for to in (1 - task.lookback, task.horizon))
        held = first % 5 == 4, last % 5 == 4
        fit.append(start + origins[~held[0] & ~held[1]])
        validation.append(start + origins[held[0] & (first == last)])
    return TrainingOrigins(np.concatenate(fit), np.concatenate(validation), 0)


def collating(frames: list[pd.DataFrame], task: Task) -> float:
    """Seconds that pytorch-forecasting's data set takes to make a batch of these windows."""
    names = feature_columns(frames[0])
    rows = [
        frame[[*names, "close"]].assign(symbol=str(number), time=np.arange(len(frame)))
        for number, frame in enumerate(frames)
    ]
    windows = TimeSeriesDataSet(
        pd.concat(rows, ignore_index=True), time_idx="time", target="close", group_ids=["symbol"],
        max_encoder_length=task.lookback, min_encoder_length=task.lookback, max_prediction_length=task.horizon,
        time_varying_known_reals=list(indicators.CALENDAR),
        time_varying_unknown_reals=[name for name in names if name not in indicators.CALENDAR],
    )  # fmt: skip
    batches = iter(windows.to_dataloader(train=True, batch_size=WINDOWS, num_workers=0))
    next(batches)
    begun = time.perf_counter()
    for _ in range(COLLATED):
        next(batches)
    return (time.perf_counter() - begun) / COLLATED


def on_gpu(panel: Panel) -> bool:
    """Whether the models compute on a GPU."""
    return panel.device == "cuda"


@contextmanager
def in_float32() -> Iterator[None]:
    """All products in float32: on a GPU some would be in TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
    torch.set_float32_matmul_precision(before)


class RandomWindows(Dataset):
    """Stock's batches: random windows, as pytorch-forecasting's forward reads them, and their targets."""

    def __init__(self, panel: Panel, origins: np.ndarray, steps: int, size: int, seed: int) -> None:
        self.panel, self.origins, self.steps, self.size = panel, origins, steps, size
        self.draw = np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        picked = self.draw.choice(self.origins, self.size)
        return self.panel.windows(picked), torch.from_numpy(self.panel.targets(picked)).to(self.panel.device)


class Stock(QuantileTFT):
    """pytorch-forecasting's forward, under the same loss and a constant learning rate, as is its default."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """One step's loss."""
        return self.pinball_loss(self(batch[0])["prediction"], batch[1])

    def pinball_loss(self, quantiles: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The mean loss of QuantileTFT.losses, of quantiles [n, horizon, levels] and target [n, horizon]."""
        error = target.unsqueeze(-1) - quantiles
        quantile_levels = torch.tensor(self.loss.quantiles, device=error.device)
        root_h = torch.arange(1, error.shape[1] + 1, device=error.device).sqrt()
        return (torch.maximum(quantile_levels * error, (quantile_levels - 1) * error).mean(dim=-1) * root_h).mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing: Clock looks."""

    def configure_optimizers(self) -> Any:
        """Adam at a constant rate."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)


class Clock(Callback):
    """At every epoch's end: training seconds so far, steps, and the loss of the same windows."""

    def __init__(self, judge: Stock, panel: Panel, origins: np.ndarray, budget: float, collating: float) -> None:
        self.judge, self.panel, self.budget, self.collating, self.spent = judge, panel, budget, collating, 0.0
        self.rows: list[dict[str, float]] = []
        self.origins = origins[:: -(-len(origins) // LOOKED_AT)]
        self.target = torch.from_numpy(panel.targets(self.origins))
        # every other of the blocks
        odd = panel.timestamp[self.origins] // (5 * BLOCK * MINUTE) % 2 == 1
        self.parts = np.full(len(odd), True), ~odd, odd

    def look(self, network: torch.nn.Module, step: int) -> None:
        """One row."""
        self.judge.load_state_dict(network.state_dict())
        with in_float32():
            chunks = 512 if on_gpu(self.panel) else 32
            outputs = predict(self.judge, self.panel, self.origins, forks=1, chunks=chunks)
            if not self.rows:
                with torch.no_grad():
                    stock = self.judge(self.panel.windows(self.origins[:WINDOWS]))["prediction"].cpu()
                torch.testing.assert_close(outputs[:WINDOWS], stock, rtol=0, atol=1e-5)
        loss, even, odd = (float(self.judge.pinball_loss(outputs[p], self.target[p])) for p in self.parts)
        self.rows.append({"seconds": self.spent, "step": step, "loss": loss, "even": even, "odd": odd})

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Let the clock run."""
        if not self.rows:
            self.look(pl_module, 0)
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Stop it before the validation."""
        if trainer.is_last_batch:
            if on_gpu(self.panel):
                torch.cuda.synchronize()
            self.spent += time.perf_counter() - self.started + self.collating * trainer.num_training_batches

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look, with the weights that would be kept."""
        self.look(pl_module, trainer.global_step)
        trainer.should_stop = trainer.should_stop or self.spent > self.budget


def one(job: dict[str, Any]) -> None:
    """Train once, in this process; write its rows and figures to job["out"]."""
    torch.set_num_threads(job.get("threads", 1))
    if hasattr(os, "sched_setaffinity") and job.get("threads", 1) == 1 and job["device"] == "cpu":
        os.sched_setaffinity(0, {job["core"]})
    case = CASES[job["case"]]
    settings = CONFIG["tft"] | {"hidden_size": case["hidden"]} | job["model"]
    task = Task("1m", case["lookback"], case["horizon"], CONFIG["quantiles"])
    frames = frames_of(case["symbols"], job["data"], job["symbols"])
    settings["stride"] = settings["stride"] or min(task.horizon, task.lookback)
    origins = split(frames, task)
    panel = Panel(frames, fit_scaler(frames), task, training.device(job["device"]))
    if on_gpu(panel):
        torch.set_float32_matmul_precision("high")
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(job["seed"])
    hyper = hyperparameters(feature_columns(frames[0]), len(task.quantile_levels), settings, task.lookback)
    start = np.quantile(panel.targets(origins.fit[:: 1 + len(origins.fit) // 20_000]), task.quantile_levels)
    ours = build_network if job["method"] == "ours" else stock
    judge, network = stock(hyper, task.quantile_levels), ours(hyper, task.quantile_levels)
    init_output_bias(network, start)
    waits = collating(frames, task) if job["method"] == "stock" and not on_gpu(panel) else 0.0
    clock = Clock(judge.eval().to(panel.device), panel, origins.validation, job["minutes"] * 60, waits)
    with tempfile.TemporaryDirectory() as scratch:
        if job["method"] == "stock":
            fit_stock(network, panel, origins, settings, job["seed"], clock)
        else:
            run = training.Run(job["seed"], "benchmark", Path(scratch))
            training.fit(network, panel, origins, settings, run, [clock])
    rows = pd.DataFrame(clock.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if on_gpu(panel):
        peak = torch.cuda.max_memory_allocated() / 2**20
    run_of = {"method": job["method"], "rate": job["model"]["learning_rate"], "seed": job["seed"], "peak_mib": peak}
    rows.assign(**run_of, batch=settings["batch_size"]).to_csv(job["out"], index=False)


def stock(hyper: dict[str, Any], quantile_levels: Sequence[float]) -> Stock:
    """The library's model."""
    network = build_network(hyper, quantile_levels)
    network.__class__ = Stock
    return cast(Stock, network)


def fit_stock(
    network: QuantileTFT, panel: Panel, origins: TrainingOrigins, settings: dict[str, Any], seed: int, clock: Clock
) -> None:
    """Train with stock's forward until the time is up."""
    drawn = RandomWindows(panel, origins.fit, settings["steps_per_epoch"], settings["batch_size"], seed)
    windows = DataLoader(drawn, batch_size=None)
    trainer = lightning.Trainer(
        accelerator=panel.device, max_epochs=10**6, gradient_clip_val=settings["gradient_clip"], callbacks=[clock],
        num_sanity_val_steps=0, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    # one empty batch: the clock looks when validation starts
    trainer.fit(network, windows, DataLoader(TensorDataset(torch.zeros(1))))


def run_all(jobs: list[dict[str, Any]], quiet: bool = False) -> pd.DataFrame:
    """Each job in a process of its own, as many at once as there are cores; all their rows."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0, 1]
    free = list(cores[: 2 if jobs[0]["device"] == "cpu" else 1])
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(free)) as pool:

        def run(job: dict[str, Any]) -> pd.DataFrame:
            job |= {"core": free.pop(), "out": str(Path(folder) / f"{id(job)}.csv")}
            done = subprocess.run([sys.executable, __file__, "--one", json.dumps(job)], capture_output=True, text=True)
            free.append(job["core"])
            if done.returncode:
                raise SystemExit(done.stderr[-3000:])
            rows = pd.read_csv(job["out"])
            best = rows.iloc[rows["loss"].argmin()]
            if not quiet:
                print(f"{job['method']} rate {job['model']['learning_rate']} seed {job['seed']}: "
                      f"best {best['loss']:.5f} after {best['seconds']:.0f} s", flush=True)  # fmt: skip
            return rows

        return pd.concat(list(pool.map(run, jobs)), ignore_index=True)


def kept_loss(looks: pd.DataFrame) -> float:
    """The loss of the network that is kept, on blocks that did not choose it: on either half of them, of the look that
    is best on the other. The loss that a look was chosen by is biased."""
    even, odd = looks["even"].to_numpy(), looks["odd"].to_numpy()
    return float(even[odd.argmin()] + odd[even.argmin()]) / 2


def losses(looks: pd.DataFrame) -> dict[str, float]:
    """The three losses of a training in the report."""
    return {"loss": looks["loss"].min(), "mean": looks["mean"].min(), "kept": kept_loss(looks)}


def report(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per method and seed: losses, the time until stock's of that seed, steps a second and memory.

    Three losses: of the best look, which can be a lucky one; the best mean of LOOKS looks in a row; and `kept_loss`.
    """
    rows = rows.sort_values(["method", "seed", "step"])
    rows["both"] = (rows["even"] + rows["odd"]) / 2
    rows["mean"] = rows.groupby(["method", "seed"])["loss"].transform(lambda loss: loss.rolling(LOOKS).mean())
    lines = []
    for (method, seed), looks in rows.groupby(["method", "seed"]):
        stock = rows[(rows["method"] == "stock") & (rows["seed"] == seed)]
        line = {"method": method, "seed": seed, **losses(looks)}
        for (name, level), column in zip(losses(stock).items(), ("loss", "mean", "both"), strict=True):
            line[f"s_to_{name}"] = looks.loc[looks[column] <= level, "seconds"].min()
        pace = looks["step"].max() / looks["seconds"].max()
        windows = pace * looks["batch"].max()
        lines.append(line | {"steps_s": pace, "windows_s": windows, "peak_mib": looks["peak_mib"].max()})
    return pd.DataFrame(lines)


def pace(common: dict[str, Any]) -> None:
    """Print steps a second, of all jobs together: one with a thread, one with two, two side by side with one each."""
    print("method  jobs x threads  steps/s")
    for method in ("stock", "ours"):
        for jobs, threads in ((1, 1), (1, 2), (2, 1)):
            model = ENDLESS | {"batch_size": WINDOWS} if method == "stock" else ENDLESS
            job = {"method": method, **common, "minutes": 0.25, "threads": threads, "model": model}
            rows = run_all([job | {"seed": seed} for seed in range(jobs)], quiet=True)
            total = sum(run["step"].max() / run["seconds"].max() for _, run in rows.groupby("seed"))
            print(f"{method:6s}  {jobs} x {threads}{total:18.1f}", flush=True)


def pace_by_batch(common: dict[str, Any]) -> None:
    """Print steps and windows a second, and memory, by windows a step: in this process, one after the other."""
    print("method  windows a step   steps/s  windows/s  MiB")
    for method, size in ((method, size) for method, sizes in GPU_BATCHES.items() for size in sizes):
        with tempfile.TemporaryDirectory() as folder:
            job = {"method": method, **common, "minutes": 0.1, "seed": 1, "out": f"{folder}/rows.csv"}
            one(job | {"model": ENDLESS | {"batch_size": size, "steps_per_epoch": 20 if method == "stock" else 100}})
            rows = pd.read_csv(job["out"])
            steps = rows["step"].max() / rows["seconds"].max()
            print(f"{method:6s}{size:16d}{steps:10.1f}{steps * size:11.0f}{rows['peak_mib'].max():5.0f}", flush=True)


def draw(rows: pd.DataFrame, path: Path, case: str) -> None:
    """Loss against time, a line a run."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    soonest = rows.loc[rows["seconds"] > 0, "seconds"].min() / 2
    looks = {"stock": ("tab:red", "stock pytorch-forecasting"), "ours": ("tab:blue", "this workflow")}
    for method, (colour, label) in looks.items():
        for number, (_, run) in enumerate(rows[rows["method"] == method].groupby("seed")):
            name = None if number else label
            axes.plot(run["seconds"].clip(lower=soonest), run["loss"], color=colour, label=name, lw=1.2)
    axes.axhline(rows.loc[rows["method"] == "stock", "loss"].min(), color="grey", lw=0.8, ls="--", label="stock's best")
    best, first = rows["loss"].min(), rows.loc[rows["step"] == 0, "loss"].max()
    axes.set(xscale="log", xlabel="seconds of training", ylabel="validation loss", title=f"Case {case}: {CASES[case]}")
    axes.set_ylim(best - 0.1 * (first - best), first + 0.1 * (first - best))
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Choose stock's rate, run the seeds, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=list(CASES), default="a")
    parser.add_argument("--data", help="a folder of one-minute candle files")
    parser.add_argument("--symbols", nargs="+", default=["BTCUSDT", "ETHUSDT", "SOLUSDT"], help="of that folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--choosing", type=int, default=0, help="the seed that stock's learning rate is chosen on")
    parser.add_argument("--minutes", type=float, default=6, help="of training, stock; a third of it for this workflow")
    parser.add_argument("--model", default="{}", help='settings of the model, ours alone: {"stride": 12}')
    parser.add_argument("--pace", action="store_true", help="steps a second, alone and side by side")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--only", choices=["stock", "ours"])
    parser.add_argument("--out", type=Path, default=Path("."))
    given = parser.parse_args()
    if given.one:
        return one(json.loads(given.one))
    common = {"case": given.case, "data": given.data and str(Path(given.data).resolve()), "minutes": given.minutes}
    common |= {"symbols": given.symbols, "device": given.device}
    wanted = CASES[given.case]["symbols"]
    if given.data and len(given.symbols) < wanted:
        print(f"case {given.case} is of {wanted} symbols, here of {len(given.symbols)}: name more by --symbols")
    if given.pace:
        return pace(common) if given.device == "cpu" else pace_by_batch(common)
    found = []
    if given.only != "stock":
        model = ENDLESS | json.loads(given.model)
        ours = {"method": "ours", **common, "minutes": given.minutes / 3, "model": model}
        found.append(run_all([ours | {"seed": seed} for seed in given.seeds]))
    if given.only != "ours":
        stock_job = {"method": "stock", **common}
        model = {"batch_size": WINDOWS}
        tried = run_all(
            [stock_job | {"model": model | {"learning_rate": rate}, "seed": given.choosing} for rate in RATES]
        )
        best = model | {"learning_rate": float(tried["rate"].iloc[tried["loss"].argmin()])}
        found.append(run_all([stock_job | {"model": best, "seed": seed} for seed in given.seeds]))
    rows = pd.concat(found, ignore_index=True)
    given.out.mkdir(parents=True, exist_ok=True)
    rows.to_csv(given.out / f"train-{given.case}.csv", index=False)
    if not given.only:
        print(report(rows).to_string(index=False, float_format=lambda value: f"{value:.4g}"))
        draw(rows, given.out / f"train-{given.case}.png", given.case)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
