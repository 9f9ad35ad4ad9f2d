"""Callbacks of a TFT's training: averaged weights, reproducible epochs, CUDA graphs, NaN losses, progress."""

import time
from typing import cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch.optim.swa_utils import PARAM_LIST

from common.errors import UserError
from common.job import say
from forecasting.tft.cuda_graph import CapturedStep
from forecasting.tft.datasets import RandomChunks
from forecasting.tft.network import QuantileTFT
from forecasting.tft.panel import Chunks

# the library walks through all modules to average their weights: at every step that would take a tenth of it
AVERAGED_EVERY = 5


class ExponentialAverage(WeightAveraging):
    """Exponential moving average of the weights, over a short past at first, so that it forgets the untrained network.

    At step t its decay is min(decay, (1 + t) / (10 + t)), as TensorFlow's ExponentialMovingAverage of `num_updates`.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: PARAM_LIST, weights: PARAM_LIST, averagings: torch.Tensor | int) -> None:
            steps = (int(averagings) + 1) * AVERAGED_EVERY
            kept = min(decay, (1 + steps) / (10 + steps)) ** AVERAGED_EVERY
            torch._foreach_lerp_(averaged, weights, 1 - kept)

        super().__init__(multi_avg_fn=average)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Every AVERAGED_EVERY steps."""
        return step_idx is not None and (step_idx + 1) % AVERAGED_EVERY == 0


class SeededEpochs(Callback):
    """Seeds all that is random in an epoch by (seed, epoch), so that a resumed training ends in the same weights."""

    def __init__(self, windows: RandomChunks) -> None:
        self.windows = windows

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Seed the windows."""
        self.windows.epoch = trainer.current_epoch

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Chunks, batch_idx: int
    ) -> None:
        """Seed dropout. At the first batch, not before it: a data loader draws a number when it starts."""
        if batch_idx == 0:
            torch.manual_seed(self.windows.seed * 1_000_003 + trainer.current_epoch)


class CudaGraph(Callback):
    """On a GPU a step's forward and backward are captured as one graph, when training starts."""

    def __init__(self, windows: RandomChunks) -> None:
        self.windows = windows

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Capture."""
        if pl_module.device.type == "cuda":
            network = cast(QuantileTFT, pl_module)
            network.captured = CapturedStep(network.mean_loss, network.parameters(), self.windows[0])

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Free its memory."""
        cast(QuantileTFT, pl_module).captured = None


class StopOnNaN(Callback):
    """Ends a training whose loss is NaN or infinite, and says at which window; earlier checkpoints are kept."""

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
        """Check its loss, before the weights change."""
        if torch.isfinite(loss):
            return
        with torch.no_grad():
            bad = ~cast(QuantileTFT, pl_module).losses(self.batch).isfinite().all(dim=1)
        origin = self.windows.draw(self.index)[0][int(bad.int().argmax()), 0]
        raise UserError(
            f"{self.title}: the loss is NaN in epoch {trainer.current_epoch + 1}, first for "
            f"{self.windows.panel.locate(int(origin))}; lower tft.learning_rate, or check the candles at that time"
        )


class Progress(Callback):
    """One line an epoch: how many are done, the validation loss, the time left."""

    def __init__(self, title: str) -> None:
        self.title = title

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, at the epoch that training resumes at."""
        self.started, self.first = time.monotonic(), trainer.current_epoch
        if self.first:
            say(f"{self.title}: resumed after epoch {self.first}")

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Print the line."""
        done, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 0)
        left = (time.monotonic() - self.started) / (done - self.first) * (epochs - done)
        loss = trainer.callback_metrics["val_loss"].item()
        say(f"{self.title}: epoch {done} of {epochs}, validation loss {loss:.4f}, at most {left:.0f} s left")
