"""Rule interpret: the TFT's variable importance and attention, by symbol and volatility regime."""

import numpy as np
import pandas as pd
import torch

from common.files import write_csv
from common.job import job, say
from forecasting.folds import FoldScheme
from forecasting.regimes import REGIMES, regimes
from forecasting.split import FoldFiles, read_splits
from forecasting.task import Task
from forecasting.tft import checkpoint
from forecasting.tft.correction import fit_hars, is_correction, with_har_inputs
from forecasting.tft.datasets import thinned
from forecasting.tft.network import QuantileTFT, is_rejected
from forecasting.tft.panel import Panel, feature_columns

MOST = 600  # windows that are interpreted, of all symbols together
BATCH = 64
GROUP = ["symbol", "regime", "origins"]


def interpret(
    importance: str,
    attention: str,
    models: list[str],
    features: list[str],
    candles: list[str],
    cutoff: str,
    fold: str,
    task: Task,
    scheme: FoldScheme,
    stride: int,
    threads: int,
) -> None:
    """Write variable importance and attention in a fold's test windows, means over seeds and windows, as two CSVs.

    importance: a row a symbol, regime, kind (encoder, decoder, static) and variable: its share of the selection's
    weights. attention: a row a symbol, regime and lag, in bars before the origin: its share of the first step's
    attention to the lookback. Shares of a symbol and regime add up to 1; `origins` is the number of their windows.
    A seed whose correction was rejected in training is left out: its network was never used. Where all were, the tables
    have no rows.

    models: one checkpoint a seed. features, candles: one file a symbol, in one order of symbols, of the training
    `cutoff`. stride: bars between origins.
    """
    torch.set_num_threads(threads)
    correction = is_correction(checkpoint.load(models[0]).features)
    used = [path for path in models if not (correction and is_rejected(checkpoint.load(path).network))]
    if not used:
        write_csv(importance, pd.DataFrame(columns=[*GROUP, "kind", "variable", "importance"]))
        write_csv(attention, pd.DataFrame(columns=[*GROUP, "lag", "attention"]))
        say(f"interpret: fold {fold}: nothing to interpret, since no correction was significantly better in validation")
        return
    files = FoldFiles(fold, features, features, candles, [], cutoff, cutoff)
    validation, split = read_splits(files, task, scheme, stride)
    symbols, frames = split.symbols, split.features
    rows = [thinned(origins, max(1, MOST // len(symbols))) for origins in split.rows]
    if correction:
        hars = fit_hars(symbols, split.history, validation.fit_end, task.horizon)
        frames = with_har_inputs(frames, split.bars, hars)
    interpreted = []
    for model in [checkpoint.load_for(path, feature_columns(frames[0])) for path in used]:
        panel = Panel(frames, model.scaler, task)
        origins = np.concatenate([start + at for start, at in zip(panel.starts, rows, strict=False)])
        interpreted.append(shares(model.network, panel, origins))
    # the windows of all seeds are the same
    mean = {kind: pd.concat([one[kind] for one in interpreted]).groupby(level=0).mean() for kind in interpreted[0]}

    groups = pd.concat(
        [group(symbol, frame, at, split.fit_end) for symbol, frame, at in zip(symbols, frames, rows, strict=True)],
        ignore_index=True,
    )
    write_csv(attention, means(groups, mean.pop("attention"), "lag", "attention"))
    parts = [means(groups, table, "variable", "importance").assign(kind=kind) for kind, table in mean.items()]
    table = pd.concat(parts).sort_values(["symbol", "regime"], kind="stable")
    write_csv(importance, table[[*GROUP, "kind", "variable", "importance"]])
    say(f"interpret: fold {fold}: {len(groups)} windows")


def group(symbol: str, features: pd.DataFrame, rows: np.ndarray, train_end: int) -> pd.DataFrame:
    """Symbol and volatility regime of the origins at `rows` of the features; the regimes' bounds are of the rows before
    `train_end` (ms)."""
    volatility = features["scale"].to_numpy()
    training = volatility[features["timestamp"].to_numpy() < train_end]
    names = regimes(volatility[rows], training) if len(rows) else np.array([])
    return pd.DataFrame({"symbol": symbol, "regime": pd.Categorical(names, REGIMES, ordered=True)})


@torch.no_grad()
def shares(network: QuantileTFT, panel: Panel, origins: np.ndarray) -> dict[str, pd.DataFrame]:
    """Shares at each of the panel's `origins`, by pytorch-forecasting's `interpret_output`: importance of each kind's
    variables [origins, variables], and attention [origins, lookback], its columns the lags in bars."""
    network.eval()
    batches = [origins[at : at + BATCH] for at in range(0, len(origins), BATCH)]
    parts = [network.interpret_output(network(panel.windows(batch))) for batch in batches]
    names = {
        "attention": range(panel.lookback - 1, -1, -1),
        "encoder": network.encoder_variables,
        "decoder": network.decoder_variables,
        "static": network.static_variables,
    }
    keys = {kind: kind if kind == "attention" else f"{kind}_variables" for kind in names}
    return {
        kind: pd.DataFrame(torch.cat([part[keys[kind]] for part in parts]).double().numpy(), columns=list(columns))
        for kind, columns in names.items()
        if len(columns)
    }


def means(groups: pd.DataFrame, table: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    """Means of the table [n, columns] by the symbol and regime in `groups` [n], a row for each of its columns: the
    column's name in `column`, the mean in `value`."""
    grouped = table.groupby([groups["symbol"], groups["regime"]], observed=True)
    wide = grouped.mean().assign(origins=grouped.size()).reset_index()
    return wide.melt(GROUP, var_name=column, value_name=value).sort_values(GROUP[:2], kind="stable")


if __name__ == "__main__":
    with job() as snakemake:
        interpret(
            importance=snakemake.output.importance,
            attention=snakemake.output.attention,
            models=list(snakemake.input.models),
            features=list(snakemake.input.features),
            candles=list(snakemake.input.candles),
            cutoff=snakemake.input.cutoff,
            fold=snakemake.params.fold,
            task=Task(**snakemake.params.task),
            scheme=FoldScheme(**snakemake.params.folds),
            stride=snakemake.params.stride,
            threads=snakemake.threads,
        )
