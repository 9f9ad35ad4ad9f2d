"""Training one TFT under lightning: resumable after a kill, with the same weights as without an interruption."""

import logging
import pickle
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
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
from forecasting.tft.callbacks import CudaGraph, ExponentialAverage, Progress, SeededEpochs, StopOnNaN
from forecasting.tft.datasets import AllWindows, RandomChunks, TrainingOrigins
from forecasting.tft.network import QuantileTFT
from forecasting.tft.panel import Chunks, Panel

CURVE = ["epoch", "train_loss", "val_loss"]


@dataclass(frozen=True)
class Run:
    """A training run: its seed, its title in messages, and the folder of its checkpoints and curves, from whose
    `last.ckpt` it is resumed."""

    seed: int
    title: str
    folder: Path


class Fitted(NamedTuple):
    """The result of a training."""

    loss: float
    "validation loss of the weights that are kept"
    gain: float
    "relative reduction of the validation loss by the best epoch, kept or not, against the start"
    error: float
    "standard error of the gain"


def device(name: str) -> str:
    """Torch's name of the config's device. Raises UserError when the machine does not have it."""
    has = {"cpu": True, "gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    chosen = next(kind for kind in ("gpu", "mps", "cpu") if has[kind]) if name == "auto" else name
    if not has[chosen]:
        available = ", ".join(kind for kind in has if has[kind])
        raise UserError(
            f"tft.device: {name} is not available to torch on this machine; choose one of: auto, {available}"
        )
    return {"gpu": "cuda"}.get(chosen, chosen)


def fit(
    network: QuantileTFT,
    panel: Panel,
    origins: TrainingOrigins,
    settings: dict[str, Any],
    run: Run,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Train `network` in place to its best validation loss. The start is a candidate too: a correction is kept only if
    it gains more than one standard error.

    The weights that are validated and kept are moving averages (Polyak and Juditsky 1992, SIAM J. Control Optim. 30):
    returns are nearly all noise, and the averages settle long before the weights do.

    settings: the config's section `tft`. callbacks: further ones. Raises UserError when the loss is not finite.
    """
    windows, validated = RandomChunks(panel, origins.fit, settings, run.seed), AllWindows(panel, origins.validation)
    training, validation = (DataLoader(data, batch_size=None) for data in (windows, validated))
    _silence_lightning()
    _set_up_torch(panel.device)
    network.to(panel.device)
    start, before = deepcopy(network.state_dict()), _losses(network, validation)
    best = ModelCheckpoint(run.folder, "best", monitor="val_loss", save_last=True, enable_version_counter=False)
    trainer = _trainer(panel.device, settings, run, [*_callbacks(best, windows, settings, run), *callbacks])
    trainer.fit(network, training, validation, ckpt_path=_resumable(run.folder / "last.ckpt"), weights_only=True)
    if best.best_model_score is None or not torch.isfinite(best.best_model_score):
        raise UserError(f"{run.title}: the validation loss is NaN; lower tft.learning_rate, or check the features")
    network.load_state_dict(_read(Path(best.best_model_path))["state_dict"])
    # lightning has moved it off the GPU
    network.to(panel.device)
    gain, error = _gain(before, _losses(network, validation), validated)
    kept = gain > (error if panel.base else 0.0)
    say(
        f"{run.title}: {100 * gain:+.2f} % ± {100 * error:.2f} better in validation than at the start: "
        f"{'kept' if kept else 'not significant, the start is kept'}"
    )
    network.cpu()
    if not kept:
        network.load_state_dict(start)
    return Fitted(float(before.mean() * (1 - gain if kept else 1)), gain, error)


def curve(folder: Path) -> pd.DataFrame:
    """The columns of `CURVE`, a row an epoch, of all of a training's parts in `folder`."""
    parts = sorted(folder.glob("curve/*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    rows = pd.concat([pd.read_csv(path) for path in parts])
    return rows.groupby("epoch")[CURVE[1:]].last().reset_index()


def _callbacks(best: Callback, windows: RandomChunks, settings: dict[str, Any], run: Run) -> list[Callback]:
    return [
        ExponentialAverage(settings["ema_decay"]),
        best,
        EarlyStopping("val_loss", patience=settings["patience"]),
        CudaGraph(windows),
        SeededEpochs(windows),
        StopOnNaN(run.title, windows),
        Progress(run.title),
    ]


def _trainer(device: str, settings: dict[str, Any], run: Run, callbacks: list[Callback]) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator=device,
        devices=1,
        max_epochs=settings["epochs"],
        gradient_clip_val=settings["gradient_clip"],
        callbacks=callbacks,
        logger=CSVLogger(run.folder, name="curve", flush_logs_every_n_steps=1),
        log_every_n_steps=settings["steps_per_epoch"],
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        # some of the TFT's backward passes have no deterministic form on a GPU
        deterministic="warn",
    )


@torch.no_grad()
def _losses(network: QuantileTFT, batches: Iterable[Chunks]) -> np.ndarray:
    """Loss [windows] of each validation window, in the windows' order."""
    network.eval()
    losses = [network.losses(batch)[batch.used > 0].cpu().numpy() for batch in batches]
    network.train()
    return np.concatenate(losses).astype(np.float64)


def _gain(before: np.ndarray, after: np.ndarray, windows: AllWindows) -> tuple[float, float]:
    """The relative reduction of the mean loss from `before` to `after` [windows], and its standard error.

    Windows overlap and symbols move together: the windows of a moment are summed, and a HAC variance taken over time.
    """
    time = windows.panel.timestamp[windows.origins]
    moments, place = np.unique(time, return_inverse=True)
    reduction = before - after
    total = np.bincount(place, weights=reduction - reduction.mean())
    spacing = int(np.diff(moments).min()) // windows.panel.bar_ms if len(moments) > 1 else 1
    lags = hac_lags(windows.panel.horizon, spacing, len(moments))
    return float(reduction.mean() / before.mean()), float(np.sqrt(hac_sum(total, lags)) / before.sum())


def _set_up_torch(device: str) -> None:
    """Torch's settings for training."""
    # else deterministic operations fill memory with NaN before they write it, a sixth of a step on a GPU
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if device == "cuda":
        torch.set_float32_matmul_precision("high")


def _read(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)


def _resumable(last: Path) -> Path | None:
    """The checkpoint to resume from, if there is a readable one; a damaged one is ignored."""
    try:
        _read(last)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        return None
    return last


def _silence_lightning() -> None:
    """Lightning's hints, on data loader workers and the like, do not apply: batches are slices of memory."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
