"""Rule train_tft: one TFT for one fold and seed, on that fold's training span alone."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from common.errors import UserError
from common.files import read_json, read_parquet, write_csv
from common.job import job, say
from forecasting import checkpoint, tft, training
from forecasting.correction import fit_base, fit_hars, with_inputs
from forecasting.folds import make_fold, validation_fold
from forecasting.members import TFT
from forecasting.volatility import Bars, TooShortError, first_bar
from forecasting.windows import Panel, Split, feature_columns, fit_scaler, split
from market.candles import read_candles
from market.intervals import iso, step_ms


def train_tft(
    output: str,
    curve: str,
    features: list[str],
    candles: list[str],
    pin: str,
    member: str,
    fold: str,
    seed: int,
    interval: str,
    lookback: int,
    horizon: int,
    levels: list[float],
    folds: dict[str, int],
    model: dict[str, Any],
    threads: int,
    code: Sequence[str] = (),
) -> None:
    """Train on the features before the fold's training end; write the checkpoint and its training curve (CSV).

    features: one file a symbol. candles: likewise. pin: the training pin.
    member: "tft" corrects the HAR, "tft_raw" speaks for itself. folds: count, test_bars, embargo. model: the config's
    section, without its seeds and threads.
    A killed training goes on where it was, from a folder beside `output` that is named by what identifies it, the
    modules in `code` included.
    Raises UserError when the span holds too few windows.
    """
    torch.set_num_threads(threads)
    step = step_ms(interval)
    part = make_fold(fold, read_json(pin)["as_of"], step, **folds)
    # what lies after the training span is not even in memory
    frames = [_before(read_parquet(path), part.train_end) for path in features]
    bars = [Bars.of(read_candles(path, interval), step).before(part.train_end) for path in candles]
    inner = validation_fold(part, first_bar(bars), model["validation"], step)
    windows = split(frames, inner, step, lookback, horizon)
    _check(windows, fold, part.train_end, lookback, horizon, model["batch_size"])

    symbols = [Path(path).stem for path in features]
    _check_finite(frames, symbols, fold)

    base = None
    if member == TFT:
        try:
            hars = fit_hars(bars, windows.fit_end, horizon)
        except TooShortError as short:
            raise UserError(f"fold {fold}: before {iso(windows.fit_end)} {short}; give more days") from short
        frames = with_inputs(frames, bars, hars)
        base = fit_base(hars, bars, frames, windows.fit_end, levels)

    names = feature_columns(frames[0])
    scaler = fit_scaler([_before(frame, windows.fit_end) for frame in frames])
    panel = Panel(frames, scaler, step, lookback, horizon, training.device(model["device"]), symbols, base)
    title = f"train {member} fold {fold} seed {seed}"
    say(f"{title}: {len(windows.fit)} windows up to {iso(windows.fit_end)}, {len(windows.validation)} to validate")

    torch.manual_seed(seed)
    hyper = tft.hyperparameters(names, len(levels) + (base is not None), model, lookback)
    network = tft.build(hyper, levels)
    sample = windows.fit[:: 1 + len(windows.fit) // 20_000]
    tft.start_at(network, np.zeros(len(levels) + 1) if base else np.quantile(panel.targets(sample), levels))
    identity = _digest([*features, *candles, *code], part.train_end, lookback, horizon, levels, model)
    scratch = Path(output).parent / f".resume-{member}-seed{seed}-{identity}"
    loss = training.fit(network, panel, windows, model, seed, title, scratch)

    about = {
        "member": member,
        "fold": fold,
        "seed": seed,
        "interval": interval,
        "lookback": lookback,
        "horizon": horizon,
    }
    about |= {"train_end": part.train_end, "fit_end": windows.fit_end, "validation_loss": loss, "model": model}
    checkpoint.save(output, checkpoint.Trained(network, scaler, names, levels, about), hyper)
    write_csv(curve, training.curve(scratch))
    for finished in scratch.parent.glob(f".resume-{member}-seed{seed}-*"):
        shutil.rmtree(finished)


def _before(frame: pd.DataFrame, end: int) -> pd.DataFrame:
    """A sorted frame's rows before `end`, not copied."""
    return frame.iloc[: int(np.searchsorted(frame["timestamp"].to_numpy(), end))]


def _check(windows: Split, fold: str, train_end: int, lookback: int, horizon: int, batch_size: int) -> None:
    """Raise UserError when there is not a batch to fit on, or nothing to validate on."""
    fit, validation = len(windows.fit), len(windows.validation)
    if fit < batch_size or not validation:
        raise UserError(
            f"fold {fold}: the candles before {iso(train_end)} hold only {fit} unbroken windows of {lookback} + "
            f"{horizon} bars to fit on and {validation} to validate; "
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


def _digest(files: Sequence[str], *params: Any) -> str:
    """Short name of a training: of the bytes of its files and its parameters."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for path in files:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    with job() as snakemake:
        train_tft(
            output=snakemake.output.model,
            curve=snakemake.output.curve,
            features=list(snakemake.input.features),
            candles=list(snakemake.input.candles),
            pin=snakemake.input.pin,
            member=snakemake.wildcards.tft,
            fold=snakemake.wildcards.fold,
            seed=int(snakemake.wildcards.seed),
            interval=snakemake.params.interval,
            lookback=snakemake.params.lookback,
            horizon=snakemake.params.horizon,
            levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
            model=snakemake.params.model,
            threads=snakemake.threads,
            code=list(snakemake.input.code),
        )
