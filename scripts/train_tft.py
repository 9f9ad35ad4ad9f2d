"""Rule train_tft: one TFT for one fold and seed, on that fold's training span alone."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from common.files import fingerprint, read_json, write_csv
from common.job import job, say
from forecasting.bars import TooShortError
from forecasting.folds import make_fold
from forecasting.tft import checkpoint, training
from forecasting.tft.training_set import build_network, training_set
from market.intervals import iso, step_ms


def train_tft(
    output: str,
    curve: str,
    features: list[str],
    candles: list[str],
    cutoff: str,
    member: str,
    fold: str,
    seed: int,
    interval: str,
    lookback: int,
    horizon: int,
    quantile_levels: list[float],
    folds: dict[str, int],
    model: dict[str, Any],
    validation_fraction: float,
    threads: int,
    code: Sequence[str] = (),
) -> None:
    """Train on the features before the fold's training end; write the checkpoint and its training curve (CSV).

    features: one file a symbol. candles: likewise. cutoff: the training cutoff.
    member: "tft" corrects the HAR, "tft_raw" speaks for itself. folds: count, test_bars, embargo. model: the config's
    section, without its seeds and threads.
    A killed training goes on where it was, from a folder beside `output` that is named by what identifies it, the
    modules in `code` included. Where a symbol is too young for what is corrected the member sits out: the checkpoint
    says why, and the curve has no row.
    Raises UserError when the span holds too few windows.
    """
    torch.set_num_threads(threads)
    part = make_fold(fold, read_json(cutoff)["as_of"], step_ms(interval), **folds)
    title = f"train {member} fold {fold} seed {seed}"
    try:
        data = training_set(
            part, features, candles, member, interval, lookback, horizon, quantile_levels, model, validation_fraction
        )
    except TooShortError as short:
        checkpoint.save_absence(output, str(short))
        write_csv(curve, pd.DataFrame(columns=training.CURVE))
        say(f"{title}: sits out: {short}")
        return
    windows = data.windows
    say(f"{title}: {len(windows.fit)} windows up to {iso(windows.fit_end)}, {len(windows.validation)} to validate")

    network, hyper = build_network(data, model, seed)
    identity = fingerprint([*features, *candles, *code], part.train_end, lookback, horizon, quantile_levels, model)
    scratch = Path(output).parent / f".resume-{member}-seed{seed}-{identity}"
    loss = training.fit(network, data.panel, windows, model, seed, title, scratch).loss

    about = {
        "member": member,
        "fold": fold,
        "seed": seed,
        "interval": interval,
        "lookback": lookback,
        "horizon": horizon,
    }
    about |= {"train_end": part.train_end, "fit_end": windows.fit_end, "validation_loss": loss, "model": model}
    checkpoint.save(output, checkpoint.Trained(network, data.scaler, data.features, quantile_levels, about), hyper)
    write_csv(curve, training.curve(scratch))
    for finished in scratch.parent.glob(f".resume-{member}-seed{seed}-*"):
        shutil.rmtree(finished)


if __name__ == "__main__":
    with job() as snakemake:
        train_tft(
            output=snakemake.output.model,
            curve=snakemake.output.curve,
            features=list(snakemake.input.features),
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            member=snakemake.wildcards.tft,
            fold=snakemake.wildcards.fold,
            seed=int(snakemake.wildcards.seed),
            interval=snakemake.params.interval,
            lookback=snakemake.params.lookback,
            horizon=snakemake.params.horizon,
            quantile_levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
            model=snakemake.params.tft,
            validation_fraction=snakemake.params.validation_fraction,
            threads=snakemake.threads,
            code=list(snakemake.input.code),
        )
