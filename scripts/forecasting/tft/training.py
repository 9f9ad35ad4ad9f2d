"""Training one TFT under lightning: resumable after a kill, the same weights whether or not it was interrupted."""

import logging
import pickle
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from common.errors import UserError
from common.job import say
from forecasting.hac import hac_lags, hac_sum
from forecasting.tft.callbacks import Averages, Captures, Finite, Progress, Replayable
from forecasting.tft.datasets import AllWindows, RandomChunks, Split
from forecasting.tft.network import QuantileTFT
from forecasting.tft.panel import Chunks, Panel

CURVE = ["epoch", "train_loss", "val_loss"]


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
        raise UserError(f"tft.device: {name} is not available to torch on this machine; choose one of: auto, {here}")
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
        Averages(model["ema_decay"]),
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
        raise UserError(f"{title}: the validation loss is not finite; lower tft.learning_rate, or look at the features")
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
