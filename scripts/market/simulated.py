"""The embedded market: an exchange with ccxt's unified API whose prices follow a law that is written down.

docs/simulated-market.md states the law. Because it is known, so are the true quantiles of any future path, which
`Simulated.quantiles` gives. Every candle is a function of (seed, symbol, time) alone.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil, exp, floor, log10, sqrt
from typing import ClassVar, NamedTuple, NoReturn
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from market.intervals import MINUTE, iso, step_ms

Array = NDArray[np.float64]

TAPE_START = 1_609_459_200_000  # 2021-01-01T00:00:00Z, a Friday
TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
PAGE = 1000  # bars in an answer when no limit is asked for

WEEK = 7 * 1440  # minutes
BLOCK = 4 * WEEK  # minutes made at once; a multiple of every timeframe and of the season
BLOCKS_KEPT = 64

# --- the law at one minute; docs/simulated-market.md explains each ---
FAST, FAST_SD = 0.5 ** (1 / 90), 0.40  # log-volatility, fast part: decay a minute, standard deviation
SLOW, SLOW_SD = 0.5 ** (1 / (4 * 1440)), 0.35  # log-volatility, slow part
VOLATILITY_SHARED = 0.6  # share of the log-volatility's variance that all symbols have in common
SHOCK_SHARED = 0.6  # the same of the shocks: the correlation between two symbols
DOF = 6  # degrees of freedom of the Student-t shocks
JUMP_SHARED, JUMP_OWN = 1 / 2880, 1 / 720  # chance of a jump a minute
JUMP_SIZE = 6.0  # standard deviation of a jump, in volatilities of its minute
MEMORY = 0.5 ** (1 / 30)  # decay a minute of the signal, an average of past shocks
DRIFT = 0.02  # drift, in volatilities of the minute, that a signal of 1 brings
VOLUME_BY_MOVE, VOLUME_NOISE, LARGEST_MOVE = 0.35, 0.5, 8.0

_JUMP_VARIANCE = (JUMP_SHARED + JUMP_OWN) * JUMP_SIZE**2
_GAIN = sqrt(1 - MEMORY**2)  # weight of the newest shock in the signal
_SHARED_PATH, _OWN_PATH, _BARS, _ORACLE, _START = range(5)  # components with a random stream each


class Coin(NamedTuple):
    """A base currency: first price (USDT), volatility (percent a day), scale of turnover (million USDT a day)."""

    base: str
    price: float
    volatility: float
    turnover: float


# fmt: off
COINS = tuple(Coin(*row) for row in (
    ("BTC", 29000.0, 3.0, 2000.0), ("ETH", 740.0, 3.8, 1000.0), ("BNB", 38.0, 3.8, 300.0), ("SOL", 12.0, 5.5, 300.0),
    ("XRP", 0.35, 4.5, 250.0), ("ADA", 0.32, 4.6, 150.0), ("DOGE", 0.06, 5.2, 200.0), ("AVAX", 12.0, 5.4, 120.0),
    ("TRX", 0.06, 3.6, 80.0), ("DOT", 8.0, 4.8, 90.0), ("LINK", 12.0, 4.8, 110.0), ("MATIC", 0.4, 5.2, 100.0),
    ("LTC", 125.0, 4.2, 110.0), ("BCH", 340.0, 4.4, 80.0), ("UNI", 5.2, 5.0, 50.0), ("ATOM", 6.5, 5.0, 50.0),
    ("XLM", 0.13, 4.5, 40.0), ("ETC", 5.7, 4.8, 50.0), ("FIL", 22.0, 5.0, 50.0), ("NEAR", 1.4, 5.8, 60.0),
    ("APT", 8.0, 5.6, 50.0), ("ARB", 1.2, 5.4, 60.0), ("OP", 1.5, 5.8, 55.0), ("ALGO", 0.34, 5.0, 25.0),
    ("VET", 0.02, 5.0, 20.0), ("ICP", 12.0, 5.5, 25.0), ("HBAR", 0.032, 5.0, 20.0), ("QNT", 12.0, 4.8, 10.0),
    ("AAVE", 90.0, 5.3, 30.0), ("GRT", 0.36, 5.6, 20.0), ("EGLD", 27.0, 5.0, 12.0), ("SAND", 0.036, 5.8, 25.0),
    ("MANA", 0.08, 5.7, 25.0), ("AXS", 0.54, 5.9, 20.0), ("THETA", 1.9, 5.2, 15.0), ("XTZ", 2.0, 4.7, 12.0),
    ("EOS", 2.6, 4.6, 30.0), ("FTM", 0.017, 6.2, 40.0), ("CHZ", 0.02, 5.3, 20.0), ("CRV", 0.6, 6.0, 25.0),
    ("SNX", 7.2, 5.6, 12.0), ("NEO", 14.0, 4.8, 15.0), ("KAVA", 1.3, 5.2, 8.0), ("ZEC", 57.0, 4.8, 12.0),
    ("DASH", 85.0, 4.6, 10.0), ("COMP", 145.0, 5.3, 10.0), ("MKR", 590.0, 4.9, 15.0), ("ENJ", 0.13, 5.5, 10.0),
    ("BAT", 0.2, 5.0, 8.0), ("SHIB", 0.00001, 5.8, 120.0),
))
# fmt: on


class _Shared(NamedTuple):
    """What all symbols have in common in one block, a value a minute."""

    fast: Array
    slow: Array
    shock: Array
    mixture: Array
    jump: Array


class _State(NamedTuple):
    """Where a symbol stands at the end of a minute."""

    fast: float  # its own part of the log-volatility
    slow: float
    signal: float
    log_price: float


class _Path(NamedTuple):
    """A symbol's block, a value a minute (`levels` has one more in front: the log price at the start)."""

    fast: Array  # log-volatility parts, own and shared together, each of unit variance
    slow: Array
    signal: Array
    volatility: Array
    deviation: Array  # of the Brownian motion within the bar
    returns: Array
    quantile_levels: Array
    end: _State


def predictable_share(minutes: int) -> float:
    """R² of the best forecast of a return over `minutes`, at a constant volatility.

    The return is a sum of drift known at the start, DRIFT·Σ MEMORY^k·signal, and of shocks, each felt again through the
    signal that it leaves; the variances of both follow from the law.
    """
    reach = (1 - MEMORY ** np.arange(minutes + 1)) / (1 - MEMORY)
    known = (DRIFT * reach[-1]) ** 2
    unknown = np.sum((1 + DRIFT * _GAIN * reach[:-1]) ** 2) + minutes * _JUMP_VARIANCE
    return float(known / (known + unknown))


class Simulated:
    """An exchange whose tape runs from 2021-01-01 to `data_end` (ms, UTC); another `seed` (>= 0) is another market."""

    id = "simulated"
    timeframes: ClassVar = {name: name for name in TIMEFRAMES}

    def __init__(self, seed: int, data_end: int) -> None:
        self.seed = seed
        self.data_end = data_end
        self._coins = {f"{coin.base}/USDT": coin for coin in COINS}
        self._states: dict[Coin, list[_State]] = {}  # at the start of each block walked so far
        self._shared_states: list[tuple[float, float]] = []
        keep = lru_cache(maxsize=BLOCKS_KEPT)
        self._shared: Callable[[int], _Shared] = keep(self._make_shared)
        self._candles: Callable[[Coin, int], Array] = keep(self._make_candles)

    def milliseconds(self) -> int:
        """The exchange's clock: it stands still at the tape's end."""
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
        coin, step = self._coin(symbol), self._step(timeframe)
        limit = PAGE if limit is None else limit
        if limit < 1:
            _refuse("BadRequest", f"simulated: limit is {limit}; ask for at least 1 bar")
        closed = (self.data_end - TAPE_START) // step
        first = max(0, closed - limit if since is None else ceil((since - TAPE_START) / step))
        last = min(first + limit, closed)
        if last <= first:
            return []
        times = range(TAPE_START + first * step, TAPE_START + last * step, step)
        columns = self._bars(coin, step // MINUTE, first, last).tolist()
        return [list(row) for row in zip(times, *columns, strict=True)]

    def quantiles(
        self, symbol: str, origins: NDArray[np.int64], interval: str, horizon: int, quantile_levels: Sequence[float],
        paths: int = 4000,
    ) -> Array:  # fmt: skip
        """True quantiles of the cumulative log return from the close at each origin, given the law's full state there.

        `origins` are open times (ms) of the last known bars of `interval`. Returns [origins, horizon, levels],
        non-decreasing along levels. Simulates the law minute by minute over `paths` futures, the same for all origins
        (a multiple of 4: a quarter is drawn, the rest are its mirrors). Raises ccxt's BadSymbol and BadRequest (an
        origin off the grid or not closed on the tape).
        """
        coin, step = self._coin(symbol), self._step(interval)
        origins = np.asarray(origins, dtype=np.int64)
        if np.any((origins < TAPE_START) | (origins + step > self.data_end) | ((origins - TAPE_START) % step != 0)):
            span = f"{iso(TAPE_START)} to {iso(self.data_end)}"
            _refuse("BadRequest", f"simulated: an origin is no closed {interval} bar of the tape, {span}")
        known = (origins - TAPE_START + step) // MINUTE  # minutes up to the origin's close
        chunks = np.array_split(known, ceil(len(known) / 2000) or 1)  # bounds memory: origins × paths
        parts = [self._futures(coin, chunk, step // MINUTE, horizon, quantile_levels, paths) for chunk in chunks]
        return np.concatenate(parts)

    # --- candles ---

    def _bars(self, coin: Coin, minutes: int, first: int, last: int) -> Array:
        """Bars first..last-1 of `minutes` each, counted from the tape's start: [open high low close volume, bars]."""
        size = BLOCK // minutes
        parts = []
        for block in range(first // size, (last - 1) // size + 1):
            low, high = max(first - block * size, 0), min(last - block * size, size)
            bars = self._candles(coin, block)[:, low * minutes : high * minutes].reshape(5, -1, minutes)
            parts.append(_aggregate(bars))
        return np.concatenate(parts, axis=1)

    def _make_candles(self, coin: Coin, block: int) -> Array:
        """The block's one-minute candles, [open high low close volume, BLOCK], rounded as an exchange rounds.

        High and low are extremes of a Brownian bridge from open to close, each drawn by inverting its distribution
        (Glasserman, Monte Carlo Methods in Financial Engineering, 2003, section 6.4).
        """
        path = self._path(coin, block)
        random = self._stream(_BARS, coin, block)
        start, moves = path.quantile_levels[:-1], path.returns
        above, below = (
            np.sqrt(moves**2 - 2 * path.deviation**2 * np.log1p(-random.random(BLOCK))) for _ in ("high", "low")
        )
        digits = 6 - floor(log10(coin.price))  # seven digits in the first price
        quantile_levels = np.round(np.exp(path.quantile_levels), digits)
        opens, closes = quantile_levels[:-1], quantile_levels[1:]
        highs = np.maximum.reduce([np.round(np.exp(start + (moves + above) / 2), digits), opens, closes])
        lows = np.minimum.reduce([np.round(np.exp(start + (moves - below) / 2), digits), opens, closes])
        activity = FAST_SD * path.fast + SLOW_SD * path.slow
        activity += VOLUME_BY_MOVE * np.minimum(np.abs(moves) / path.volatility, LARGEST_MOVE)
        activity += VOLUME_NOISE * random.standard_normal(BLOCK)
        turnover = coin.turnover * 1e6 / 1440 * _in_block(_volume_season()) * np.exp(activity)
        volumes = np.round(turnover / closes, max(0, floor(log10(coin.price)) + 1))
        return np.stack([opens, highs, lows, closes, volumes])

    # --- the law ---

    def _path(self, coin: Coin, block: int) -> _Path:
        """One block of a symbol's path; the blocks before it are walked once and only their end states kept."""
        states = self._states.setdefault(coin, [])
        if not states:
            fast, slow, signal = self._stream(_START, coin, 0).standard_normal(3).tolist()
            states.append(_State(fast, slow, signal, float(np.log(coin.price))))
        while len(states) <= block:
            states.append(self._make_path(coin, len(states) - 1, states[-1]).end)
        return self._make_path(coin, block, states[block])

    def _make_path(self, coin: Coin, block: int, start: _State) -> _Path:
        """The law itself over one block, from the state before it."""
        random = self._stream(_OWN_PATH, coin, block)
        shared = self._shared(block)
        own_fast = _ar1(random.standard_normal(BLOCK), FAST, start.fast)
        own_slow = _ar1(random.standard_normal(BLOCK), SLOW, start.slow)
        fast = _blend(shared.fast, own_fast, VOLATILITY_SHARED)
        slow = _blend(shared.slow, own_slow, VOLATILITY_SHARED)
        volatility = _unit_volatility(coin) * _in_block(_season()) * np.exp(FAST_SD * fast + SLOW_SD * slow)
        own_shock, mixture = _student(random, (BLOCK,))
        shock = _blend(shared.shock, own_shock, SHOCK_SHARED)
        signal = _ar1(shock, MEMORY, start.signal)
        before = np.concatenate([[start.signal], signal[:-1]])
        returns = volatility * (DRIFT * before + shock + shared.jump + _jumps(random, (BLOCK,), JUMP_OWN))
        quantile_levels = np.cumsum(np.concatenate([[start.log_price], returns]))
        deviation = volatility * np.sqrt(SHOCK_SHARED * shared.mixture + (1 - SHOCK_SHARED) * mixture)
        end = _State(float(own_fast[-1]), float(own_slow[-1]), float(signal[-1]), float(quantile_levels[-1]))
        return _Path(fast, slow, signal, volatility, deviation, returns, quantile_levels, end)

    def _make_shared(self, block: int) -> _Shared:
        """What the symbols share in one block. Blocks are asked for in order, from the first."""
        if not self._shared_states:
            fast, slow = self._stream(_START, None, 0).standard_normal(2).tolist()
            self._shared_states.append((fast, slow))
        random = self._stream(_SHARED_PATH, None, block)
        start_fast, start_slow = self._shared_states[block]
        fast = _ar1(random.standard_normal(BLOCK), FAST, start_fast)
        slow = _ar1(random.standard_normal(BLOCK), SLOW, start_slow)
        if len(self._shared_states) == block + 1:
            self._shared_states.append((float(fast[-1]), float(slow[-1])))
        shock, mixture = _student(random, (BLOCK,))
        return _Shared(fast, slow, shock, mixture, _jumps(random, (BLOCK,), JUMP_SHARED))

    # --- the oracle ---

    def _futures(
        self,
        coin: Coin,
        known: NDArray[np.int64],
        minutes: int,
        horizon: int,
        quantile_levels: Sequence[float],
        paths: int,
    ) -> Array:
        """Quantiles [origins, horizon, levels] after `known` minutes of tape, in steps of `minutes`.

        With shocks shared by all origins, a minute's return is G·N + K·E, where only G and K depend on the origin
        (its volatility and drift, were no shock to come) and only N and E on the future: a bar is a matrix product.
        """
        fast, slow, signal = self._latent(coin, known - 1)
        futures = _Futures(self._stream(_ORACLE, coin, 0), paths // 4)
        total = np.zeros((len(known), 4 * (paths // 4)))
        result = np.empty((len(known), horizon, len(quantile_levels)))
        for step in range(horizon):
            ahead = np.arange(1, minutes + 1) + step * minutes
            moves, scales = futures.draw(minutes)
            season = _season()[(known[:, None] + ahead - 1) % WEEK]
            level = FAST_SD * np.outer(fast, FAST**ahead) + SLOW_SD * np.outer(slow, SLOW**ahead)
            volatility = _unit_volatility(coin) * season * np.exp(level)
            drift = volatility * DRIFT * np.outer(signal, MEMORY ** (ahead - 1))
            total += np.hstack([volatility, drift]) @ np.vstack([moves, scales])
            result[:, step] = _quantiles(total, quantile_levels)
        # the last bits of a matrix product depend on the number of threads
        return np.round(result, 10)

    def _latent(self, coin: Coin, minute: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Both parts of the log-volatility and the signal, at the end of each minute of the tape."""
        state = np.empty((3, len(minute)))
        for block in np.unique(minute // BLOCK).tolist():
            path = self._path(coin, block)
            here = minute // BLOCK == block
            state[:, here] = np.stack([path.fast, path.slow, path.signal])[:, minute[here] % BLOCK]
        return state[0], state[1], state[2]

    # --- small things ---

    def _stream(self, component: int, coin: Coin | None, block: int) -> np.random.Generator:
        """Random numbers of their own for each (seed, component, symbol, block)."""
        name = crc32(coin.base.encode()) if coin else 0
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, component, name, block])))

    def _coin(self, symbol: str) -> Coin:
        return self._coins.get(symbol) or _refuse("BadSymbol", f"simulated does not have market symbol {symbol}")

    def _step(self, timeframe: str) -> int:
        if timeframe not in self.timeframes:
            _refuse("BadRequest", f"simulated: timeframe {timeframe!r} is none of {', '.join(TIMEFRAMES)}")
        return step_ms(timeframe)


class _Futures:
    """Futures of the law without what an origin adds: bar after bar, [minutes, 4 × quarter].

    A quarter is drawn; the rest are its mirrors in log-volatility, in shocks, and in both (antithetic variates).
    """

    def __init__(self, random: np.random.Generator, quarter: int) -> None:
        self.random = random
        self.fast = self.slow = self.signal = np.zeros(quarter)

    def draw(self, minutes: int) -> tuple[Array, Array]:
        """The next bar: N = E·(drift from new shocks + shock + jumps), and E = exp(new log-volatility)."""
        shape = (minutes, len(self.signal))
        fast = _ar1(self.random.standard_normal(shape), FAST, self.fast)
        slow = _ar1(self.random.standard_normal(shape), SLOW, self.slow)
        shock = _blend(_student(self.random, shape)[0], _student(self.random, shape)[0], SHOCK_SHARED)
        signal = _ar1(shock, MEMORY, self.signal)
        before = np.concatenate([self.signal[None], signal[:-1]])
        jumps = _jumps(self.random, shape, JUMP_SHARED) + _jumps(self.random, shape, JUMP_OWN)
        move = DRIFT * before + shock + jumps
        self.fast, self.slow, self.signal = fast[-1], slow[-1], signal[-1]
        scale = np.exp(FAST_SD * fast + SLOW_SD * slow)
        scales = np.hstack([scale, 1 / scale, scale, 1 / scale])
        return scales * np.hstack([move, move, -move, -move]), scales


def _ar1(noise: Array, decay: float, before: float | Array) -> Array:
    """AR(1) of unit variance along the first axis, from its value `before` the first noise."""
    shocks = sqrt(1 - decay**2) * noise
    # scipy's filter takes half a second to import, as long as this takes for a year of minutes
    last = before
    return np.array([last := decay * last + shock for shock in (shocks.tolist() if shocks.ndim == 1 else shocks)])


def _student(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Student-t shocks of unit variance, as normal shocks of a random variance (mean 1), and that variance."""
    mixture = (DOF / 2 - 1) / random.standard_gamma(DOF / 2, shape)
    return random.standard_normal(shape) * np.sqrt(mixture), mixture


def _jumps(random: np.random.Generator, shape: tuple[int, ...], chance: float) -> Array:
    """Mostly zero; where a jump falls, its size in volatilities of the minute."""
    jumps = np.zeros(shape)
    where = random.random(shape) < chance
    jumps[where] = JUMP_SIZE * random.standard_normal(np.count_nonzero(where))
    return jumps


def _blend(shared: Array, own: Array, share: float) -> Array:
    """Two independent series of unit variance as one, of which `share` of the variance is the first's."""
    return sqrt(share) * shared + sqrt(1 - share) * own


def _unit_volatility(coin: Coin) -> float:
    """Volatility of a minute at log-volatility 0 and season 1, so that a day's comes out as the coin's."""
    spread = exp(2 * (FAST_SD**2 + SLOW_SD**2))  # E[volatility²] of the lognormal
    momentum = (1 + DRIFT * _GAIN / (1 - MEMORY)) ** 2  # a shock and all that follows it through the signal
    return coin.volatility / 100 / sqrt(1440 * spread * (momentum + _JUMP_VARIANCE))


def _waves(day: float, half_day: float, weekend: float) -> Array:
    """A positive pattern over the minutes of a week from the tape's start: exp(two waves a day, weekend)."""
    minute = np.arange(WEEK)
    hour = minute % 1440 / 60
    is_weekend = (minute // 1440 + 4) % 7 >= 5  # the tape starts on a Friday
    wave = day * np.cos(2 * np.pi * (hour - 15) / 24) + half_day * np.cos(4 * np.pi * (hour - 14) / 24)
    return np.exp(wave - weekend * is_weekend)


@lru_cache
def _season() -> Array:
    """Volatility by minute of the week, mean square 1."""
    waves = _waves(day=0.35, half_day=0.10, weekend=0.25)
    return waves / np.sqrt(np.mean(waves**2))


@lru_cache
def _volume_season() -> Array:
    """Volume by minute of the week, mean 1."""
    waves = _waves(day=0.50, half_day=0.15, weekend=0.35)
    return waves / np.mean(waves)


def _quantiles(values: Array, quantile_levels: Sequence[float]) -> Array:
    """Quantiles of each row, [rows, levels], linear between order statistics; a sort beats numpy's own by far here."""
    ordered = np.sort(values, axis=1)
    position = np.asarray(quantile_levels) * (values.shape[1] - 1)
    below = np.minimum(position.astype(int), values.shape[1] - 2)
    return ordered[:, below] + (position - below) * (ordered[:, below + 1] - ordered[:, below])


def _in_block(week: Array) -> Array:
    return np.tile(week, BLOCK // WEEK)


def _aggregate(bars: Array) -> Array:
    """[5, bars, minutes] → [5, bars]: first open, highest high, lowest low, last close, summed volume."""
    opens, highs, lows, closes, volumes = bars
    return np.stack([opens[:, 0], highs.max(1), lows.min(1), closes[:, -1], volumes.sum(1)])


def _refuse(kind: str, message: str) -> NoReturn:
    from ccxt.base import errors

    raise getattr(errors, kind)(message)
