"""The oracle on a real market: who knows the volatility to come beats every baseline, and no forecast of direction."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bars import Bars
from forecasting.baselines.fhs import symmetric_quantiles
from forecasting.baselines.har import FLOOR
from forecasting.losses import covered, pinball
from forecasting.members import BASELINES
from forecasting.quantiles import read_forecasts
from forecasting.realised import log_closes, realised_returns
from market.intervals import MINUTE, step_ms
from predict_baselines import predict_baselines
from predict_oracle import predict_oracle, realised
from support.markets import StochasticVolatility, poisoned, write_cutoff, write_symbols

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
HORIZON = 12


def test_the_oracle_by_hand() -> None:
    frame = StochasticVolatility(memory=0.9, noise=0.5).candles(1200, seed=1)
    bars, step = Bars.of(frame, MINUTE), 3
    end, origin = int(bars.timestamp[1000]), bars.timestamp[[1010, 1100]]
    told = realised(bars, origin, end, HORIZON, LEVELS)
    floor = FLOOR * bars.variance[:1000].mean()

    def deviation(row: int) -> float:
        return float(np.sqrt((bars.variance[row + 1 : row + 1 + step] + floor).sum()))

    rows = np.arange(1000 - HORIZON)
    moves = bars.log_close[rows + step] - bars.log_close[rows]
    relative = symmetric_quantiles((moves / [deviation(row) for row in rows.tolist()])[:, None], LEVELS)[0]
    expected = [deviation(row) * relative for row in (1010, 1100)]
    np.testing.assert_allclose(told[:, step - 1], expected, rtol=1e-9)


def test_what_comes_after_the_horizon_is_not_known_to_the_oracle_either() -> None:
    frame = StochasticVolatility().candles(1200, seed=2)
    end, row = int(frame["timestamp"][1000]), 1100
    origin = np.array([int(frame["timestamp"][row])])
    last = int(frame["timestamp"][row + HORIZON])
    one, two, three = (
        realised(Bars.of(own, MINUTE), origin, end, HORIZON, LEVELS)
        for own in (frame, poisoned(frame, last), poisoned(frame, last - MINUTE))
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
    step = step_ms(interval)
    frames = {
        name: pd.read_parquet(shared_data / "candles" / folder / f"{name}.parquet").iloc[-8000:].reset_index(drop=True)
        for name in symbols
    }
    paths, as_of = write_symbols(tmp_path, frames, step), int(frames[symbols[0]]["timestamp"].iloc[-1]) + step
    cutoff, folds = write_cutoff(tmp_path, as_of), {"count": 1, "test_bars": 2000, "embargo": HORIZON}
    files = {name: str(tmp_path / f"{name}.parquet") for name in [*BASELINES, "oracle"]}
    shared: dict[str, Any] = {
        "fold": "0",
        "symbols": symbols,
        "interval": interval,
        "horizon": HORIZON,
        "quantile_levels": LEVELS,
        "folds": folds,
    }
    predict_baselines(
        output={name: files[name] for name in BASELINES},
        validation={},
        features=paths["features"],
        train_features=paths["features"],
        candles=paths["candles"],
        live_candles=[],
        cutoff=cutoff,
        train_cutoff=cutoff,
        lookback=24,
        stride=3,
        share=0.2,
        settings={"ewma_halflife": 60, "drift_halflife": 240, "refit_bars": None},
        **shared,
    )
    predict_oracle(
        files["oracle"],
        files["random_walk"],
        candles=paths["candles"],
        cutoff=cutoff,
        exchange={"id": "replay"},
        **shared,
    )
    closes = log_closes(paths["candles"])
    told = {name: read_forecasts(path, HORIZON, LEVELS) for name, path in files.items()}
    for symbol, rows in told["oracle"].rows().items():
        came = realised_returns(closes[symbol], told["oracle"].origin[rows], step, HORIZON)
        loss = {name: pinball(came, own.quantiles[rows], LEVELS).mean() for name, own in told.items()}
        assert len(came) > 500
        oracle = loss.pop("oracle")
        # volatility is worth several percent, no matter of which member; direction it does not know
        assert oracle < 0.97 * min(loss.values())
        assert (told["oracle"].quantiles[rows][..., 2] == 0).all()
        inside = covered(came, told["oracle"].quantiles[rows][..., 0], told["oracle"].quantiles[rows][..., 4]).mean()
        assert inside == pytest.approx(0.9, abs=0.03)
