"""Rule make_features: causal features of one symbol, from its candles and the other symbols' mean relative return."""

from collections.abc import Sequence
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
    output: str,
    candles: str,
    others: list[str],
    spans: list[int],
    interval: str,
    extra: Sequence[PlugIn] = (),
    trials: Sequence[str] = (),
) -> None:
    """Write the features of the symbol of `candles`; `others` are the candle files of the run's other symbols.

    extra: features of the user's own. trials: results of leak trials, where the config insists that they pass. Raises
    UserError when no contiguous segment is longer than the warm-up, a trial was not passed, or a function of the user's
    fails.
    """
    check_passed(trials, [feature.name for feature in extra])
    frame = features_of(candles, others, spans, interval, load_features(extra))
    write_parquet(output, frame)
    count = frame["segment"].iloc[-1] + 1
    say(f"make_features: {Path(candles).stem}, {len(frame)} rows in {count} contiguous segment(s)")


def features_of(
    candles: str, others: Sequence[str], spans: Sequence[int], interval: str, extra: Sequence[Feature]
) -> pd.DataFrame:
    """The features of the symbol of `candles`. Raises UserError when no segment is longer than the warm-up."""
    symbol_candles = read_candles(candles, interval)
    mean = mean_relative_return(others, max(spans), interval) if others else None
    frame = compute_features(symbol_candles, mean, spans, step_ms(interval), extra)
    if frame.empty:
        raise UserError(
            f"{candles}: insufficient history: none of its {len(symbol_candles)} bars follow {warm_up(spans)} bars "
            "without a gap or a frozen price, the warm-up that features.spans need; give more days or shorter spans"
        )
    return frame


def features_of_all(
    candles: Sequence[str], spans: Sequence[int], interval: str, extra: Sequence[Feature]
) -> list[pd.DataFrame]:
    """The features of each symbol, of these candle files."""
    return [
        features_of(path, [other for other in candles if other != path], spans, interval, extra) for path in candles
    ]


def mean_relative_return(paths: Sequence[str], span: int, interval: str) -> pd.DataFrame:
    """`timestamp, relative_return`: the mean over the given symbols of each bar's relative return.

    That is `market.indicators.relative_returns` over `span` bars: in units of each symbol's volatility, so that a
    volatile symbol counts no more than a quiet one. A bar has the mean of the symbols that have a value there; one at
    which none has is left out.
    """
    # sum and count alone: a column for each of many symbols would take a lot of memory
    sums = pd.DataFrame({"total": [], "count": []}, index=pd.Index([], dtype="int64"), dtype="float64")
    for path in paths:
        bars = read_candles(path, interval, ["timestamp", "close"])
        timestamp = bars["timestamp"].to_numpy()
        relative = relative_returns(timestamp, bars["close"].to_numpy(), span, step_ms(interval))
        valid = np.isfinite(relative)
        sums = sums.add(pd.DataFrame({"total": relative[valid], "count": 1.0}, index=timestamp[valid]), fill_value=0)
    mean = sums["total"] / sums["count"]
    return pd.DataFrame({"timestamp": mean.index.to_numpy(), "relative_return": mean.to_numpy()})


if __name__ == "__main__":
    with job() as snakemake:
        make_features(
            output=snakemake.output.features,
            candles=snakemake.input.candles,
            others=list(snakemake.input.others),
            spans=snakemake.params.spans,
            interval=snakemake.params.interval,
            extra=[PlugIn(*one) for one in snakemake.params.extra],
            trials=list(snakemake.input.trials),
        )
