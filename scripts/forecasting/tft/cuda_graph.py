"""A training step's forward and backward as one CUDA graph.

A step of a small network is more than a thousand kernels, which take longer to launch one by one than to run: a graph
launches them all at once.
"""

from collections.abc import Callable, Iterable
from typing import cast

import torch

from forecasting.tft.panel import Chunks

WARM_UPS = 3


class CapturedStep:
    """The loss of a batch and its gradients, captured once and replayed for each batch.

    All batches have the shape of the one that it is captured with. Dropout is drawn anew at each replay.
    """

    def __init__(
        self, mean_loss: Callable[[Chunks], torch.Tensor], weights: Iterable[torch.nn.Parameter], batch: Chunks
    ) -> None:
        """weights: those of `mean_loss`, on a GPU. batch: is kept, and overwritten by each replayed batch."""
        weights = list(weights)
        self.batch, self.graph = batch, torch.cuda.CUDAGraph()
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                mean_loss(batch).backward()
        current.wait_stream(side)
        # the graph writes gradients that do not exist yet, and adds to those that do
        for weight in weights:
            weight.grad = None
        with torch.cuda.graph(self.graph):
            self.loss = mean_loss(batch)
            self.loss.backward()
        self.gradients = [(weight, weight.grad) for weight in weights if weight.grad is not None]

    def forward(self, batch: Chunks) -> torch.Tensor:
        """The batch's loss; its gradients are computed too."""
        for kept, part in zip(self.batch, batch, strict=True):
            if isinstance(kept, torch.Tensor):
                kept.copy_(cast(torch.Tensor, part))
        self.graph.replay()
        return self.loss.detach()

    def backward(self) -> None:
        """Give the weights the gradients of the last forward."""
        for weight, gradient in self.gradients:
            weight.grad = gradient
