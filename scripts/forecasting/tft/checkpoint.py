"""A trained model on disk: weights, hyperparameters, scaler and how it was trained."""

import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch

from common.errors import UserError
from common.files import write_atomic
from forecasting.tft.network import QuantileTFT, build_network
from forecasting.tft.panel import Scaler


@dataclass(frozen=True)
class TrainedModel:
    """A network with all that a forecast needs of it; `metadata` holds plain facts of its training."""

    network: QuantileTFT
    scaler: Scaler
    features: list[str]
    quantile_levels: Sequence[float]
    metadata: dict[str, Any]


def save(path: str, model: TrainedModel, hyper: dict[str, Any]) -> None:
    """Write a checkpoint in lightning's form, with pytorch-forecasting's weights. Same model, same bytes."""
    content = {
        "state_dict": model.network.state_dict(),
        "hyper_parameters": hyper,
        "pytorch-lightning_version": lightning.__version__,
        "scaler": {
            "mean": torch.from_numpy(model.scaler.mean),
            "deviation": torch.from_numpy(model.scaler.deviation),
            "resolution": torch.from_numpy(model.scaler.resolution),
        },
        "features": model.features,
        "quantile_levels": list(model.quantile_levels),
        "metadata": model.metadata,
    }
    _write(path, content)


def save_skipped(path: str, reason: str) -> None:
    """Write the checkpoint of a member that is skipped: it holds no model, and `load` raises its reason."""
    _write(path, {"skipped": reason})


def _write(path: str, content: dict[str, Any]) -> None:
    # into memory first: torch would write the file's name into its bytes
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, lambda partial: partial.write_bytes(buffer.getvalue()))


def load_for(path: str, features: list[str]) -> TrainedModel:
    """A checkpoint for these `features`. Raises UserError when it was trained on others, or as `load` does."""
    model = load(path)
    if model.features != features:
        raise UserError(f"{path}: was trained on other features; delete it and run again")
    return model


def load(path: str) -> TrainedModel:
    """Read what `save` wrote. Raises UserError when it is missing or damaged, or its member was skipped."""
    try:
        content = torch.load(Path(path), map_location="cpu", weights_only=True)
        if "skipped" in content:
            raise UserError(f"{path}: holds no model, training was skipped ({content['skipped']})")
        network = build_network(content["hyper_parameters"], content["quantile_levels"])
        network.load_state_dict(content["state_dict"])
        saved = content["scaler"]
        scaler = Scaler(*(np.asarray(saved[name]) for name in ("mean", "deviation", "resolution")))
        return TrainedModel(network, scaler, content["features"], content["quantile_levels"], content["metadata"])
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a usable checkpoint ({reason}); delete it and run again to retrain") from error
