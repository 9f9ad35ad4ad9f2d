"""A training step's forward and backward as one CUDA graph.

A step of a small network is more than a thousand kernels, which take longer to launch one by one than to run: a graph
launches them all at once.
"""

from collections.abc import Iterator
from typing import Protocol, cast

import torch

from forecasting.windows import Chunks

WARM_UPS = 3


class Network(Protocol):
    """What a step is captured of."""

    def loss_of(self, chunks: Chunks) -> torch.Tensor:
        """A batch's loss."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """All weights."""


class CapturedStep:
    """A network's loss of a batch and its gradients, recorded once and replayed for each batch.

    All batches have the shape of the one that it is captured with. Dropout draws anew at each replay.
    """

    def __init__(self, network: Network, batch: Chunks) -> None:
        """network: on a GPU. batch: is held, and written over by what is replayed."""
        self.batch, self.graph = batch, torch.cuda.CUDAGraph()
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                network.loss_of(batch).backward()
        here.wait_stream(aside)
        # gradients that are not there yet are written by the graph, not added to
        network.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.loss = network.loss_of(batch)
            self.loss.backward()
        self.gradients = [(weight, weight.grad) for weight in network.parameters() if weight.grad is not None]

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
