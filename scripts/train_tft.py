"""Rule train_tft: one TFT for one fold and seed, on that fold's training span alone."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from common.files import fingerprint, read_json, write_csv
from common.job import job, say
from forecasting.bars import InsufficientHistoryError
from forecasting.folds import FoldScheme
from forecasting.task import Task
from forecasting.tft import checkpoint, training
from forecasting.tft.training_set import initial_network, read_training_set
from market.intervals import iso


def train_tft(
    output: str,
    curve: str,
    features: list[str],
    candles: list[str],
    cutoff: str,
    member: str,
    corrects: bool,
    fold: str,
    seed: int,
    task: Task,
    scheme: FoldScheme,
    settings: dict[str, Any],
    threads: int,
    code: Sequence[str] = (),
) -> None:
    """Train on the features before the fold's training end; write the checkpoint and its training curve (CSV).

    features, candles: one file a symbol, and `cutoff`, of the training cutoff. corrects: the member corrects the
    LHAR-FHS; else it forecasts directly. settings: the config's section `tft`, without its seeds and threads.

    A killed training is resumed, from a folder beside `output` that is named by a fingerprint of its inputs, among them
    the modules in `code`. Where a symbol has too few bars for the HAR, the member is skipped: the checkpoint holds the
    reason, and the curve has no rows. Raises UserError when the span holds too few windows.
    """
    torch.set_num_threads(threads)
    part = scheme.fold(fold, read_json(cutoff)["as_of"], task.bar_ms)
    title = f"train {member} fold {fold} seed {seed}"
    try:
        data = read_training_set(features, candles, part, scheme, task, settings, corrects)
    except InsufficientHistoryError as short:
        checkpoint.save_skipped(output, f"insufficient history: {short}")
        write_csv(curve, pd.DataFrame(columns=training.CURVE))
        say(f"{title}: skipped (insufficient history: {short})")
        return
    origins = data.origins
    say(
        f"{title}: {len(origins.fit)} training windows before {iso(origins.fit_end)}, "
        f"{len(origins.validation)} validation windows"
    )

    network, hyper = initial_network(data, settings, seed)
    params = part.train_end, scheme.validation_fraction, asdict(task), settings
    inputs = fingerprint([*features, *candles, *code], *params)
    run = training.Run(seed, title, Path(output).parent / f".resume-{member}-seed{seed}-{inputs}")
    loss = training.fit(network, data.panel, origins, settings, run).loss

    metadata = {"member": member, "fold": fold, "seed": seed} | asdict(task) | {"settings": settings}
    metadata |= {"train_end": part.train_end, "fit_end": origins.fit_end, "validation_loss": loss}
    model = checkpoint.TrainedModel(network, data.scaler, data.features, task.quantile_levels, metadata)
    checkpoint.save(output, model, hyper)
    write_csv(curve, training.curve(run.folder))
    for finished in run.folder.parent.glob(f".resume-{member}-seed{seed}-*"):
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
            corrects=snakemake.params.corrects,
            fold=snakemake.wildcards.fold,
            seed=int(snakemake.wildcards.seed),
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            settings=snakemake.params.tft,
            threads=snakemake.threads,
            code=list(snakemake.input.code),
        )
