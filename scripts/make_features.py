"""Rule make_features: causal features of all symbols, each from its candles and the others' mean relative return."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import write_parquet
from common.job import job, say
from common.plug_ins import PlugIn
from forecasting.leaks import check_passed
from market.candles import read_candles
from market.features import Feature, compute_features
from market.indicators import relative_returns
from market.intervals import step_ms
from market.plug_in_features import load_features
from market.warmup import warm_up


def make_features(
    outputs: Sequence[str],
    candles: Sequence[str],
    spans: Sequence[int],
    interval: str,
    extra: Sequence[PlugIn] = (),
    trials: Sequence[str] = (),
) -> None:
    """Write the features of the symbol of each file `candles`, to the file of `outputs` at its place. A symbol's depend
    on all others, so a job each would read them all each time.

    extra: features of the user's own. trials: results of leak trials, where the config insists that they pass. Raises
    UserError when a symbol has no contiguous segment longer than the warm-up, a trial was not passed, or a function of
    the user's fails.
    """
    check_passed(trials, [feature.name for feature in extra])
    frames = features_of_all(candles, spans, interval, load_features(extra))
    for output, path, frame in zip(outputs, candles, frames, strict=True):
        write_parquet(output, frame)
        count = frame["segment"].iloc[-1] + 1
        say(f"make_features: {Path(path).stem}, {len(frame)} rows in {count} contiguous segment(s)")


def features_of_all(
    candles: Sequence[str], spans: Sequence[int], interval: str, extra: Sequence[Feature]
) -> Iterator[pd.DataFrame]:
    """The features of each symbol, of these candle files. Raises UserError when no segment of one is longer than the
    warm-up."""
    means = others_relative_returns(candles, max(spans), interval)
    for path, mean in zip(candles, means, strict=True):
        symbol_candles = read_candles(path, interval)
        others = mean if len(candles) > 1 else None
        frame = compute_features(symbol_candles, others, spans, step_ms(interval), extra)
        if frame.empty:
            raise UserError(
                f"{path}: insufficient history: none of its {len(symbol_candles)} bars follow {warm_up(spans)} bars "
                "without a gap or a frozen price, the warm-up that features.spans need; give more days or shorter spans"
            )
        yield frame


def others_relative_returns(paths: Sequence[str], span: int, interval: str) -> Iterator[pd.DataFrame]:
    """For each symbol `timestamp, relative_return`: the mean over the other symbols of each bar's relative return.

    That is `market.indicators.relative_returns` over `span` bars: in units of each symbol's volatility, so that a
    volatile symbol counts no more than a quiet one. A bar has the mean of the symbols that have a value there; one at
    which none has is left out.
    """
    series = [_relative_returns(path, span, interval) for path in paths]
    timestamp = np.unique(np.concatenate([times for times, _ in series]))
    relative = np.zeros((len(series), len(timestamp)))
    valid = np.zeros((len(series), len(timestamp)), dtype=bool)
    for place, (times, values) in enumerate(series):
        rows = np.searchsorted(timestamp, times)
        relative[place, rows], valid[place, rows] = values, True
    count, earlier = valid.sum(axis=0), np.zeros(len(timestamp))
    for place, own in enumerate(relative):
        # summed in their order: the last bits of a difference to the sum of all would be others
        total, number = sum(relative[place + 1 :], earlier), count - valid[place]
        known = number > 0
        yield pd.DataFrame({"timestamp": timestamp[known], "relative_return": total[known] / number[known]})
        earlier = earlier + own


def _relative_returns(path: str, span: int, interval: str) -> tuple[np.ndarray, np.ndarray]:
    """Open times (ms) and relative returns of the bars that have one."""
    bars = read_candles(path, interval, ["timestamp", "close"])
    timestamp = bars["timestamp"].to_numpy()
    relative = relative_returns(timestamp, bars["close"].to_numpy(), span, step_ms(interval))
    valid = np.isfinite(relative)
    return timestamp[valid], relative[valid]


if __name__ == "__main__":
    with job() as snakemake:
        make_features(
            outputs=list(snakemake.output),
            candles=list(snakemake.input.candles),
            spans=snakemake.params.spans,
            interval=snakemake.params.interval,
            extra=[PlugIn(*one) for one in snakemake.params.extra],
            trials=list(snakemake.input.trials),
        )
