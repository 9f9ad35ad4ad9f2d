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
    """The loss of a batch and its gradients, recorded once and replayed for each batch.

    All batches have the shape of the one that it is captured with. Dropout draws anew at each replay.
    """

    def __init__(
        self, loss_of: Callable[[Chunks], torch.Tensor], weights: Iterable[torch.nn.Parameter], batch: Chunks
    ) -> None:
        """weights: those of `loss_of`, on a GPU. batch: is held, and written over by what is replayed."""
        weights = list(weights)
        self.batch, self.graph = batch, torch.cuda.CUDAGraph()
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                loss_of(batch).backward()
        here.wait_stream(aside)
        # gradients that are not there yet are written by the graph, not added to
        for weight in weights:
            weight.grad = None
        with torch.cuda.graph(self.graph):
            self.loss = loss_of(batch)
            self.loss.backward()
        self.gradients = [(weight, weight.grad) for weight in weights if weight.grad is not None]

    def forward(self, batch: Chunks) -> torch.Tensor:
        """The batch's loss; its gradients are computed too."""
        for held, part in zip(self.batch, batch, strict=True):
            if isinstance(held, torch.Tensor):
                held.copy_(cast(torch.Tensor, part))
        self.graph.replay()
        return self.loss.detach()

    def backward(self) -> None:
        """Give the weights the gradients of the last forward."""
        for weight, gradient in self.gradients:
            weight.grad = gradient
