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


def make_features(output: str, candles: str, others: list[str], spans: list[int], interval: str) -> None:
    """Write the features of the symbol of `candles`; `others` are the candle files of the run's other symbols.

    Raises UserError when no unbroken run of bars is long enough to be warm.
    """
    step = step_ms(interval)
    own = read_candles(candles, interval)
    frame = indicators.features(own, mean_return(others, interval) if others else None, spans, step)
    if frame.empty:
        raise UserError(
            f"{candles}: no unbroken run of more than {indicators.warm_up(spans)} moving bars among its {len(own)}, "
            "which features.spans need to warm up; give more days, shorter spans, or a whole candle file"
        )
    write_parquet(output, frame)
    say(f"make_features: {Path(candles).stem}, {len(frame)} rows, {frame['segment'].iloc[-1] + 1} unbroken run(s)")


def mean_return(paths: list[str], interval: str) -> pd.DataFrame:
    """`timestamp, log_return`: the mean over the given symbols of each bar's log return, where they have that bar.

    A return over a gap is none.
    """
    step = step_ms(interval)
    returns = []
    for path in paths:
        bars = read_candles(path, interval)
        timestamp = bars["timestamp"].to_numpy()
        follows = np.diff(timestamp, prepend=timestamp[0]) == step
        changes = np.where(follows, indicators.log_returns(bars["close"].to_numpy()), np.nan)
        returns.append(pd.Series(changes, index=timestamp))
    mean = returns[0] if len(returns) == 1 else pd.concat(returns, axis=1, sort=True).mean(axis=1)
    return pd.DataFrame({"timestamp": mean.index.to_numpy(), "log_return": mean.to_numpy()})


if __name__ == "__main__":
    with job() as snakemake:
        make_features(
            output=snakemake.output.features,
            candles=snakemake.input.candles,
            others=list(snakemake.input.others),
            spans=snakemake.params.spans,
            interval=snakemake.params.interval,
        )
