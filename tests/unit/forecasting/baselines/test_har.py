"""Season and HAR on markets of known volatility; no look-ahead; long intervals, frozen and short histories."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecasting.bars import Bars, InsufficientHistoryError, typical_variance
from forecasting.baselines.har import FLOOR, HAR_WINDOWS, SCALES, Season, fit_har, fit_season
from forecasting.baselines.har_fhs import har_fhs, lhar_fhs
from forecasting.baselines.interface import BaselineSettings, SymbolBaseline, SymbolSeries
from forecasting.baselines.shape import shape_regressors
from forecasting.baselines.simple import ewma_fhs
from forecasting.losses import covered, pinball
from forecasting.task import Task
from market.intervals import DAY, MINUTE, step_ms
from support.markets import START, StochasticVolatility, poisoned

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
HORIZON = 12
FIVE = 5 * MINUTE
EXTENDED = pytest.mark.parametrize("extended", [False, True])


TASK = Task("5m", lookback=1, horizon=HORIZON, quantile_levels=LEVELS)
SETTINGS = BaselineSettings(ewma_halflife=20, drift_halflife=60, refit_bars=None)


def test_a_bar_s_variance_is_the_mean_of_squared_return_and_parkinson() -> None:
    frame = StochasticVolatility().candles(50, seed=1).drop(index=20)
    bars = Bars.of(frame, MINUTE)
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    range_variance = np.log(high / low) ** 2 / (4 * np.log(2))
    squared_return = np.diff(np.log(close), prepend=np.nan) ** 2
    expected = (squared_return + range_variance) / 2
    # the first bar of a segment has no return
    expected[[0, 20]] = range_variance[[0, 20]]
    np.testing.assert_allclose(bars.variance, expected)
    assert np.unique(bars.segment).tolist() == [0, 1]


def test_season_by_hand() -> None:
    season = Season(slots=np.array([0.5, 1.5]), days=np.ones(7))
    quarter = DAY // 4
    assert season.at(quarter * np.arange(5)).tolist() == [0.5, 0.5, 1.5, 1.5, 0.5]
    # the bars that open at 6, 12, 18 and 24 o'clock
    assert season.ahead(np.array([0]), quarter, 4).tolist() == [[0.5, 2.0, 3.5, 4.0]]
    days = Season(slots=np.ones(1), days=np.arange(7.0))
    # START is a Monday
    assert days.at(START + DAY * np.arange(8)).tolist() == [0, 1, 2, 3, 4, 5, 6, 0]


def test_the_season_is_found() -> None:
    market = StochasticVolatility(memory=0.97, noise=0.05, swing=0.6, weekend=0.5, bar_ms=FIVE)
    season = fit_season(Bars.of(market.candles(90 * 288, seed=2), FIVE))
    assert len(season.slots) == 96
    slots = 1 + 0.6 * np.sin(2 * np.pi * (np.arange(96) + 0.5) / 96)
    np.testing.assert_allclose(season.slots, slots, atol=0.15)
    assert np.corrcoef(season.slots, slots)[0, 1] > 0.98
    assert season.days[5] / season.days[0] == pytest.approx(0.5, rel=0.25)
    assert season.slots.mean() == pytest.approx(1)
    assert season.days.mean() == pytest.approx(1)


def test_no_season_is_found_where_there_is_none() -> None:
    market = StochasticVolatility(memory=0.0, noise=0.0, bar_ms=FIVE)
    season = fit_season(Bars.of(market.candles(90 * 288, seed=3), FIVE))
    np.testing.assert_allclose(season.slots, 1, atol=0.15)
    np.testing.assert_allclose(season.days, 1, atol=0.05)


def test_one_volatile_day_makes_no_season() -> None:
    frame = StochasticVolatility(memory=0.0, noise=0.0, bar_ms=FIVE).candles(60 * 288, seed=4)
    bars = Bars.of(frame, FIVE)
    volatile = bars.variance.copy()
    volatile[2 * 288 : 2 * 288 + 72] *= 10_000  # a morning
    spoilt = fit_season(replace(bars, variance=volatile))
    assert np.abs(spoilt.slots[:24] - fit_season(bars).slots[:24]).max() < 0.15


def test_weekends_need_two_of_them() -> None:
    market = StochasticVolatility(memory=0.0, noise=0.0, weekend=0.2, bar_ms=60 * MINUTE)
    one, two = (fit_season(Bars.of(market.candles(24 * days, seed=5), market.bar_ms)).days for days in (7, 14))
    assert one.tolist() == [1.0] * 7
    assert two[5] / two[0] == pytest.approx(0.2, rel=0.3)


MARKET = StochasticVolatility(memory=0.985, noise=0.25, swing=0.6, weekend=0.6, bar_ms=FIVE)
FITTED, TESTED = 70 * 288, 25 * 288


@pytest.fixture(scope="module")
def market_bars() -> Bars:
    return Bars.of(MARKET.candles(FITTED + TESTED, seed=6), FIVE)


@EXTENDED
def test_har_recovers_a_log_autoregression_with_a_season(market_bars: Bars, extended: bool) -> None:
    har = fit_har(market_bars.before(int(market_bars.timestamp[FITTED])), HORIZON, extended)
    rows = np.arange(FITTED, FITTED + TESTED - HORIZON)
    forecast = np.log(har.deviation_from(har.regressors(market_bars)[rows], market_bars.timestamp[rows], FIVE))
    truth = np.log(MARKET.expected(rows, MARKET.log_variance(FITTED + TESTED, seed=6), HORIZON))
    # the bars show their variance with noise, so not all of R² can be had
    for step in (0, HORIZON - 1):
        gap = forecast[:, step] - truth[:, step]
        assert 1 - gap.var() / truth[:, step].var() > 0.85
    # deviations are proportional to the truth: the season's amplitude, too, is right
    slope = np.polyfit(forecast[:, -1], truth[:, -1], 1)[0]
    assert slope == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("member", [har_fhs, lhar_fhs])
def test_har_beats_ewma_and_covers_what_it_says(market_bars: Bars, member: SymbolBaseline) -> None:
    history = market_bars.before(int(market_bars.timestamp[FITTED]))
    origins = np.arange(FITTED, FITTED + TESTED - HORIZON, 3)
    realised = market_bars.paths(origins, HORIZON)
    series = SymbolSeries(history, market_bars, origins)
    har, ewma = (baseline(series, TASK, SETTINGS) for baseline in (member, ewma_fhs))
    losses = [pinball(realised, forecast, LEVELS).mean() for forecast in (har, ewma)]
    assert losses[0] < 0.99 * losses[1]
    assert covered(realised, har[..., 0], har[..., 4]).mean() == pytest.approx(0.9, abs=0.02)
    assert covered(realised, har[..., 1], har[..., 3]).mean() == pytest.approx(0.5, abs=0.03)


@EXTENDED
def test_a_row_s_regressors_are_blind_to_later_bars(extended: bool) -> None:
    frame = MARKET.candles(2000, seed=7).drop(index=range(900, 930))
    bars, row = Bars.of(frame, FIVE), 1500
    har = fit_har(bars.before(int(bars.timestamp[1000])), HORIZON, extended)
    other = Bars.of(poisoned(frame, int(bars.timestamp[row])), FIVE)
    before, after = har.regressors(bars), har.regressors(other)
    assert before[: row + 1].tobytes() == after[: row + 1].tobytes()
    assert (before[row + 1 :] != after[row + 1 :]).any(axis=1).all()


@EXTENDED
def test_the_har_is_fitted_on_nothing_but_the_bars_it_is_given(extended: bool) -> None:
    frame = MARKET.candles(2000, seed=8)
    end = int(frame["timestamp"][1200])
    frames = frame, poisoned(frame, end - 1)
    one, two = (fit_har(Bars.of(candles, FIVE).before(end), HORIZON, extended) for candles in frames)
    assert one.coefficients.tobytes() == two.coefficients.tobytes()


def test_scales_reach_no_further_than_a_quarter_of_the_history() -> None:
    bars = Bars.of(MARKET.candles(4 * 24 * HORIZON, seed=9), FIVE)
    assert fit_har(bars, HORIZON, extended=False).scales == tuple(k * HORIZON for k in SCALES[:5])
    assert len(fit_har(bars, HORIZON, extended=True).centre) == 5 + 3 + 9


@pytest.mark.parametrize("interval, slots", [("4h", 6), ("1d", 1), ("3d", 1), ("7d", 1)])
@EXTENDED
def test_long_intervals(interval: str, slots: int, extended: bool) -> None:
    step, rows = step_ms(interval), 1600
    market = StochasticVolatility(memory=0.95, noise=0.3, weekend=0.3 if step <= DAY else 1.0, bar_ms=step)
    bars = Bars.of(market.candles(rows, seed=10), step)
    history = bars.before(int(bars.timestamp[rows * 3 // 4]))
    season = fit_season(history)
    assert len(season.slots) == slots
    if step <= DAY:
        assert season.days[5] / season.days[0] == pytest.approx(0.3, rel=0.3)
    else:
        assert season.days.tolist() == [1.0] * 7
    origins = np.arange(rows * 3 // 4, rows - 5)
    member = lhar_fhs if extended else har_fhs
    forecast = member(SymbolSeries(history, bars, origins), Task(interval, 1, 5, LEVELS), SETTINGS)
    inside = covered(bars.paths(origins, 5), forecast[..., 0], forecast[..., 4]).mean()
    assert inside == pytest.approx(0.9, abs=0.07)


@EXTENDED
def test_frozen_bars_leave_everything_finite(extended: bool) -> None:
    frame = MARKET.candles(3000, seed=11)
    still = slice(1000, 1600)
    frame.loc[1000:1599, ["open", "high", "low", "close"]] = frame["close"][999]
    frame.loc[1000:1599, "volume"] = 0.0
    bars = Bars.of(frame, FIVE)
    assert (bars.variance[still] == 0).all()
    har = fit_har(bars, HORIZON, extended)
    regressors = har.regressors(bars)
    assert np.isfinite(regressors).all()
    scale = har.deviation_from(regressors, bars.timestamp, FIVE)
    assert np.isfinite(scale).all()
    # a frozen market has low volatility, and its deviation is no less than the floor's
    assert 0 < scale[1599, -1] < 0.5 * np.median(scale[:, -1])
    assert har.floor == pytest.approx(FLOOR * typical_variance(bars.variance / har.season.at(bars.timestamp), FIVE))


@EXTENDED
def test_a_short_history_is_refused(extended: bool) -> None:
    frame = MARKET.candles(HAR_WINDOWS * HORIZON + HORIZON, seed=12)
    assert fit_har(Bars.of(frame, FIVE), HORIZON, extended).coefficients.shape[1] == HORIZON
    short = Bars.of(frame.iloc[: HAR_WINDOWS * HORIZON - 1], FIVE)
    with pytest.raises(InsufficientHistoryError, match="^18 non-overlapping windows of 12 bars, 20 needed$"):
        fit_har(short, HORIZON, extended)
    broken = Bars.of(pd.concat([frame.iloc[k : k + 12] for k in range(0, 200, 14)]), FIVE)
    with pytest.raises(InsufficientHistoryError, match="^0 non-overlapping windows of 12 bars"):
        fit_har(broken, HORIZON, extended)


@EXTENDED
def test_a_constant_price_is_refused(extended: bool) -> None:
    frame = MARKET.candles(1000, seed=13)
    frame[["open", "high", "low", "close"]] = 100.0
    with pytest.raises(InsufficientHistoryError, match="^the price never changes$"):
        fit_har(Bars.of(frame, FIVE), HORIZON, extended)


def test_shape_regressors_by_hand() -> None:
    """A walk that trends, without ranges beyond its closes; then frozen bars, and no volume."""
    rows, up = 400, 2e-3
    closes = 100 * np.exp(up * np.arange(rows))
    frame = pd.DataFrame({"timestamp": START + MINUTE * np.arange(rows), "close": closes, "volume": 5.0})
    frame = frame.assign(open=frame["close"].shift(fill_value=100.0))
    frame = frame.assign(high=frame[["open", "close"]].max(axis=1), low=frame[["open", "close"]].min(axis=1))
    columns = shape_regressors(Bars.of(frame, MINUTE), (1.0, 3.0, 12.0, 48.0), 1e-12, 1e-3)
    found = [column[-1] for column in columns]
    ranges = np.log(1 / (4 * np.log(2)))
    # the same volume, every move as large as the last; the range's variance is that of r²/(4 ln 2)
    np.testing.assert_allclose(found[:6], [0, 0, 0, np.log(np.pi / 2), ranges, 0], atol=2e-2)
    # only rises, and a trend beyond its bound
    assert found[6] == pytest.approx(1)
    np.testing.assert_array_equal(found[7:], [4, 4])
    frozen = frame.assign(**dict.fromkeys(("open", "high", "low", "close"), 100.0), volume=0.0)
    still = shape_regressors(Bars.of(frozen, MINUTE), (1.0, 3.0, 12.0, 48.0), 1e-12, 1e-3)
    assert np.isfinite(still).all()
    np.testing.assert_array_equal(still[7:], 0)
