"""The training data of one fold's TFT, read up to its training end and no further, and the network before training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from common.errors import UserError
from common.files import read_parquet
from forecasting.bars import Bars, first_bar
from forecasting.folds import Fold, FoldScheme
from forecasting.task import Task
from forecasting.tft import training
from forecasting.tft.correction import fit_base, fit_hars, with_har_inputs
from forecasting.tft.datasets import TrainingOrigins, training_windows
from forecasting.tft.network import QuantileTFT, build_network, hyperparameters, init_output_bias
from forecasting.tft.panel import Panel, Scaler, feature_columns, fit_scaler
from market.candles import read_candles
from market.intervals import iso


@dataclass(frozen=True)
class TrainingSet:
    """A panel, its origins to fit on and to validate at, and what a checkpoint holds of them."""

    panel: Panel
    origins: TrainingOrigins
    scaler: Scaler
    features: list[str]


def read_training_set(
    features: Sequence[str],
    candles: Sequence[str],
    fold: Fold,
    scheme: FoldScheme,
    task: Task,
    settings: dict[str, Any],
    corrects: bool,
) -> TrainingSet:
    """The training data of a fold.

    features, candles: of the training cutoff, one file <symbol>.parquet a symbol, in one order of symbols. settings:
    the config's section `tft`. corrects: the network corrects the LHAR-FHS; else it forecasts directly.
    Raises UserError when the span holds too few windows, or a feature is not finite; InsufficientHistoryError when a
    symbol has too few bars for the HAR.
    """
    symbols = [Path(path).stem for path in features]
    # bars after the training span are not even in memory
    frames = [_before(read_parquet(path), fold.train_end) for path in features]
    bars = [Bars.of(read_candles(path, task.interval), task.bar_ms).before(fold.train_end) for path in candles]
    validation = scheme.validation(fold, first_bar(bars), task.bar_ms)
    origins = training_windows(frames, validation, task)
    _check_windows(origins, fold, task, settings["batch_size"])
    _check_finite(frames, symbols, fold.name)
    base = None
    if corrects:
        hars = fit_hars(symbols, bars, origins.fit_end, task.horizon)
        frames = with_har_inputs(frames, bars, hars)
        base = fit_base(hars, bars, frames, origins.fit_end, task.quantile_levels)
    # of many symbols all bars, and the features once more, would take more memory than the panel
    del bars
    scaler = fit_scaler([_before(frame, origins.fit_end) for frame in frames])
    names = feature_columns(frames[0])
    panel = Panel(frames, scaler, task, training.device(settings["device"]), symbols, base, consume=True)
    return TrainingSet(panel, origins, scaler, names)


def initial_network(data: TrainingSet, settings: dict[str, Any], seed: int) -> tuple[QuantileTFT, dict[str, Any]]:
    """The network that training starts from, and its hyperparameters: it puts out no correction, or the quantiles of
    the training targets."""
    levels, base, fit = data.panel.task.quantile_levels, data.panel.base, data.origins.fit
    torch.manual_seed(seed)
    hyper = hyperparameters(data.features, len(levels) + (base is not None), settings, data.panel.lookback)
    network = build_network(hyper, levels)
    if base:
        init_output_bias(network, np.zeros(len(levels) + 1), weight=0.0)
    else:
        sample = fit[:: 1 + len(fit) // 20_000]
        init_output_bias(network, np.quantile(data.panel.targets(sample), levels))
    return network, hyper


def _before(frame: pd.DataFrame, end: int) -> pd.DataFrame:
    """A sorted frame's rows before `end` (ms), not copied."""
    return frame.iloc[: int(np.searchsorted(frame["timestamp"].to_numpy(), end))]


def _check_windows(origins: TrainingOrigins, fold: Fold, task: Task, batch_size: int) -> None:
    """Raise UserError when there is not a batch to fit on, or nothing to validate on."""
    fit, validation = len(origins.fit), len(origins.validation)
    if fit < batch_size or not validation:
        raise UserError(
            f"fold {fold.name}: the candles before {iso(fold.train_end)} hold only {fit} training and {validation} "
            f"validation windows of {task.lookback} + {task.horizon} contiguous bars; "
            "increase days, or use fewer or shorter folds, or a smaller lookback"
        )


def _check_finite(frames: list[pd.DataFrame], symbols: list[str], fold: str) -> None:
    """Raise UserError naming the first feature that is NaN or infinite."""
    for frame, symbol in zip(frames, symbols, strict=True):
        for name in feature_columns(frame):
            bad = np.flatnonzero(~np.isfinite(frame[name].to_numpy()))
            if len(bad):
                when = iso(int(frame["timestamp"].iloc[bad[0]]))
                raise UserError(
                    f"fold {fold}: feature {name} of {symbol} is NaN or infinite at {when}; check the candles there"
                )
