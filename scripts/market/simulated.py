"""The simulated market: an exchange with ccxt's unified API whose prices follow a stated data-generating process.

docs/simulated-market.md states it. Because it is known, so are the true quantiles of any future path, which
`Simulated.quantiles` gives. Every candle is a function of (seed, symbol, time) alone.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import ceil, floor, log10
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from market.coins import COINS, Coin
from market.data_generating_process import (
    BARS,
    BLOCK,
    BLOCKS_KEPT,
    DATA_START,
    FAST_SD,
    SLOW_SD,
    TREND,
    Array,
    DataGeneratingProcess,
    repeated_weekly,
    volume_season,
)
from market.intervals import MINUTE, iso, parse_time, step_ms
from market.oracle import true_quantiles

TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
PAGE = 1000  # bars in a response when no limit is given
VOLUME_BY_MOVE, VOLUME_NOISE, LARGEST_MOVE = 0.35, 0.5, 8.0
CHUNK = 2000  # origins whose futures are in memory at once


def open_simulated(settings: Mapping[str, Any], symbols: list[str], interval: str) -> "Simulated":
    """The simulated market of the config's section `exchange`: its `seed`, `data_end` and `trend`; the same each time,
    so that what symbols share is simulated once."""
    return _simulated(settings["seed"], parse_time(settings["data_end"]), settings["trend"])


@lru_cache(maxsize=1)
def _simulated(seed: int, data_end: int, trend: float) -> "Simulated":
    return Simulated(seed, data_end, trend)


class Simulated:
    """An exchange whose data runs from 2021-01-01 to `data_end` (ms, UTC); another `seed` (>= 0) is another market, and
    `trend` how much of its prices can be forecast."""

    id = "simulated"
    historical = True
    timeframes: ClassVar = {name: name for name in TIMEFRAMES}

    def __init__(self, seed: int, data_end: int, trend: float = TREND) -> None:
        self.seed = seed
        self.data_end = data_end
        self._process = DataGeneratingProcess(seed, trend)
        self._coins = {f"{coin.base}/USDT": coin for coin in COINS}
        self._candles: Callable[[Coin, int], Array] = lru_cache(maxsize=BLOCKS_KEPT)(self._simulate_candles)

    def milliseconds(self) -> int:
        """The exchange's clock: it stands still at the end of the data."""
        return self.data_end

    def load_markets(self) -> dict[str, dict[str, object]]:
        """The 50 symbols, each `BASE/USDT`, with `id symbol base quote active`."""
        return {
            symbol: {"id": f"{coin.base}USDT", "symbol": symbol, "base": coin.base, "quote": "USDT", "active": True}
            for symbol, coin in self._coins.items()
        }

    def fetch_ohlcv(
        self, symbol: str, timeframe: str = "1m", since: int | None = None, limit: int | None = None
    ) -> list[list[float]]:
        """Closed bars `[open time (ms), open, high, low, close, volume]`, oldest first.

        From the first bar that opens at `since` (ms) or later; without `since`, the newest. At most `limit` bars
        (default 1000, any number is served). Raises ccxt's BadSymbol and BadRequest.
        """
        coin, bar_ms = self._coin(symbol), self._bar_ms(timeframe)
        limit = PAGE if limit is None else limit
        if limit < 1:
            _reject("BadRequest", f"simulated: limit {limit} must be at least 1")
        closed = (self.data_end - DATA_START) // bar_ms
        first = max(0, closed - limit if since is None else ceil((since - DATA_START) / bar_ms))
        last = min(first + limit, closed)
        if last <= first:
            return []
        times = range(DATA_START + first * bar_ms, DATA_START + last * bar_ms, bar_ms)
        columns = self._bars(coin, bar_ms // MINUTE, first, last).tolist()
        return [list(row) for row in zip(times, *columns, strict=True)]

    def quantiles(
        self, symbol: str, origins: NDArray[np.int64], interval: str, horizon: int, quantile_levels: Sequence[float],
        paths: int = 4000,
    ) -> Array:  # fmt: skip
        """True quantiles of the cumulative log return from the close at each origin, given the full state there.

        `origins` are open times (ms) of the last closed bars of `interval`. Returns [origins, horizon, levels],
        non-decreasing along levels. Simulates the process minute by minute over `paths` futures, the same for all
        origins (a multiple of 4: a quarter is drawn, the rest are its mirrors). Raises ccxt's BadSymbol and BadRequest
        (an origin off the grid, before the data or not closed by its end).
        """
        coin, bar_ms = self._coin(symbol), self._bar_ms(interval)
        origins = np.asarray(origins, dtype=np.int64)
        if np.any((origins < DATA_START) | (origins + bar_ms > self.data_end) | ((origins - DATA_START) % bar_ms != 0)):
            span = f"{iso(DATA_START)} to {iso(self.data_end)}"
            _reject("BadRequest", f"simulated: an origin is not the open time of a closed {interval} bar from {span}")
        minutes = (origins - DATA_START + bar_ms) // MINUTE  # to the origin's close
        parts = [
            true_quantiles(self._process, coin, chunk, bar_ms // MINUTE, horizon, quantile_levels, paths)
            for chunk in np.array_split(minutes, ceil(len(minutes) / CHUNK) or 1)
        ]
        return np.concatenate(parts)

    def _bars(self, coin: Coin, minutes: int, first: int, last: int) -> Array:
        """Bars first..last-1 of `minutes` each, counted from `DATA_START`: [open high low close volume, bars]."""
        size = BLOCK // minutes
        parts = []
        for block in range(first // size, (last - 1) // size + 1):
            low, high = max(first - block * size, 0), min(last - block * size, size)
            bars = self._candles(coin, block)[:, low * minutes : high * minutes].reshape(5, -1, minutes)
            parts.append(_aggregate(bars))
        return np.concatenate(parts, axis=1)

    def _simulate_candles(self, coin: Coin, block: int) -> Array:
        """The block's one-minute candles, [open high low close volume, BLOCK], rounded as an exchange rounds.

        High and low are extremes of a Brownian bridge from open to close, each drawn by inverting its distribution
        (Glasserman, Monte Carlo Methods in Financial Engineering, 2003, section 6.4).
        """
        path = self._process.path(coin, block)
        random = self._process.stream(BARS, coin, block)
        start, moves = path.log_price[:-1], path.returns
        above, below = (
            np.sqrt(moves**2 - 2 * path.deviation**2 * np.log1p(-random.random(BLOCK))) for _ in ("high", "low")
        )
        digits = 6 - floor(log10(coin.price))  # seven digits in the first price
        price = np.round(np.exp(path.log_price), digits)
        opens, closes = price[:-1], price[1:]
        highs = np.maximum.reduce([np.round(np.exp(start + (moves + above) / 2), digits), opens, closes])
        lows = np.minimum.reduce([np.round(np.exp(start + (moves - below) / 2), digits), opens, closes])
        activity = FAST_SD * path.fast + SLOW_SD * path.slow
        activity += VOLUME_BY_MOVE * np.minimum(np.abs(moves) / path.volatility, LARGEST_MOVE)
        activity += VOLUME_NOISE * random.standard_normal(BLOCK)
        turnover = coin.turnover * 1e6 / 1440 * repeated_weekly(volume_season()) * np.exp(activity)
        volumes = np.round(turnover / closes, max(0, floor(log10(coin.price)) + 1))
        return np.stack([opens, highs, lows, closes, volumes])

    def _coin(self, symbol: str) -> Coin:
        return self._coins.get(symbol) or _reject("BadSymbol", f"simulated does not have market symbol {symbol}")

    def _bar_ms(self, timeframe: str) -> int:
        if timeframe not in self.timeframes:
            _reject("BadRequest", f"simulated: timeframe {timeframe!r} is not one of {', '.join(TIMEFRAMES)}")
        return step_ms(timeframe)


def _aggregate(bars: Array) -> Array:
    """[5, bars, minutes] → [5, bars]: first open, highest high, lowest low, last close, summed volume."""
    opens, highs, lows, closes, volumes = bars
    return np.stack([opens[:, 0], highs.max(1), lows.min(1), closes[:, -1], volumes.sum(1)])


def _reject(kind: str, message: str) -> NoReturn:
    from ccxt.base import errors

    raise getattr(errors, kind)(message)
