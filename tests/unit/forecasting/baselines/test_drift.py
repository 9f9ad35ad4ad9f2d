"""The direction of returns: found where a market has one, and none where it has none; no look-ahead."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecasting.bars import Bars
from forecasting.baselines.drift import drift
from forecasting.baselines.har_fhs import lhar_fhs
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.baselines.momentum import fit_momentum
from forecasting.baselines.panel import Panel
from forecasting.baselines.reaction import FADE, Reaction, fit_reaction, regressors
from forecasting.ensemble.ticks import round_to_ticks
from forecasting.losses import pinball
from forecasting.task import Task
from market.intervals import DAY, MINUTE
from support.markets import StochasticVolatility, bouncing, poisoned, trending

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
HORIZON = 60
TASK = Task("1m", lookback=1, horizon=HORIZON, quantile_levels=LEVELS)
SETTINGS = BaselineSettings(ewma_halflife=60, drift_halflife=240, refit_bars=None)
DAYS = 15
FITTED = DAYS * DAY // MINUTE
ORIGINS = np.arange(FITTED + 10, FITTED + 2800, 7)


def panel_of(*frames: pd.DataFrame, horizon: int = HORIZON) -> Panel:
    return Panel.of([Bars.of(frame, MINUTE) for frame in frames], horizon)


def series_of(frames: list[pd.DataFrame], origins: np.ndarray = ORIGINS) -> list[SymbolSeries]:
    """Fitted on the first FITTED bars."""
    bars = [Bars.of(frame, MINUTE) for frame in frames]
    return [SymbolSeries(one.before(int(one.timestamp[FITTED])), one, origins) for one in bars]


@pytest.fixture(scope="module")
def momentum_market() -> list[tuple[pd.DataFrame, np.ndarray]]:
    return [trending(FITTED + 3000, seed, drift=0.04) for seed in (1, 2)]


@pytest.fixture(scope="module")
def bounce() -> pd.DataFrame:
    return bouncing(FITTED + 3000, seed=1)


def test_the_forecast_holds_most_of_a_momentum_s_drift(
    momentum_market: list[tuple[pd.DataFrame, np.ndarray]],
) -> None:
    """At least 60 % of the R² that the law of the process allows, at the last step."""
    forecasts = drift(series_of([frame for frame, _ in momentum_market]), TASK, SETTINGS)
    decay = 0.5 ** (np.arange(HORIZON) / 30.0)
    for (_, expected), forecast in zip(momentum_market, forecasts, strict=True):
        lawful = 1e-3 * expected[ORIGINS + 1] * decay.sum()
        shift = forecast[:, -1, LEVELS.index(0.5)]
        assert 1 - np.mean((shift - lawful) ** 2) / np.mean(lawful**2) > 0.6


def test_the_spread_is_that_of_the_leverage_har(momentum_market: list[tuple[pd.DataFrame, np.ndarray]]) -> None:
    series = series_of([frame for frame, _ in momentum_market])
    for one, forecast in zip(series, drift(series, TASK, SETTINGS), strict=True):
        np.testing.assert_allclose(forecast - forecast[..., [2]], lhar_fhs(one, TASK, SETTINGS), atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_a_market_without_direction_gets_the_forecast_without_one(seed: int) -> None:
    market = StochasticVolatility(memory=0.995, noise=0.1, swing=0.3)
    series = series_of([market.candles(FITTED + 3000, 2 * seed + k) for k in (0, 1)])
    for one, forecast in zip(series, drift(series, TASK, SETTINGS), strict=True):
        assert forecast.tobytes() == lhar_fhs(one, TASK, SETTINGS).tobytes()


def test_reversal_is_no_momentum() -> None:
    assert fit_momentum(panel_of(trending(FITTED, 1, drift=0.06)[0])) is not None
    assert fit_momentum(panel_of(trending(FITTED, 1, drift=-0.06)[0])) is None


def test_momentum_that_one_of_two_symbols_has_is_not_taken_for_all() -> None:
    """It must show in the market and beside it: here the second symbol reverts as much as the first one trends."""
    frames = [trending(FITTED, 1, drift=0.06)[0], trending(FITTED, 2, drift=-0.06)[0]]
    assert fit_momentum(panel_of(*frames)) is None


def test_momentum_of_half_the_history_is_not_taken() -> None:
    trend, walk = trending(FITTED // 2, 1, drift=0.08)[0], trending(FITTED // 2, 2, drift=-0.01)[0]
    level = trend["close"].iloc[-1] / 100
    later = walk.assign(timestamp=walk["timestamp"] + FITTED // 2 * MINUTE)
    later[["open", "high", "low", "close"]] *= level
    assert fit_momentum(panel_of(trend)) is not None
    assert fit_momentum(panel_of(pd.concat([trend, later], ignore_index=True))) is None


def test_a_bounce_is_forecast(bounce: pd.DataFrame) -> None:
    (one,) = series = series_of([bounce])
    (forecast,) = drift(series, TASK, SETTINGS)
    realised = one.bars.paths(ORIGINS, HORIZON)
    shift, outcome = forecast[..., LEVELS.index(0.5)], realised
    r_squared = 1 - ((outcome - shift) ** 2).sum(axis=0) / (outcome**2).sum(axis=0)
    assert r_squared[0] > 0.1
    # what bounces back stays: the close was not the price
    assert 0 < r_squared[-1] < r_squared[0]
    # at prices that can occur: the median of a price that mostly stands still is no change
    close = bounce["close"].to_numpy()[ORIGINS]
    losses = [
        pinball(realised, round_to_ticks(quantiles, close, 0.1), LEVELS).mean(axis=(0, 2))
        for quantiles in (forecast, lhar_fhs(one, TASK, SETTINGS))
    ]
    assert losses[0].mean() < losses[1].mean()
    assert losses[0][:5].mean() < 0.99 * losses[1][:5].mean()


def test_what_comes_after_an_origin_changes_no_byte(
    momentum_market: list[tuple[pd.DataFrame, np.ndarray]], bounce: pd.DataFrame
) -> None:
    for frames in ([frame for frame, _ in momentum_market], [bounce]):
        last = int(frames[0]["timestamp"][ORIGINS[200]])
        clean, spoilt = (
            drift(series_of(given), TASK, SETTINGS) for given in (frames, [poisoned(frame, last) for frame in frames])
        )
        for one, two in zip(clean, spoilt, strict=True):
            assert (one[..., 2] != 0).any()
            assert one[:201].tobytes() == two[:201].tobytes()
            assert one[201:].tobytes() != two[201:].tobytes()


def test_a_history_too_short_to_agree_gives_no_direction(bounce: pd.DataFrame) -> None:
    """Eight clusters of a day at least."""
    short, enough = (panel_of(bounce.iloc[: days * DAY // MINUTE]) for days in (7, 12))
    assert not any(map(len, fit_reaction(short, None).steps))
    assert fit_reaction(enough, None).steps[0][0] == 1


def test_a_shift_is_linear_between_the_steps_and_fades_after_the_last(bounce: pd.DataFrame) -> None:
    panel = panel_of(bounce.iloc[:500], horizon=40)
    count = regressors(panel, 0).shape[1]
    slopes = np.zeros((2, count))
    slopes[:, 0] = 0.3, 0.2
    rows = np.array([300, 301, 302])
    shifts = Reaction((np.array([2, 4]),), (slopes,)).shifts(panel, rows, 0)
    unit = panel.scale[rows, 0] * regressors(panel, 0)[rows, 0]
    at = {1: 0.5 * 0.3 * 2**0.5, 2: 0.3 * 2**0.5, 3: (0.3 * 2**0.5 + 0.2 * 2) / 2, 4: 0.4}
    last = 4 * (1 + FADE)
    at |= {16: 0.4 * (1 - 12 / (last - 4)), last: 0.0, 40: 0.0}
    for step, expected in at.items():
        np.testing.assert_allclose(shifts[:, step - 1], unit * expected, atol=1e-15)


def test_returns_over_a_gap_are_not_fitted(bounce: pd.DataFrame) -> None:
    panel = panel_of(bounce.drop(index=range(1000, 1100)).reset_index(drop=True))
    assert np.isnan(panel.shock[1000, 0])
    assert not panel.ahead(np.array([999]), 1)[0]
    assert panel.ahead(np.array([998, 1000]), 1).all()


def test_a_symbol_that_is_listed_later_does_not_hide_the_others() -> None:
    frames = [trending(FITTED, seed, drift=0.06)[0] for seed in (1, 2, 3)]
    late = frames[2].iloc[FITTED - 2000 :]
    found = fit_momentum(panel_of(*frames[:2], late))
    assert found is not None
    assert found.slope == pytest.approx(fit_momentum(panel_of(*frames[:2])).slope, rel=0.2)  # type: ignore[union-attr]


def test_a_frozen_price_has_no_direction() -> None:
    frame = bouncing(FITTED, seed=1)
    frozen = frame.assign(open=100.0, high=100.0, low=100.0, close=100.0)
    panel = panel_of(frame, frozen)
    assert np.isfinite(panel.scale).all()
    assert not np.nan_to_num(panel.shock[:, 1]).any()
    assert not fit_reaction(panel, None).shifts(panel, np.array([5000]), 1).any()


def test_momentum_of_the_market_alone_is_not_taken() -> None:
    """It must show in what symbols do beside the market, too."""
    market, beside = (panel_of(trending(FITTED, seed, drift=drift)[0]).shock for seed, drift in ((1, 0.08), (2, -0.01)))
    panel = panel_of(*(trending(FITTED, seed, drift=0.0)[0] for seed in (1, 2)))
    both = replace(panel, shock=np.column_stack([market + 0.5 * beside, market - 0.5 * beside]))
    assert fit_momentum(replace(panel_of(trending(FITTED, 1, drift=0.0)[0]), shock=market)) is not None
    assert fit_momentum(both) is None


def test_a_bounce_that_ended_is_not_taken(bounce: pd.DataFrame) -> None:
    """In the last of four spans the closes are those of a walk."""
    walk = StochasticVolatility(memory=0.0, noise=0.0).candles(FITTED // 4, seed=3)
    prices = ["open", "high", "low", "close"]
    early = bounce.iloc[: FITTED - len(walk)]
    late = walk.assign(timestamp=early["timestamp"].iloc[-1] + MINUTE * np.arange(1, len(walk) + 1))
    late[prices] *= early["close"].iloc[-1] / walk["open"].iloc[0]
    assert 1 in fit_reaction(panel_of(early), None).steps[0]
    assert not len(fit_reaction(panel_of(pd.concat([early, late], ignore_index=True)), None).steps[0])
