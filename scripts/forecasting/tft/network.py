"""The Temporal Fusion Transformer: pytorch-forecasting's, trained on quantiles of the path of cumulative returns.

Lim et al. (2021), "Temporal Fusion Transformers for interpretable multi-horizon time series forecasting",
Int. J. Forecasting 37(4). Modules, hyperparameters and weights are the library's own.
"""

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from pytorch_forecasting import QuantileLoss, TemporalFusionTransformer

from forecasting.tft import forking
from forecasting.tft.correction import factor
from forecasting.tft.cuda_graph import CapturedStep
from forecasting.tft.datasets import grouped
from forecasting.tft.panel import KNOWN, POSITION, Chunks, Panel


class QuantileTFT(TemporalFusionTransformer):
    """The library's TFT with a plain quantile loss, weighted so that it is the loss of cumulative returns.

    It speaks in units of scale · √h, in which all symbols, regimes and steps look alike.
    """

    captured: CapturedStep | None = None
    "on a GPU, while it trains"

    def transform_output(self, prediction: torch.Tensor, target_scale: torch.Tensor, loss: Any = None) -> torch.Tensor:
        """The network's own units are kept; Panel.returns turns them into returns."""
        return prediction

    def losses(self, chunks: Chunks) -> torch.Tensor:
        """Mean pinball loss [chunks, forks] over a window's scored steps and all levels, of cumulative returns in units
        of a bar's."""
        said = forking.forecast(self, chunks.bars, chunks.known, steps=chunks.steps, units=chunks.units)
        quantiles = said if chunks.relative is None else chunks.relative * factor(said)
        error = chunks.target.unsqueeze(-1) - quantiles
        quantile_levels = _levels(tuple(self.loss.quantiles), error.device)
        pinball = torch.maximum(quantile_levels * error, (quantile_levels - 1) * error).mean(dim=-1)
        return (pinball * chunks.weight).mean(dim=-1)

    def loss_of(self, chunks: Chunks) -> torch.Tensor:
        """Mean loss over all windows that count."""
        return (self.losses(chunks) * chunks.used).sum() / chunks.used.sum()

    def training_step(self, batch: Chunks, batch_idx: int) -> torch.Tensor:
        """One step's loss."""
        loss = self.captured.forward(batch) if self.captured else self.loss_of(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.bars))
        return loss

    def backward(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """The gradients: the captured step has them already."""
        if self.captured:
            self.captured.backward()
        else:
            super().backward(loss, *args, **kwargs)

    def validation_step(self, batch: Chunks, batch_idx: int) -> None:
        """The loss that early stopping and the choice of the checkpoint look at."""
        self.log("val_loss", self.loss_of(batch), batch_size=int(batch.used.sum()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at a constant rate; what a schedule would settle, the averaging of weights does."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate, fused=True)


@lru_cache
@torch.inference_mode(False)
def _levels(quantile_levels: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Quantile levels where the network computes: a copy made once, since a captured step can make none."""
    return torch.tensor(quantile_levels, device=device)


def hyperparameters(features: list[str], outputs: int, model: dict[str, Any], lookback: int) -> dict[str, Any]:
    """Plain hyperparameters of pytorch-forecasting's TFT, from the `model` section of the config.

    outputs: one a level, and one more of a network that corrects.
    """
    return {
        "x_reals": [*features, POSITION],
        "time_varying_reals_encoder": list(features),
        "time_varying_reals_decoder": list(KNOWN),
        "max_encoder_length": lookback,
        "output_size": outputs,
        "hidden_size": model["hidden_size"],
        "hidden_continuous_size": model["hidden_continuous_size"],
        "attention_head_size": model["attention_heads"],
        "lstm_layers": model["lstm_layers"],
        "dropout": model["dropout"],
        "learning_rate": model["learning_rate"],
    }


def build(hyper: dict[str, Any], quantile_levels: list[float]) -> QuantileTFT:
    """A TFT of these hyperparameters; its loss is kept out of them, so that they are plain values."""
    with warnings.catch_warnings():
        # lightning warns of modules among the hyperparameters; the library means them to be there
        warnings.simplefilter("ignore")
        return QuantileTFT(
            **hyper, loss=QuantileLoss(quantiles=list(quantile_levels)), logging_metrics=torch.nn.ModuleList()
        )


def init_output_bias(network: QuantileTFT, outputs: np.ndarray, weight: float = 0.1) -> None:
    """Let the untrained network say about that [outputs] everywhere: learning starts there. `weight`: of all else."""
    with torch.no_grad():
        network.output_layer.weight.mul_(weight)
        network.output_layer.bias.copy_(torch.as_tensor(outputs, dtype=torch.float32))


@torch.no_grad()
def predict(network: QuantileTFT, panel: Panel, origins: np.ndarray, forks: int = 16, chunks: int = 32) -> torch.Tensor:
    """What the network says [origins, horizon, outputs] at each origin, on the CPU.

    Rising origins that follow each other evenly are forecast as forks of one chunk, a lone one as the library does.
    """
    network.eval()
    grid, used = grouped(origins, panel.starts, panel.lookback, forks)
    parts = (panel.chunks(grid[at : at + chunks], used[at : at + chunks]) for at in range(0, len(grid), chunks))
    said = (forking.forecast(network, part.bars, part.known, units=part.units)[part.used > 0] for part in parts)
    return torch.cat(list(said)).cpu()
