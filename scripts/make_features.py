"""Rule make_features: causal features of one symbol, from its candles and the other symbols' latest returns."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import write_parquet
from common.job import job, say
from market import indicators
from market.candles import read_candles
from market.intervals import step_ms
from market.warmup import warm_up


def make_features(output: str, candles: str, others: list[str], spans: list[int], interval: str) -> None:
    """Write the features of the symbol of `candles`; `others` are the candle files of the run's other symbols.

    Raises UserError when no unbroken run of bars is long enough to be warm.
    """
    step = step_ms(interval)
    own = read_candles(candles, interval)
    frame = indicators.features(own, mean_return(others, max(spans), interval) if others else None, spans, step)
    if frame.empty:
        raise UserError(
            f"{candles}: no unbroken run of more than {warm_up(spans)} moving bars among its {len(own)}, "
            "which features.spans need to warm up; give more days, shorter spans, or a whole candle file"
        )
    write_parquet(output, frame)
    say(f"make_features: {Path(candles).stem}, {len(frame)} rows, {frame['segment'].iloc[-1] + 1} unbroken run(s)")


def mean_return(paths: list[str], span: int, interval: str) -> pd.DataFrame:
    """`timestamp, relative_return`: the mean over the given symbols of each bar's log return, in units of its own size.

    That is `indicators.relative_returns` over `span` bars, so the wildest symbol counts no more than the calmest. A bar
    has the mean of the symbols that have a value there; one at which none has is left out.
    """
    # sum and count alone: a column for each of many symbols would take a lot of memory
    sums = pd.DataFrame({"total": [], "count": []}, index=pd.Index([], dtype="int64"), dtype="float64")
    for path in paths:
        bars = read_candles(path, interval, ["timestamp", "close"])
        timestamp = bars["timestamp"].to_numpy()
        relative = indicators.relative_returns(timestamp, bars["close"].to_numpy(), span, step_ms(interval))
        known = np.isfinite(relative)
        sums = sums.add(pd.DataFrame({"total": relative[known], "count": 1.0}, index=timestamp[known]), fill_value=0)
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
        )
