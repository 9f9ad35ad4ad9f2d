"""Rule interpret: which variables and which bars the TFT looks at, by symbol and regime, as the library tells it."""

import numpy as np
import pandas as pd
import torch

from common.files import read_json, read_parquet, write_csv
from common.job import job, say
from forecasting.bars import first_bar, read_bars
from forecasting.folds import fold_origins, make_fold, validation_fold
from forecasting.regimes import REGIMES, regimes
from forecasting.tft import checkpoint, correction
from forecasting.tft.network import QuantileTFT
from forecasting.tft.panel import Panel, feature_columns
from market.intervals import step_ms

MOST = 600  # windows that are looked at, all symbols together
BATCH = 64


def interpret(
    importance: str,
    attention: str,
    models: list[str],
    features: list[str],
    candles: list[str],
    cutoff: str,
    fold: str,
    symbols: list[str],
    interval: str,
    lookback: int,
    horizon: int,
    folds: dict[str, int],
    stride: int,
    share: float,
    threads: int,
) -> None:
    """Write what a fold's models look at in its test windows, the mean over seeds and windows, as two tables (CSV).

    importance: a row a symbol, regime, kind (encoder, decoder, static) and variable: its share of the selection's
    weights. attention: a row a symbol, regime and lag, in bars before the origin: its share of the first step's
    attention to the lookback. Shares of a symbol and regime add up to 1; `origins` is how many windows they are of.
    models: one checkpoint a seed. features, candles: one file a symbol, in the order of `symbols`, of the training
    `cutoff`. share: of the training span that validates.
    """
    torch.set_num_threads(threads)
    step = step_ms(interval)
    part = make_fold(fold, read_json(cutoff)["as_of"], step, **folds)
    frames = [read_parquet(path) for path in features]
    found = fold_origins(frames, symbols, part, step, lookback, horizon, stride)
    rows = [thinned(own, max(1, MOST // len(symbols))) for own in found]

    if correction.corrects(checkpoint.load(models[0]).features):
        bars, _ = read_bars(candles, [], interval)
        inner = validation_fold(part, first_bar(bars), share, step)
        frames = correction.with_inputs(frames, bars, correction.fit_hars(symbols, bars, inner.train_end, horizon))
    trained = [checkpoint.load_for(path, feature_columns(frames[0])) for path in models]
    looks = []
    for model in trained:
        panel = Panel(frames, model.scaler, step, lookback, horizon)
        origins = np.concatenate([start + own for start, own in zip(panel.starts, rows, strict=False)])
        looks.append(look(model.network, panel, origins))
    # the same windows for each seed
    told = {kind: pd.concat([own[kind] for own in looks]).groupby(level=0).mean() for kind in looks[0]}

    groups = pd.concat(
        [group(name, frame, own, part.train_end) for name, frame, own in zip(symbols, frames, rows, strict=True)],
        ignore_index=True,
    )
    write_csv(attention, means(groups, told.pop("attention"), "lag", "attention"))
    parts = [means(groups, shares, "variable", "importance").assign(kind=kind) for kind, shares in told.items()]
    table = pd.concat(parts).sort_values(["symbol", "regime"], kind="stable")
    write_csv(importance, table[["symbol", "regime", "origins", "kind", "variable", "importance"]])
    say(f"interpret: fold {fold}: {len(groups)} windows")


def thinned(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly spaced."""
    return rows[:: -(-len(rows) // most) or 1]


def group(symbol: str, features: pd.DataFrame, rows: np.ndarray, train_end: int) -> pd.DataFrame:
    """Symbol and regime of its origins, at `rows` of its features; regimes are of those before `train_end`."""
    scale = features["scale"].to_numpy()
    before = scale[features["timestamp"].to_numpy() < train_end]
    told = regimes(scale[rows], before) if len(rows) else np.array([])
    return pd.DataFrame({"symbol": symbol, "regime": pd.Categorical(told, REGIMES, ordered=True)})


@torch.no_grad()
def look(network: QuantileTFT, panel: Panel, origins: np.ndarray) -> dict[str, pd.DataFrame]:
    """Shares at each of the panel's `origins`: of each kind's variables [origins, variables], and attention
    [origins, lookback], its columns the lags in bars."""
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
        kind: pd.DataFrame(torch.cat([part[keys[kind]] for part in parts]).double().numpy(), columns=list(own))
        for kind, own in names.items()
        if len(own)
    }


def means(groups: pd.DataFrame, shares: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    """Mean of `shares` [n, columns] by the symbol and regime in `groups` [n], a row a column: its name in `column`."""
    grouped = shares.groupby([groups["symbol"], groups["regime"]], observed=True)
    wide = grouped.mean().assign(origins=grouped.size()).reset_index()
    keys = ["symbol", "regime", "origins"]
    return wide.melt(keys, var_name=column, value_name=value).sort_values(keys[:2], kind="stable")


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
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
            lookback=snakemake.params.lookback,
            horizon=snakemake.params.horizon,
            folds=snakemake.params.folds,
            stride=snakemake.params.stride,
            share=snakemake.params.validation_fraction,
            threads=snakemake.threads,
        )
