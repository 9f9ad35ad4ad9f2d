"""Rule predict_tft: the TFT's quantile paths at all of a fold's test origins, or at the live origin, in one pass."""

import numpy as np
import torch

from common.errors import UserError
from common.files import read_json, read_parquet, write_parquet
from common.job import job, say
from forecasting import checkpoint, tft
from forecasting.folds import fold_origins, make_fold
from forecasting.quantiles import average, forecast_table
from forecasting.windows import Panel, feature_columns
from market.intervals import step_ms


def predict_tft(
    output: str,
    models: list[str],
    features: list[str],
    pin: str,
    fold: str,
    symbols: list[str],
    interval: str,
    lookback: int,
    horizon: int,
    levels: list[float],
    folds: dict[str, int],
    stride: int,
    threads: int,
) -> None:
    """Write the forecasts of one fold: the mean over seeds of each quantile, then sorted; crossings are counted.

    models: one checkpoint a seed. features: one file a symbol, in the order of `symbols`, of the training pin for a
    test fold and of the live pin for fold "live". pin: that pin.
    """
    torch.set_num_threads(threads)
    step = step_ms(interval)
    part = make_fold(fold, read_json(pin)["as_of"], step, **folds)
    frames = [read_parquet(path) for path in features]
    trained = [checkpoint.load(path) for path in models]
    for path, model in zip(models, trained, strict=True):
        if model.features != feature_columns(frames[0]):
            raise UserError(f"{path}: trained on other features than {features[0]} has; delete it and run again")
    rows = fold_origins(frames, symbols, part, step, lookback, horizon, stride)

    # each model has scalers of its own, so a panel of its own
    panels = [Panel(frames, model.scaler, step, lookback, horizon) for model in trained]
    origins = np.concatenate([start + own for start, own in zip(panels[0].starts, rows, strict=False)])
    said = [tft.predict(model.network, panel, origins) for model, panel in zip(trained, panels, strict=True)]
    counts = np.cumsum([len(own) for own in rows])[:-1]
    table = forecast_table(
        symbols, [panels[0].timestamp[o] for o in np.split(origins, counts)], np.split(average(said), counts), levels
    )
    write_parquet(output, table)
    say(f"predict_tft: fold {fold}: {len(origins)} origins, {table.attrs['crossings']} crossings sorted")


if __name__ == "__main__":
    with job() as snakemake:
        predict_tft(
            output=snakemake.output.forecasts,
            models=list(snakemake.input.models),
            features=list(snakemake.input.features),
            pin=snakemake.input.pin,
            fold=snakemake.wildcards.fold,
            symbols=snakemake.params.symbols,
            interval=snakemake.params.interval,
            lookback=snakemake.params.lookback,
            horizon=snakemake.params.horizon,
            levels=snakemake.params.quantiles,
            folds=snakemake.params.folds,
            stride=snakemake.params.stride,
            threads=snakemake.threads,
        )
