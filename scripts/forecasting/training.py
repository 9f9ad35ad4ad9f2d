"""Training one TFT under lightning: resumable after a kill, the same weights whether or not it was interrupted."""

import logging
import pickle
import time
import warnings
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, Dataset

from common.errors import UserError
from common.job import say
from forecasting.tft import QuantileTFT
from forecasting.windows import Batch, Panel, Split


class RandomWindows(Dataset):
    """Batches of random windows. Each depends on (seed, epoch, index) alone, so a resumed training sees the same."""

    def __init__(self, panel: Panel, origins: np.ndarray, size: int, steps: int, seed: int) -> None:
        self.panel, self.origins, self.size, self.steps, self.seed = panel, origins, size, steps, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Batch:
        draw = np.random.default_rng([self.seed, self.epoch, index])
        return self.panel.batch(draw.choice(self.origins, self.size))


class AllWindows(Dataset):
    """Batches of the same windows in the same order, evenly thinned to `most` when they are more."""

    def __init__(self, panel: Panel, origins: np.ndarray, size: int = 256, most: int = 1024) -> None:
        kept = origins[:: -(-len(origins) // most)]
        self.panel, self.groups = panel, np.array_split(kept, -(-len(kept) // size))

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Batch:
        return self.panel.batch(self.groups[index])


class Replayable(Callback):
    """Ties all that is random in training to (seed, step), so that a resumed training ends in the same weights."""

    def __init__(self, windows: RandomWindows) -> None:
        self.windows = windows

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Which windows."""
        self.windows.epoch = trainer.current_epoch

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Which units drop out."""
        torch.manual_seed(self.windows.seed * 1_000_003 + trainer.global_step)


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


def accelerator(device: str) -> str:
    """Lightning's name of `device`. Raises UserError when the machine does not have it."""
    has = {"auto": True, "cpu": True, "gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not has[device]:
        here = ", ".join(name for name, there in has.items() if there)
        raise UserError(f"model.device: {device} is not available to torch on this machine; choose one of: {here}")
    return {"gpu": "cuda"}.get(device, device)


def fit(
    network: QuantileTFT, panel: Panel, split: Split, model: dict[str, Any], seed: int, title: str, scratch: Path
) -> float:
    """Train `network` in place to its best validation loss, which is returned; where it starts is a candidate too.

    model: the `model` section of the config. scratch: where checkpoints and curves are kept; a `last.ckpt` found there
    is resumed from. Raises UserError when the loss is not finite.
    """
    windows = RandomWindows(panel, split.fit, model["batch_size"], model["steps_per_epoch"], seed)
    training, validation = (
        DataLoader(data, batch_size=None) for data in (windows, AllWindows(panel, split.validation))
    )
    _quiet()
    start, start_loss = deepcopy(network.state_dict()), _mean_loss(network, validation)
    best = ModelCheckpoint(scratch, "best", monitor="val_loss", save_last=True, enable_version_counter=False)
    trainer = lightning.Trainer(
        accelerator=accelerator(model["device"]),
        devices=1,
        max_epochs=model["epochs"],
        gradient_clip_val=model["gradient_clip"],
        callbacks=[best, EarlyStopping("val_loss", patience=model["patience"]), Replayable(windows), Progress(title)],
        logger=CSVLogger(scratch, name="curve", flush_logs_every_n_steps=1),
        log_every_n_steps=model["steps_per_epoch"],
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        # some of the TFT's backward passes have no deterministic form on a GPU
        deterministic="warn",
    )
    trainer.fit(network, training, validation, ckpt_path=_resumable(scratch / "last.ckpt"), weights_only=False)
    loss = best.best_model_score
    if loss is None or not torch.isfinite(loss):
        raise UserError(
            f"{title}: the validation loss is not finite; lower model.learning_rate, or look at the features"
        )
    if loss >= start_loss:
        say(f"{title}: nothing learned that beats the start, {start_loss:.4f}; the start is kept")
        network.cpu().load_state_dict(start)
        return start_loss
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=False)["state_dict"]
    network.cpu().load_state_dict(state)
    return float(loss)


def curve(scratch: Path) -> pd.DataFrame:
    """`epoch, train_loss, val_loss`, a row an epoch, of all of a training's runs in `scratch`."""
    runs = sorted(scratch.glob("curve/*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    rows = pd.concat([pd.read_csv(path) for path in runs])
    return rows.groupby("epoch")[["train_loss", "val_loss"]].last().reset_index()


@torch.no_grad()
def _mean_loss(network: QuantileTFT, batches: Iterable[Batch]) -> float:
    """Validation loss of the network as it is, every window weighing alike."""
    network.eval()
    losses = [(network.loss_of(batch).item(), len(batch[1])) for batch in batches]
    network.train()
    return sum(loss * count for loss, count in losses) / sum(count for _, count in losses)


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
