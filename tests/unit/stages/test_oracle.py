"""The oracle on a real market: with the realised volatility it beats every baseline; it does not forecast direction."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.bars import Bars
from forecasting.baselines.fhs import symmetric_quantiles
from forecasting.baselines.har import FLOOR
from forecasting.baselines.interface import BaselineSettings
from forecasting.folds import FoldScheme
from forecasting.losses import covered, pinball
from forecasting.members import BASELINES
from forecasting.quantiles import read_forecasts
from forecasting.realised import log_closes, realised_of
from forecasting.split import FoldFiles
from forecasting.task import Task
from market.intervals import MINUTE, step_ms
from predict_baselines import predict_baselines
from predict_oracle import predict_oracle, realised_volatility
from support.markets import StochasticVolatility, poisoned, write_cutoff, write_symbols

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
HORIZON = 12
TASK = Task("1m", lookback=24, horizon=HORIZON, quantile_levels=LEVELS)


def test_the_oracle_by_hand() -> None:
    frame = StochasticVolatility(memory=0.9, noise=0.5).candles(1200, seed=1)
    bars, step = Bars.of(frame, MINUTE), 3
    end, origin = int(bars.timestamp[1000]), bars.timestamp[[1010, 1100]]
    quantiles = realised_volatility(bars, origin, end, TASK)
    floor = FLOOR * bars.variance[:1000].mean()

    def deviation(row: int) -> float:
        return float(np.sqrt((bars.variance[row + 1 : row + 1 + step] + floor).sum()))

    rows = np.arange(1000 - HORIZON)
    moves = bars.log_close[rows + step] - bars.log_close[rows]
    relative = symmetric_quantiles((moves / [deviation(row) for row in rows.tolist()])[:, None], LEVELS)[0]
    expected = [deviation(row) * relative for row in (1010, 1100)]
    np.testing.assert_allclose(quantiles[:, step - 1], expected, rtol=1e-9)


def test_the_oracle_does_not_see_beyond_the_horizon() -> None:
    frame = StochasticVolatility().candles(1200, seed=2)
    end, row = int(frame["timestamp"][1000]), 1100
    origin = np.array([int(frame["timestamp"][row])])
    last = int(frame["timestamp"][row + HORIZON])
    one, two, three = (
        realised_volatility(Bars.of(candles, MINUTE), origin, end, TASK)
        for candles in (frame, poisoned(frame, last), poisoned(frame, last - MINUTE))
    )
    np.testing.assert_allclose(one, two, rtol=1e-9)
    assert not np.allclose(one[:, -1], three[:, -1])
    np.testing.assert_allclose(one[:, :-1], three[:, :-1], rtol=1e-9)


@pytest.mark.parametrize(
    "folder, interval, symbols",
    [
        ("binance-spot-1h-2020-2025", "1h", ["BNBUSDT", "XRPUSDT"]),
        ("binance-spot-1m-2023", "1m", ["BTCUSDT", "SOLUSDT"]),
    ],
)
def test_on_real_candles_it_beats_every_baseline(
    folder: str, interval: str, symbols: list[str], shared_data: Path, tmp_path: Path
) -> None:
    bar_ms = step_ms(interval)
    frames = {
        name: pd.read_parquet(shared_data / "candles" / folder / f"{name}.parquet").iloc[-8000:].reset_index(drop=True)
        for name in symbols
    }
    paths, as_of = write_symbols(tmp_path, frames, bar_ms), int(frames[symbols[0]]["timestamp"].iloc[-1]) + bar_ms
    cutoff, scheme, task = (
        write_cutoff(tmp_path, as_of),
        FoldScheme(1, 2000, HORIZON, 0.2),
        replace(TASK, interval=interval),
    )
    files = {name: str(tmp_path / f"{name}.parquet") for name in [*BASELINES, "oracle"]}
    inputs = FoldFiles("0", paths["features"], paths["features"], paths["candles"], [], cutoff, cutoff)
    settings = BaselineSettings(ewma_halflife=60, drift_halflife=240, refit_bars=None)
    predict_baselines({name: files[name] for name in BASELINES}, {}, inputs, task, scheme, 3, settings)
    reference, exchange = files["random_walk"], {"id": "replay"}
    predict_oracle(files["oracle"], reference, paths["candles"], cutoff, "0", exchange, task, scheme)
    forecasts = {name: read_forecasts(path, HORIZON, LEVELS) for name, path in files.items()}
    oracle = forecasts["oracle"]
    realised = realised_of(oracle, log_closes(paths["candles"]), bar_ms)
    for rows in oracle.rows().values():
        assert rows.stop - rows.start > 500
        losses = {
            name: pinball(realised[rows], member.quantiles[rows], LEVELS).mean() for name, member in forecasts.items()
        }
        # volatility is worth several percent over any member; direction it does not know
        assert losses.pop("oracle") < 0.97 * min(losses.values())
        quantiles = oracle.quantiles[rows]
        assert (quantiles[..., 2] == 0).all()
        coverage = covered(realised[rows], quantiles[..., 0], quantiles[..., 4]).mean()
        assert coverage == pytest.approx(0.9, abs=0.03)
