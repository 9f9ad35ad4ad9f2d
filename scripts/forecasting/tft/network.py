"""The Temporal Fusion Transformer: pytorch-forecasting's, trained on quantiles of the path of cumulative returns.

Lim et al. (2021), "Temporal Fusion Transformers for interpretable multi-horizon time series forecasting",
Int. J. Forecasting 37(4). Modules, hyperparameters and weights are the library's.
"""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from pytorch_forecasting import QuantileLoss, TemporalFusionTransformer

from forecasting.tft import forking
from forecasting.tft.correction import correction_factor
from forecasting.tft.cuda_graph import CapturedStep
from forecasting.tft.datasets import grouped
from forecasting.tft.panel import KNOWN, POSITION, Chunks, Panel


class QuantileTFT(TemporalFusionTransformer):
    """The library's TFT under the pinball loss of cumulative returns.

    A network that forecasts directly puts out the quantiles of its target, in units of volatility · √h; one that
    corrects a base puts out what `correction_factor` takes. A loss is in units of a bar's deviation in both cases.
    """

    captured: CapturedStep | None = None
    "on a GPU, while it trains"

    def transform_output(self, prediction: torch.Tensor, target_scale: torch.Tensor, loss: Any = None) -> torch.Tensor:
        """The outputs as they are: `Panel.returns` turns them into returns."""
        return prediction

    def losses(self, chunks: Chunks) -> torch.Tensor:
        """Mean pinball loss [chunks, forks] over a window's steps and all levels, in units of a bar's deviation."""
        outputs = forking.forecast(self, chunks.bars, chunks.known, steps=chunks.steps, resolutions=chunks.resolutions)
        base = chunks.base_quantiles
        quantiles = outputs if base is None else base * correction_factor(outputs)
        error = chunks.target.unsqueeze(-1) - quantiles
        levels = _levels_on(tuple(self.loss.quantiles), error.device)
        pinball = torch.maximum(levels * error, (levels - 1) * error).mean(dim=-1)
        return (pinball * chunks.weight).mean(dim=-1)

    def mean_loss(self, chunks: Chunks) -> torch.Tensor:
        """Mean loss over all used windows."""
        return (self.losses(chunks) * chunks.used).sum() / chunks.used.sum()

    def training_step(self, batch: Chunks, batch_idx: int) -> torch.Tensor:
        """The batch's loss."""
        loss = self.captured.forward(batch) if self.captured else self.mean_loss(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.bars))
        return loss

    def backward(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """The gradients, which a captured step has computed already."""
        if self.captured:
            self.captured.backward()
        else:
            super().backward(loss, *args, **kwargs)

    def validation_step(self, batch: Chunks, batch_idx: int) -> None:
        """Log the loss that early stopping and the choice of the checkpoint monitor."""
        self.log("val_loss", self.mean_loss(batch), batch_size=int(batch.used.sum()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at a constant rate: the moving average of the weights takes the place of a schedule."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate, fused=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out the hyperparameters: modules are among them, which `weights_only` refuses to load, and a training
        is resumed by a network that has them."""
        checkpoint.pop(self.CHECKPOINT_HYPER_PARAMS_KEY, None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The library would read what `on_save_checkpoint` leaves out."""


@lru_cache
@torch.inference_mode(False)
def _levels_on(quantile_levels: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """The quantile levels on the device: a copy made once, since a captured step can make none."""
    return torch.tensor(quantile_levels, device=device)


def hyperparameters(features: list[str], outputs: int, settings: dict[str, Any], lookback: int) -> dict[str, Any]:
    """Plain hyperparameters of pytorch-forecasting's TFT, from the config's section `tft`.

    outputs: one a quantile level, and one more for a correction.
    """
    return {
        "x_reals": [*features, POSITION],
        "time_varying_reals_encoder": list(features),
        "time_varying_reals_decoder": list(KNOWN),
        "max_encoder_length": lookback,
        "output_size": outputs,
        "hidden_size": settings["hidden_size"],
        "hidden_continuous_size": settings["hidden_continuous_size"],
        "attention_head_size": settings["attention_heads"],
        "lstm_layers": settings["lstm_layers"],
        "dropout": settings["dropout"],
        "learning_rate": settings["learning_rate"],
    }


def build_network(hyper: dict[str, Any], quantile_levels: Sequence[float]) -> QuantileTFT:
    """A TFT of these hyperparameters; its loss is not one of them, so that they are plain values."""
    with warnings.catch_warnings():
        # lightning warns of modules among the hyperparameters; the library puts them there
        warnings.simplefilter("ignore")
        return QuantileTFT(
            **hyper, loss=QuantileLoss(quantiles=list(quantile_levels)), logging_metrics=torch.nn.ModuleList()
        )


def init_output_bias(network: QuantileTFT, outputs: np.ndarray, weight: float = 0.1) -> None:
    """Let an untrained network put out about `outputs` [outputs] everywhere. weight: factor on the output weights."""
    with torch.no_grad():
        network.output_layer.weight.mul_(weight)
        network.output_layer.bias.copy_(torch.as_tensor(outputs, dtype=torch.float32))


def is_rejected(network: QuantileTFT) -> bool:
    """Whether a correction's outputs are 0 throughout, as they are at the start of training: it was not kept."""
    layer = network.output_layer
    return not (layer.weight.any() or layer.bias.any())


@torch.no_grad()
def predict(network: QuantileTFT, panel: Panel, origins: np.ndarray, forks: int = 16, chunks: int = 32) -> torch.Tensor:
    """The network's outputs [origins, horizon, outputs] at each of the increasing `origins`, on the CPU.

    Evenly spaced origins are forks of one chunk; a lone one is forecast as the library does. chunks: in a batch.
    """
    network.eval()
    grid, used = grouped(origins, panel.starts, panel.lookback, forks)
    batches = (panel.chunks(grid[at : at + chunks], used[at : at + chunks]) for at in range(0, len(grid), chunks))
    outputs = [
        forking.forecast(network, batch.bars, batch.known, resolutions=batch.resolutions)[batch.used > 0]
        for batch in batches
    ]
    return torch.cat(outputs).cpu()
