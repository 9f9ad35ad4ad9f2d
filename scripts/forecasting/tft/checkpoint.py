"""A trained model on disk: weights, hyperparameters, scalers and the config that it was trained with."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch

from common.errors import UserError
from common.files import write_atomic
from forecasting.tft.network import QuantileTFT, build
from forecasting.tft.panel import Scaler


@dataclass(frozen=True)
class Trained:
    """A network with all it takes to use it; `about` holds the plain facts of its training."""

    network: QuantileTFT
    scaler: Scaler
    features: list[str]
    quantile_levels: list[float]
    about: dict[str, Any]


def save(path: str, trained: Trained, hyper: dict[str, Any]) -> None:
    """Write a checkpoint in lightning's form, with pytorch-forecasting's weights. Same model, same bytes."""
    content = {
        "state_dict": trained.network.state_dict(),
        "hyper_parameters": hyper,
        "pytorch-lightning_version": lightning.__version__,
        "scaler": {
            "mean": torch.from_numpy(trained.scaler.mean),
            "deviation": torch.from_numpy(trained.scaler.deviation),
            "unit": torch.from_numpy(trained.scaler.unit),
        },
        "features": trained.features,
        "quantile_levels": trained.quantile_levels,
        "about": trained.about,
    }
    _write(path, content)


def save_absence(path: str, why: str) -> None:
    """Write a checkpoint of no model, where a member sits out; `load` tells why."""
    _write(path, {"absent": why})


def _write(path: str, content: dict[str, Any]) -> None:
    # into memory first: a file's own name would become part of its bytes
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, lambda partial: partial.write_bytes(buffer.getvalue()))


def load_for(path: str, features: list[str]) -> Trained:
    """A checkpoint that reads these `features`. Raises UserError when it was trained on others, or as `load` does."""
    trained = load(path)
    if trained.features != features:
        raise UserError(f"{path}: trained on other features than there are now; delete it and run again")
    return trained


def load(path: str) -> Trained:
    """Read what `save` wrote. Raises UserError when it is missing, damaged, or of a member that sits out."""
    try:
        content = torch.load(Path(path), map_location="cpu", weights_only=True)
        if "absent" in content:
            raise UserError(f"{path}: holds no model: {content['absent']}")
        network = build(content["hyper_parameters"], content["quantile_levels"])
        network.load_state_dict(content["state_dict"])
        saved = content["scaler"]
        scaler = Scaler(*(np.asarray(saved[name]) for name in ("mean", "deviation", "unit")))
        return Trained(network, scaler, content["features"], content["quantile_levels"], content["about"])
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a usable checkpoint ({reason}); delete it and run again to train anew") from error
