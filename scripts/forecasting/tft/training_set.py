"""What a TFT of one fold is trained on, read up to its training end and no further, and the network to train on it."""

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
from forecasting.folds import Fold, validation_fold
from forecasting.members import TFT
from forecasting.tft import network as tft
from forecasting.tft import training
from forecasting.tft.correction import fit_base, fit_hars, with_inputs
from forecasting.tft.datasets import Split, split
from forecasting.tft.panel import Panel, Scaler, feature_columns, fit_scaler
from market.candles import read_candles
from market.intervals import iso, step_ms


@dataclass(frozen=True)
class TrainingSet:
    """A panel and its windows, to fit on and to validate, with what a checkpoint must know of them."""

    panel: Panel
    windows: Split
    scaler: Scaler
    features: list[str]
    quantile_levels: list[float]


def training_set(
    part: Fold,
    features: Sequence[str],
    candles: Sequence[str],
    member: str,
    interval: str,
    lookback: int,
    horizon: int,
    quantile_levels: list[float],
    model: dict[str, Any],
    validation_fraction: float,
) -> TrainingSet:
    """What `member` is trained on in a fold.

    features, candles: one file a symbol. member: "tft" corrects the HAR, "tft_raw" speaks for itself. model: the
    config's section. Raises UserError when the span holds too few windows, or a feature is no number; TooShortError
    when a symbol is too young for the HAR.
    """
    step, symbols = step_ms(interval), [Path(path).stem for path in features]
    # what lies after the training span is not even in memory
    frames = [_before(read_parquet(path), part.train_end) for path in features]
    bars = [Bars.of(read_candles(path, interval), step).before(part.train_end) for path in candles]
    inner = validation_fold(part, first_bar(bars), validation_fraction, step)
    windows = split(frames, inner, step, lookback, horizon)
    _check(windows, part, lookback, horizon, model["batch_size"])
    _check_finite(frames, symbols, part.name)
    base = None
    if member == TFT:
        hars = fit_hars(symbols, bars, windows.fit_end, horizon)
        frames = with_inputs(frames, bars, hars)
        base = fit_base(hars, bars, frames, windows.fit_end, quantile_levels)
    scaler = fit_scaler([_before(frame, windows.fit_end) for frame in frames])
    panel = Panel(frames, scaler, step, lookback, horizon, training.device(model["device"]), symbols, base)
    return TrainingSet(panel, windows, scaler, feature_columns(frames[0]), quantile_levels)


def build_network(data: TrainingSet, model: dict[str, Any], seed: int) -> tuple[tft.QuantileTFT, dict[str, Any]]:
    """A network that says what is known without it, and its hyperparameters: where training begins."""
    quantile_levels, base, fit = data.quantile_levels, data.panel.base, data.windows.fit
    torch.manual_seed(seed)
    hyper = tft.hyperparameters(data.features, len(quantile_levels) + (base is not None), model, data.panel.lookback)
    network = tft.build(hyper, quantile_levels)
    if base:
        tft.init_output_bias(network, np.zeros(len(quantile_levels) + 1), weight=0.0)
    else:
        sample = fit[:: 1 + len(fit) // 20_000]
        tft.init_output_bias(network, np.quantile(data.panel.targets(sample), quantile_levels))
    return network, hyper


def _before(frame: pd.DataFrame, end: int) -> pd.DataFrame:
    """A sorted frame's rows before `end`, not copied."""
    return frame.iloc[: int(np.searchsorted(frame["timestamp"].to_numpy(), end))]


def _check(windows: Split, part: Fold, lookback: int, horizon: int, batch_size: int) -> None:
    """Raise UserError when there is not a batch to fit on, or nothing to validate on."""
    fit, validation = len(windows.fit), len(windows.validation)
    if fit < batch_size or not validation:
        raise UserError(
            f"fold {part.name}: the candles before {iso(part.train_end)} hold only {fit} unbroken windows of "
            f"{lookback} + {horizon} bars to fit on and {validation} to validate; "
            "give more days, fewer or shorter folds, or a smaller lookback"
        )


def _check_finite(frames: list[pd.DataFrame], symbols: list[str], fold: str) -> None:
    """Raise UserError naming the first feature that is something other than a finite number."""
    for frame, symbol in zip(frames, symbols, strict=True):
        for name in feature_columns(frame):
            bad = np.flatnonzero(~np.isfinite(frame[name].to_numpy()))
            if len(bad):
                when = iso(int(frame["timestamp"].iloc[bad[0]]))
                raise UserError(f"fold {fold}: {name} of {symbol} at {when} is no number; look at the candles there")
