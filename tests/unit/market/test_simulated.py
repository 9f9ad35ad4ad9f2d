"""The simulated market: determinism, the data-generating process seen in the candles, and a calibrated oracle."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ccxt.base.errors import BadRequest, BadSymbol
from numpy.typing import NDArray

from common.errors import UserError
from forecasting.folds import FoldScheme
from forecasting.task import Task
from market.data_generating_process import BLOCK, DATA_START, predictable_share
from market.intervals import DAY, MINUTE, parse_time, step_ms
from market.simulated import Simulated, open_simulated
from predict_oracle import predict_oracle

DATA_END = DATA_START + 120 * DAY
LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
FIRST_BARS = [
    [DATA_START, 29000.0, 29017.78, 28996.46, 29009.8, 61.92171],
    [DATA_START + MINUTE, 29009.8, 29010.17, 28997.15, 29000.7, 95.28784],
]
Array = NDArray[np.float64]


@cache
def simulated() -> Simulated:
    return Simulated(seed=7, data_end=DATA_END)


@cache
def all_bars(symbol: str, timeframe: str = "1m") -> Array:
    """Every bar up to DATA_END, [bars, 6]."""
    return np.array(simulated().fetch_ohlcv(symbol, timeframe, DATA_START, 1_000_000))


def log_returns(symbol: str) -> Array:
    return np.diff(np.log(all_bars(symbol)[:, 4]))


def correlation(first: Array, second: Array) -> float:
    return float(np.corrcoef(first, second)[0, 1])


# --- determinism ---


@pytest.mark.parametrize("page", [1, 7, 300])
@pytest.mark.parametrize(
    "start", [DATA_START, DATA_START + BLOCK * MINUTE - 150 * MINUTE]
)  # the second spans two blocks
def test_any_window_alone_is_the_same(start: int, page: int) -> None:
    whole = all_bars("ETH/USDT")
    first = (start - DATA_START) // MINUTE
    # a fresh object, another end of the data, other symbols fetched before
    other = Simulated(seed=7, data_end=DATA_START + 400 * DAY)
    other.fetch_ohlcv("DOGE/USDT", "1h", DATA_START, 3)
    rows: list[list[float]] = []
    while len(rows) < 300:
        rows += other.fetch_ohlcv("ETH/USDT", "1m", start + len(rows) * MINUTE, page)
    assert np.array(rows[:300]).tobytes() == whole[first : first + 300].tobytes()


def test_a_late_window_needs_no_earlier_request() -> None:
    late = DATA_START + 100 * DAY
    alone = Simulated(7, DATA_END).fetch_ohlcv("BTC/USDT", "5m", late, 50)
    assert alone == simulated().fetch_ohlcv("BTC/USDT", "5m", late, 50)


def test_the_market_of_a_seed_stays_the_same() -> None:
    """A change of the process, or of numpy's random streams, makes another market: this test must change with it."""
    assert simulated().fetch_ohlcv("BTC/USDT", "1m", DATA_START, 2) == FIRST_BARS


def test_another_seed_or_symbol_has_other_prices() -> None:
    window = ("1m", DATA_START, 500)
    closes = np.array([row[4] for row in simulated().fetch_ohlcv("BTC/USDT", *window)])
    reseeded = np.array([row[4] for row in Simulated(8, DATA_END).fetch_ohlcv("BTC/USDT", *window)])
    assert abs(correlation(np.diff(closes), np.diff(reseeded))) < 0.2
    assert 0 < correlation(log_returns("BTC/USDT"), log_returns("ETH/USDT")) < 0.8


# --- an exchange as ccxt has it ---


def test_markets() -> None:
    markets = simulated().load_markets()
    assert len(markets) == 50
    assert markets["BTC/USDT"] == {
        "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "active": True
    }  # fmt: skip
    assert simulated().milliseconds() == DATA_END


def test_since_and_limit() -> None:
    fetch = simulated().fetch_ohlcv
    hour = step_ms("1h")
    assert [row[0] for row in fetch("BTC/USDT", "1h", DATA_START + 1, 2)] == [DATA_START + hour, DATA_START + 2 * hour]
    assert fetch("BTC/USDT", "1h", DATA_START - DAY, 1)[0][0] == DATA_START
    assert [row[0] for row in fetch("BTC/USDT", "1h", None, 2)] == [DATA_END - 2 * hour, DATA_END - hour]
    assert len(fetch("BTC/USDT", "1m", DATA_START)) == 1000
    assert fetch("BTC/USDT", "1m", DATA_END) == []


def test_only_closed_bars_are_served() -> None:
    early = Simulated(7, DATA_START + 90 * MINUTE)
    assert [row[0] for row in early.fetch_ohlcv("BTC/USDT", "1h")] == [DATA_START]
    assert len(early.fetch_ohlcv("BTC/USDT", "1m")) == 90
    assert Simulated(7, DATA_START - DAY).fetch_ohlcv("BTC/USDT") == []


def test_invalid_requests_are_rejected() -> None:
    with pytest.raises(BadSymbol, match="NOPE/USDT"):
        simulated().fetch_ohlcv("NOPE/USDT")
    with pytest.raises(BadRequest, match="7m"):
        simulated().fetch_ohlcv("BTC/USDT", "7m")
    with pytest.raises(BadRequest, match="limit"):
        simulated().fetch_ohlcv("BTC/USDT", limit=0)
    for origin in (DATA_START + 1, DATA_START - MINUTE, DATA_END):
        with pytest.raises(BadRequest, match="origin"):
            simulated().quantiles("BTC/USDT", np.array([origin]), "1m", 5, LEVELS)


@pytest.mark.parametrize("timeframe", ["3m", "5m", "1h", "12h", "1d"])
def test_coarser_bars_aggregate_the_minutes(timeframe: str) -> None:
    minutes = step_ms(timeframe) // MINUTE
    bars = all_bars("BTC/USDT").reshape(-1, minutes, 6)
    expected = np.stack(
        [bars[:, 0, 0], bars[:, 0, 1], bars[..., 2].max(1), bars[..., 3].min(1), bars[:, -1, 4]], axis=1
    )
    coarse = all_bars("BTC/USDT", timeframe)
    assert np.array_equal(coarse[:, :5], expected)
    np.testing.assert_allclose(coarse[:, 5], bars[..., 5].sum(1), rtol=1e-12)


# --- the process seen in the candles ---


@pytest.mark.parametrize("symbol", ["BTC/USDT", "SHIB/USDT"])
def test_bars_are_sane(symbol: str) -> None:
    _, opens, highs, lows, closes, volumes = all_bars(symbol).T
    assert np.all(lows <= np.minimum(opens, closes)) and np.all(highs >= np.maximum(opens, closes))
    assert np.all(lows > 0) and np.all(volumes > 0)
    assert np.array_equal(opens[1:], closes[:-1])


def test_volatility_is_that_of_real_markets() -> None:
    returns = log_returns("BTC/USDT")
    daily = np.diff(np.log(all_bars("BTC/USDT", "1d")[:, 4])).std()
    assert 0.015 < daily < 0.05
    assert np.mean(returns**4) / returns.var() ** 2 > 10
    size = np.abs(returns)
    assert correlation(size[:-1], size[1:]) > 0.15
    assert correlation(size[:-240], size[240:]) > 0.05


def test_ranges_agree_with_returns() -> None:
    """Parkinson's and Garman-Klass' variances are those of the returns, jumps aside."""
    _, opens, highs, lows, closes, _ = all_bars("BTC/USDT").T
    span, move = np.log(highs / lows) ** 2, np.log(closes / opens) ** 2
    parkinson = span / (4 * np.log(2))
    garman_klass = span / 2 - (2 * np.log(2) - 1) * move
    assert np.mean(parkinson) == pytest.approx(np.mean(move), rel=0.1)
    assert np.mean(garman_klass) == pytest.approx(np.mean(move), rel=0.1)


def test_the_day_and_the_week_have_a_pattern() -> None:
    bars = all_bars("BTC/USDT")
    size = np.abs(np.log(bars[:, 4] / bars[:, 1]))
    hour = bars[:, 0] // step_ms("1h") % 24
    weekend = (bars[:, 0] // DAY + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    for quantity in (size, bars[:, 5]):
        assert quantity[hour == 15].mean() > 1.4 * quantity[hour == 3].mean()
        assert quantity[~weekend].mean() > 1.1 * quantity[weekend].mean()
    assert correlation(np.log(size + 1e-9), np.log(bars[:, 5])) > 0.2


def test_momentum_is_weak_but_there() -> None:
    """The stated R², found again with what a trader sees: returns over a rolling volatility."""
    returns = pd.Series(np.concatenate([log_returns(symbol) for symbol in ("BTC/USDT", "ETH/USDT", "XRP/USDT")]))
    shocks = returns / returns.rolling(60).std().shift(1)
    signal = shocks.clip(-5, 5).ewm(halflife=30).mean()
    ahead = shocks.clip(-5, 5).rolling(60).sum().shift(-60)
    share = signal.corr(ahead) ** 2
    assert 0.001 < share < 0.02
    assert 0.0002 < predictable_share(1) < 0.0006
    assert 0.004 < predictable_share(60) < 0.01


# --- the oracle ---


@pytest.mark.parametrize(("interval", "horizon"), [("1m", 20), ("1h", 6)])
def test_the_oracle_is_calibrated_and_beats_constants(interval: str, horizon: int) -> None:
    bar_ms = step_ms(interval)
    covered: list[list[float]] = []
    ratios = []
    for symbol in ("BTC/USDT", "ADA/USDT"):
        closes = np.log(all_bars(symbol, interval)[:, 4])
        rows = np.arange(10, len(closes) - horizon, max(horizon, len(closes) // 700))
        truth = simulated().quantiles(symbol, DATA_START + rows * bar_ms, interval, horizon, LEVELS)
        assert truth.shape == (len(rows), horizon, len(LEVELS))
        assert np.all(np.diff(truth, axis=2) >= 0)
        realised = (closes[rows + horizon] - closes[rows])[:, None]
        last = truth[:, -1]
        covered.append([float(np.mean((realised >= last[:, [i]]) & (realised <= last[:, [-1 - i]]))) for i in (0, 2)])
        constant = np.quantile(realised, LEVELS)[None]
        ratios.append(pinball(realised, last) / pinball(realised, constant))
    ninety, fifty = np.mean(covered, axis=0)
    assert ninety == pytest.approx(0.9, abs=0.035)
    assert fifty == pytest.approx(0.5, abs=0.05)
    assert np.mean(ratios) < 0.95


def pinball(realised: Array, quantiles: Array) -> float:
    error = realised - quantiles
    quantile_levels = np.array(LEVELS)
    return float(np.mean(np.maximum(quantile_levels * error, (quantile_levels - 1) * error)))


def test_the_oracle_repeats_itself() -> None:
    origins = DATA_START + np.array([5000, 90, 60_000]) * MINUTE
    together = simulated().quantiles("BTC/USDT", origins, "1m", 5, LEVELS)
    again = Simulated(7, DATA_START + 200 * DAY).quantiles("BTC/USDT", origins, "1m", 5, LEVELS)
    alone = simulated().quantiles("BTC/USDT", origins[1:2], "1m", 5, LEVELS)
    assert together.tobytes() == again.tobytes()
    np.testing.assert_allclose(alone[0], together[1], atol=2e-10)


def run_oracle(reference: Path, output: Path, data_end: str) -> None:
    """The rule on the simulated market, which needs no candles."""
    exchange = {"id": "simulated", "seed": 7, "data_end": data_end, "trend": 0.02}
    task = Task("1m", lookback=1, horizon=3, quantile_levels=LEVELS)
    predict_oracle(str(output), str(reference), [], "", "0", exchange, task, FoldScheme(1, 1, 0, 0.2))


def test_symbols_of_a_job_share_a_market() -> None:
    settings = {"seed": 7, "data_end": "2021-02-01T00:00:00Z", "trend": 0.02}
    market = open_simulated(settings, ["BTC/USDT"], "1m")
    assert open_simulated(settings, ["ETH/USDT"], "1m") is market
    for other in ({"seed": 8}, {"trend": 0.1}):
        assert open_simulated(settings | other, ["ETH/USDT"], "1m") is not market


def test_predict_oracle(tmp_path: Path) -> None:
    reference, output = tmp_path / "random_walk.parquet", tmp_path / "oracle.parquet"
    origins = [DATA_START + 400 * MINUTE, DATA_START + 385 * MINUTE]
    pairs = [(symbol, origin) for symbol in ("ETHUSDT", "BTCUSDT") for origin in origins]
    rows = [(symbol, origin, 1.0 + (origin == origins[0])) for symbol, origin in pairs]
    pd.DataFrame(rows * 2, columns=["symbol", "origin", "close"]).to_parquet(reference)
    end = "2021-02-01T00:00:00Z"
    run_oracle(reference, output, end)
    frame = pd.read_parquet(output)
    assert list(frame.columns) == ["symbol", "origin", "close", "step", *(f"q{level:g}" for level in LEVELS)]
    assert frame["close"].tolist() == [1.0] * 3 + [2.0] * 3 + [1.0] * 3 + [2.0] * 3
    assert list(frame[["symbol", "origin", "step"]].itertuples(index=False, name=None)) == [
        (symbol, origin, step) for symbol, origin in sorted(pairs) for step in (1, 2, 3)
    ]
    assert frame.attrs["crossings"] == 0
    truth = Simulated(7, parse_time(end)).quantiles("BTC/USDT", np.array(sorted(origins)), "1m", 3, LEVELS)
    assert np.array_equal(frame.loc[frame["symbol"] == "BTCUSDT", "q0.05":].to_numpy().reshape(2, 3, -1), truth)
    first = output.read_bytes()
    run_oracle(reference, output, end)
    assert output.read_bytes() == first


def test_predict_oracle_refuses_an_unknown_symbol(tmp_path: Path) -> None:
    reference, output = tmp_path / "random_walk.parquet", tmp_path / "oracle.parquet"
    pd.DataFrame({"symbol": ["NOPEUSDT"], "origin": [DATA_START], "close": [1.0]}).to_parquet(reference)
    with pytest.raises(UserError, match="NOPEUSDT"):
        run_oracle(reference, output, "2021-02-01T00:00:00Z")
    assert not output.exists()


@pytest.mark.parametrize("trend", [0.0, 0.2])
def test_the_trend_says_how_much_of_the_direction_the_oracle_knows(trend: float) -> None:
    horizon, origins = 30, DATA_START + np.arange(5000, 65_000, 30) * MINUTE
    market = Simulated(7, DATA_START + 60 * DAY, trend)
    rows = market.fetch_ohlcv("BTC/USDT", "1m", DATA_START, 60 * 1440)
    closes = pd.Series(np.log([row[4] for row in rows]), index=[row[0] for row in rows])
    realised = closes[origins + horizon * MINUTE].to_numpy() - closes[origins].to_numpy()
    low, median, high = market.quantiles("BTC/USDT", origins, "1m", horizon, [0.05, 0.5, 0.95])[:, -1].T
    r2 = 1 - np.mean((realised - median) ** 2) / np.mean(realised**2)
    lawful = predictable_share(horizon, trend)
    assert r2 == pytest.approx(lawful, abs=0.06)
    assert (lawful > 0.15) == (trend > 0)
    assert np.mean((low <= realised) & (realised <= high)) == pytest.approx(0.9, abs=0.025)
    # a day's volatility is the coin's whatever the trend
    assert closes[::1440].diff().std() == pytest.approx(0.03, rel=0.35)
