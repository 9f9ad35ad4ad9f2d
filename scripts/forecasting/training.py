"""Training one TFT under lightning: resumable after a kill, the same weights whether or not it was interrupted."""

import logging
import pickle
import time
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger
from torch.optim.swa_utils import PARAM_LIST
from torch.utils.data import DataLoader, Dataset

from common.errors import UserError
from common.job import say
from forecasting.captured import CapturedStep
from forecasting.comparison import hac_lags, hac_sum
from forecasting.tft import QuantileTFT
from forecasting.windows import Chunks, Panel, Split, grouped, last_of_run

# the library walks all modules to average their weights: at every step that would be a tenth of it
AVERAGED_EVERY = 5
CURVE = ["epoch", "train_loss", "val_loss"]


class RandomChunks(Dataset):
    """Batches of random chunks. Each depends on (seed, epoch, index) alone, so a resumed training sees the same.

    The chunks of a batch are drawn from as many equal parts of all origins: from all symbols and times. Its windows are
    scored at a few steps of the horizon, drawn from as many parts of it: cumulative returns overlap, so a few say
    nearly all.
    """

    def __init__(self, panel: Panel, origins: np.ndarray, model: dict[str, Any], seed: int) -> None:
        self.panel, self.origins, self.last = panel, origins, last_of_run(origins)
        forks = min(model["forks"], model["batch_size"])
        self.count, self.slots = model["batch_size"] // forks, model["stride"] * np.arange(forks)
        self.scored = min(model["scored_steps"] or panel.horizon, panel.horizon)
        self.steps, self.seed, self.epoch = model["steps_per_epoch"], seed, 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Chunks:
        return self.panel.chunks(*self.draw(index))

    def draw(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A batch's origins [chunks, forks], which of them end in the unbroken run that their chunk begins in, and the
        scored steps."""
        draw = np.random.default_rng([self.seed, self.epoch, index])
        picked = ((np.arange(self.count) + draw.random(self.count)) / self.count * len(self.origins)).astype(np.int64)
        steps = ((np.arange(self.scored) + draw.random()) / self.scored * self.panel.horizon).astype(np.int64)
        origins = self.origins[picked][:, None] + self.slots
        return origins, origins <= self.last[picked][:, None], steps


class AllWindows(Dataset):
    """Batches of the same windows in the same order, evenly thinned to `most` when they are more."""

    def __init__(self, panel: Panel, origins: np.ndarray, size: int = 32, forks: int = 8, most: int = 1024) -> None:
        self.panel, self.origins = panel, origins[:: -(-len(origins) // most)]
        grid = grouped(self.origins, panel.starts, panel.lookback, forks)
        self.groups = [tuple(part[at : at + size] for part in grid) for at in range(0, len(grid[0]), size)]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Chunks:
        return self.panel.chunks(*self.groups[index])


class Averages(WeightAveraging):
    """Exponential moving averages of the weights, over a short past at first: they do not lag behind a beginning.

    A step t keeps min(share, (1 + t) / (10 + t)) of them, as TensorFlow's ExponentialMovingAverage of `num_updates`.
    """

    def __init__(self, share: float) -> None:
        def average(averaged: PARAM_LIST, weights: PARAM_LIST, averagings: torch.Tensor | int) -> None:
            steps = (int(averagings) + 1) * AVERAGED_EVERY
            kept = min(share, (1 + steps) / (10 + steps)) ** AVERAGED_EVERY
            torch._foreach_lerp_(averaged, weights, 1 - kept)

        super().__init__(multi_avg_fn=average)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """After each so many steps."""
        return step_idx is not None and (step_idx + 1) % AVERAGED_EVERY == 0


class Replayable(Callback):
    """Ties all that is random in an epoch to (seed, epoch), so that a resumed training ends in the same weights."""

    def __init__(self, windows: RandomChunks) -> None:
        self.windows = windows

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Which windows."""
        self.windows.epoch = trainer.current_epoch

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Chunks, batch_idx: int
    ) -> None:
        """Which units drop out. Not before the first batch: a data loader draws a number when it begins."""
        if batch_idx == 0:
            torch.manual_seed(self.windows.seed * 1_000_003 + trainer.current_epoch)


class Captures(Callback):
    """On a GPU a step's forward and backward are captured as one graph, when training starts."""

    def __init__(self, windows: RandomChunks) -> None:
        self.windows = windows

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Capture."""
        if pl_module.device.type == "cuda":
            network = cast(QuantileTFT, pl_module)
            network.captured = CapturedStep(network.loss_of, network.parameters(), self.windows[0])

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Give its memory back."""
        cast(QuantileTFT, pl_module).captured = None


class Finite(Callback):
    """Ends a training whose loss is no number, and says where it was seen; the checkpoints so far are kept."""

    def __init__(self, title: str, windows: RandomChunks) -> None:
        self.title, self.windows = title, windows

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Chunks, batch_idx: int
    ) -> None:
        """Remember the batch."""
        self.batch, self.index = batch, batch_idx

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: torch.Tensor
    ) -> None:
        """Look at its loss, before the weights are touched."""
        if torch.isfinite(loss):
            return
        with torch.no_grad():
            bad = ~cast(QuantileTFT, pl_module).losses(self.batch).isfinite().all(dim=1)
        origin = self.windows.draw(self.index)[0][int(bad.int().argmax()), 0]
        raise UserError(
            f"{self.title}: in epoch {trainer.current_epoch + 1} the loss is no number, first with "
            f"{self.windows.panel.where(int(origin))}; lower model.learning_rate, or look at the candles there"
        )


class Progress(Callback):
    """One line an epoch: how far, how good, how long still."""

    def __init__(self, title: str) -> None:
        self.title = title

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, from the epoch that training resumes at."""
        self.started, self.first = time.monotonic(), trainer.current_epoch
        if self.first:
            say(f"{self.title}: resumed after epoch {self.first}")

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say where training is."""
        done, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 0)
        left = (time.monotonic() - self.started) / (done - self.first) * (epochs - done)
        loss = trainer.callback_metrics["val_loss"].item()
        say(f"{self.title}: epoch {done} of {epochs}, validation loss {loss:.4f}, at most {left:.0f} s left")


class Fitted(NamedTuple):
    """How a training ended."""

    loss: float
    "validation loss of what is kept"
    gain: float
    "how much smaller the best epoch's loss is than the start's, relative to that, kept or not"
    error: float
    "standard error of the gain"


def device(name: str) -> str:
    """Torch's name of the config's device. Raises UserError when the machine does not have it."""
    has = {"cpu": True, "gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    chosen = next(kind for kind in ("gpu", "mps", "cpu") if has[kind]) if name == "auto" else name
    if not has[chosen]:
        here = ", ".join(kind for kind, there in has.items() if there)
        raise UserError(f"model.device: {name} is not available to torch on this machine; choose one of: auto, {here}")
    return {"gpu": "cuda"}.get(chosen, chosen)


def fit(
    network: QuantileTFT,
    panel: Panel,
    split: Split,
    model: dict[str, Any],
    seed: int,
    title: str,
    scratch: Path,
    watch: Sequence[Callback] = (),
) -> Fitted:
    """Train `network` in place to its best validation loss; where it starts is a candidate too: a correction that gains
    no more than one standard error is none.

    What is validated and kept are the weights' moving averages (Polyak and Juditsky 1992, SIAM J. Control Optim. 30):
    batches of returns are nearly all noise, and the averages settle long before the weights do.

    model: the `model` section of the config. scratch: where checkpoints and curves are kept; a `last.ckpt` found there
    is resumed from. watch: further callbacks. Raises UserError when the loss is not finite.
    """
    windows = RandomChunks(panel, split.fit, model, seed)
    looked_at = AllWindows(panel, split.validation)
    training, validation = (DataLoader(data, batch_size=None) for data in (windows, looked_at))
    _quiet()
    _prepare(panel.device)
    network.to(panel.device)
    start, before = deepcopy(network.state_dict()), _losses(network, validation)
    best = ModelCheckpoint(scratch, "best", monitor="val_loss", save_last=True, enable_version_counter=False)
    callbacks = [
        Averages(model["averaging"]),
        best,
        EarlyStopping("val_loss", patience=model["patience"]),
        Captures(windows),
        Replayable(windows),
        Finite(title, windows),
        Progress(title),
        *watch,
    ]
    trainer = lightning.Trainer(
        accelerator=panel.device,
        devices=1,
        max_epochs=model["epochs"],
        gradient_clip_val=model["gradient_clip"],
        callbacks=callbacks,
        logger=CSVLogger(scratch, name="curve", flush_logs_every_n_steps=1),
        log_every_n_steps=model["steps_per_epoch"],
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        # some of the TFT's backward passes have no deterministic form on a GPU
        deterministic="warn",
    )
    trainer.fit(network, training, validation, ckpt_path=_resumable(scratch / "last.ckpt"), weights_only=False)
    if best.best_model_score is None or not torch.isfinite(best.best_model_score):
        raise UserError(
            f"{title}: the validation loss is not finite; lower model.learning_rate, or look at the features"
        )
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=False)["state_dict"]
    network.load_state_dict(state)
    # lightning has taken it off a GPU
    network.to(panel.device)
    gain, error = _gain(before, _losses(network, validation), looked_at)
    kept = gain > (error if panel.base else 0.0)
    say(
        f"{title}: {100 * gain:+.2f} % ± {100 * error:.2f} better in validation than where it began: "
        f"{'kept' if kept else 'that is not enough, and the start is kept'}"
    )
    network.cpu()
    if not kept:
        network.load_state_dict(start)
    return Fitted(float(before.mean() * (1 - gain if kept else 1)), gain, error)


def curve(scratch: Path) -> pd.DataFrame:
    """The columns of `CURVE`, a row an epoch, of all of a training's runs in `scratch`."""
    runs = sorted(scratch.glob("curve/*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    rows = pd.concat([pd.read_csv(path) for path in runs])
    return rows.groupby("epoch")[CURVE[1:]].last().reset_index()


@torch.no_grad()
def _losses(network: QuantileTFT, batches: Iterable[Chunks]) -> np.ndarray:
    """Loss of each validation window, in the windows' order, of the network as it is."""
    network.eval()
    losses = [network.losses(batch)[batch.used > 0].cpu().numpy() for batch in batches]
    network.train()
    return np.concatenate(losses).astype(np.float64)


def _gain(before: np.ndarray, after: np.ndarray, windows: AllWindows) -> tuple[float, float]:
    """How much smaller the mean loss is after than before, relative to it, and the standard error of that.

    Windows overlap and symbols move together: the windows of a moment are added up, and a HAC variance taken over time.
    """
    time = windows.panel.timestamp[windows.origins]
    moments, place = np.unique(time, return_inverse=True)
    gap = before - after
    total = np.bincount(place, weights=gap - gap.mean())
    spacing = int(np.diff(moments).min()) // windows.panel.step if len(moments) > 1 else 1
    lags = hac_lags(windows.panel.horizon, spacing, len(moments))
    return float(gap.mean() / before.mean()), float(np.sqrt(hac_sum(total, lags)) / before.sum())


def _prepare(device: str) -> None:
    """Torch's settings for training."""
    # what is deterministic would be filled with NaN before it is written, a sixth of a step on a GPU
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if device == "cuda":
        torch.set_float32_matmul_precision("high")


def _resumable(last: Path) -> Path | None:
    """The checkpoint to go on from, if there is one that can be read; a damaged one is as good as none."""
    try:
        torch.load(last, map_location="cpu", weights_only=False)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        return None
    return last


def _quiet() -> None:
    """Lightning's hints on data loader workers and the like help nobody here: batches are slices of memory."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
