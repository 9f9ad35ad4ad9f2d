"""Training on a GPU is the training on the CPU: the same forecasts, gradients and rules, from a captured step."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from common.errors import UserError
from forecasting.tft import training
from forecasting.tft.cuda_graph import CapturedStep
from forecasting.tft.datasets import RandomChunks
from forecasting.tft.network import QuantileTFT, init_output_bias, predict
from forecasting.tft.panel import Chunks, Panel, fit_scaler
from forecasting.tft.training import Run
from market.features import compute_features
from market.intervals import MINUTE
from support.candles import candles, others
from support.networks import LEVELS, SETTINGS, SPANS, TASK, Spoil, cut, learnable, network_for

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="NO GPU: what trains on one is not tested here")


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    return [compute_features(c, others(c), SPANS, MINUTE) for c in (candles(1500, seed=1), candles(1500, seed=2))]


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Compared with the CPU, so all of it in float32."""
    torch.set_float32_matmul_precision("highest")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def panel_on(device: str, frames: list[pd.DataFrame]) -> Panel:
    return Panel(frames, fit_scaler(frames), TASK, device)


def batches_of(panel: Panel, frames: list[pd.DataFrame]) -> RandomChunks:
    return RandomChunks(panel, cut(frames, int(frames[0]["timestamp"].iloc[-1])).fit, SETTINGS, 1)


def gradients(network: QuantileTFT) -> torch.Tensor:
    return torch.cat([p.grad.flatten().cpu() for p in network.parameters() if p.grad is not None])


def test_forecasts_are_those_of_the_cpu(frames: list[pd.DataFrame]) -> None:
    network, origins = network_for(frames), np.arange(100, 400, 3)
    on_cpu = predict(network, panel_on("cpu", frames), origins)
    on_gpu = predict(network.cuda(), panel_on("cuda", frames), origins)
    torch.testing.assert_close(on_gpu, on_cpu, rtol=0, atol=1e-5)


def without_dropout(network: QuantileTFT) -> QuantileTFT:
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return network.cuda().train()


def test_a_captured_step_gives_each_batch_its_own_loss_and_gradients(frames: list[pd.DataFrame]) -> None:
    network, reference = (without_dropout(network_for(frames)) for _ in range(2))
    batches = batches_of(panel_on("cuda", frames), frames)
    step = CapturedStep(network.mean_loss, network.parameters(), batches[0])
    for number in (1, 2):
        loss = step.forward(batches[number]).item()
        network.zero_grad()
        step.backward()
        found = gradients(network)
        reference.zero_grad()
        expected = reference.mean_loss(batches[number])
        expected.backward()
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        torch.testing.assert_close(found, gradients(reference), rtol=1e-4, atol=1e-5)


def test_dropout_draws_anew_at_each_replay_and_the_same_from_a_seed(frames: list[pd.DataFrame]) -> None:
    network, batches = network_for(frames).cuda().train(), batches_of(panel_on("cuda", frames), frames)
    step = CapturedStep(network.mean_loss, network.parameters(), batches[0])

    def two(seed: int) -> list[float]:
        torch.manual_seed(seed)
        return [step.forward(batches[1]).item() for _ in range(2)]

    assert two(5) == two(5)
    assert len({*two(5), *two(6)}) == 4


class Watch(Callback):
    """Which training steps were captured."""

    def __init__(self) -> None:
        self.captured: list[bool] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Chunks, batch_idx: int) -> None:
        self.captured.append(pl_module.captured is not None)


def test_training_learns_what_there_is_to_learn(tmp_path: Path) -> None:
    frames, watch = learnable(), Watch()
    panel, parts = panel_on("cuda", frames), cut(frames, int(frames[0]["timestamp"].iloc[-1]))
    network = network_for(frames)
    init_output_bias(network, np.quantile(panel.targets(parts.fit), LEVELS))
    model = SETTINGS | {"epochs": 6, "steps_per_epoch": 40, "ema_decay": 0.98}
    assert training.fit(network, panel, parts, model, Run(1, "test", tmp_path), [watch]).gain > 0.1
    assert set(watch.captured) == {True}
    assert network.captured is None
    assert {weight.device.type for weight in network.parameters()} == {"cpu"}


class Die(Callback):
    """Ends a training in its third epoch."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 2:
            raise UserError("died")


def test_a_resumed_training_ends_in_the_same_weights(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    parts, panel = cut(frames, int(frames[0]["timestamp"].iloc[-1])), panel_on("cuda", frames)
    model = SETTINGS | {"epochs": 4, "patience": 4}
    whole, resumed, killed = network_for(frames), network_for(frames), Run(1, "test", tmp_path / "resumed")
    training.fit(whole, panel, parts, model, Run(1, "test", tmp_path / "whole"))
    with pytest.raises(UserError, match="died"):
        training.fit(network_for(frames), panel, parts, model, killed, [Die()])
    training.fit(resumed, panel, parts, model, killed)
    for weight, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-4, atol=1e-5)


def test_a_nan_loss_is_reported_and_the_last_good_checkpoint_stays(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    parts = cut(frames, int(frames[0]["timestamp"].iloc[-1]))
    run, panel = Run(1, "title", tmp_path), panel_on("cuda", frames)
    message = r"title: the loss is NaN in epoch 2, first for symbol \d at 20\S+; lower tft.learning_rate"
    with pytest.raises(UserError, match=message):
        training.fit(network_for(frames), panel, parts, SETTINGS, run, [Spoil()])
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 0
    assert all(weight.isfinite().all() for weight in kept["state_dict"].values())
