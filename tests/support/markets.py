"""Candles of stochastic volatility, of which the true volatility is known; candles and their features as files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from common.files import write_json, write_parquet
from market.features import compute_features
from market.intervals import DAY, MINUTE

START = 1_699_833_600_000  # 2023-11-13T00:00:00Z, a Monday
SPANS = [4, 12]
# prices a bar that its high and low are of
TICKS = 12


@dataclass(frozen=True)
class StochasticVolatility:
    """A symbol whose log variance is an AR(1) around a season: `memory`, `noise` of each step, swing by time of day,
    weekends' variance relative to weekdays'."""

    memory: float = 0.99
    noise: float = 0.15
    swing: float = 0.0
    weekend: float = 1.0
    bar_ms: int = MINUTE

    def season(self, timestamp: np.ndarray) -> np.ndarray:
        """Relative variance of the bars that open then."""
        daily = 1 + self.swing * np.sin(2 * np.pi * (timestamp % DAY + self.bar_ms / 2) / DAY)
        return daily * np.where((timestamp // DAY + 3) % 7 >= 5, self.weekend, 1.0)

    def log_variance(self, rows: int, seed: int) -> np.ndarray:
        """The AR(1) [rows], without the season."""
        shocks = np.random.default_rng([seed, 1]).standard_normal(rows)
        return lfilter([self.noise], [1, -self.memory], shocks)

    def candles(self, rows: int, seed: int, start: int = START) -> pd.DataFrame:
        """So many candles from `start` on."""
        timestamp = start + self.bar_ms * np.arange(rows)
        deviation = 1e-3 * np.sqrt(np.exp(self.log_variance(rows, seed)) * self.season(timestamp))
        return candles(timestamp, deviation, seed)

    def expected(self, rows: np.ndarray, log_variance: np.ndarray, horizon: int, start: int = START) -> np.ndarray:
        """True deviation [n, horizon] of the cumulative log returns after each of the rows [n]."""
        ahead = np.arange(1, horizon + 1)
        spread = self.noise**2 * (1 - self.memory ** (2 * ahead)) / (1 - self.memory**2)
        mean = np.exp(log_variance[rows, None] * self.memory**ahead + spread / 2)
        return 1e-3 * np.sqrt(np.cumsum(mean * self.season(start + self.bar_ms * (rows[:, None] + ahead)), axis=1))


def candles(timestamp: np.ndarray, deviation: np.ndarray, seed: int) -> pd.DataFrame:
    """Candles of a walk whose bars have these deviations [rows]."""
    random = np.random.default_rng(seed)
    moves = deviation[:, None] * random.standard_normal((len(deviation), TICKS)) / np.sqrt(TICKS)
    path = 100 * np.exp(np.cumsum(moves.ravel())).reshape(moves.shape)
    opened = np.concatenate([[100.0], path[:-1, -1]])
    return pd.DataFrame(
        {
            "timestamp": timestamp.astype(np.int64),
            "open": opened,
            "high": np.maximum(path.max(axis=1), opened),
            "low": np.minimum(path.min(axis=1), opened),
            "close": path[:, -1],
            "volume": random.exponential(3, len(deviation)),
        }
    )


def breaking(calm: int, broken: int, seed: int, ratio: float = 300.0) -> pd.DataFrame:
    """Candles of a market that is calm for so many minutes and then moves `ratio` times as much, as a stablecoin that
    loses its peg does."""
    deviation = 5e-5 * np.where(np.arange(calm + broken) < calm, 1.0, ratio)
    return candles(START + MINUTE * np.arange(calm + broken), deviation, seed)


def poisoned(frame: pd.DataFrame, after: int) -> pd.DataFrame:
    """The candles with every value changed in the bars that open after that time."""
    spoilt = frame.copy()
    late = frame["timestamp"] > after
    spoilt.loc[late, ["open", "high", "low", "close"]] *= np.linspace(2, 9, int(late.sum()))[:, None]
    spoilt.loc[late, "high"] *= 1.1
    spoilt.loc[late, "volume"] = 1e6
    return spoilt


def write_symbols(folder: Path, frames: Mapping[str, pd.DataFrame], bar_ms: int = MINUTE) -> dict[str, list[str]]:
    """The symbols' candles and features as files; their paths, in the order given."""
    paths: dict[str, list[str]] = {"candles": [], "features": []}
    for symbol, frame in frames.items():
        tables = {"candles": frame, "features": compute_features(frame, None, SPANS, bar_ms)}
        for kind, table in tables.items():
            paths[kind].append(str(folder / kind / f"{symbol}.parquet"))
            write_parquet(paths[kind][-1], table)
    return paths


def write_cutoff(folder: Path, as_of: int) -> str:
    """A cutoff file; its path."""
    write_json(folder / f"{as_of}.json", {"as_of": as_of})
    return str(folder / f"{as_of}.json")


def trending(
    rows: int, seed: int, drift: float, halflife: float = 30.0, start: int = START
) -> tuple[pd.DataFrame, np.ndarray]:
    """Candles of a market with momentum, and each bar's expected return in deviations, known at the bar before: `drift`
    times the average of past shocks, of that half-life and unit variance."""
    random = np.random.default_rng([seed, 2])
    ticks = random.standard_normal((rows, TICKS)) / np.sqrt(TICKS)
    memory = 0.5 ** (1 / halflife)
    signal = lfilter([np.sqrt(1 - memory**2)], [1, -memory], ticks.sum(axis=1))
    expected = drift * np.concatenate([[0.0], signal[:-1]])
    return _of_ticks(100 * np.exp(1e-3 * np.cumsum(ticks + expected[:, None] / TICKS)), random, start), expected


def bouncing(rows: int, seed: int, tick: float = 0.1, start: int = START) -> pd.DataFrame:
    """Candles of trades at bid or ask by chance, a tick apart, around a walk of less than a tick a minute."""
    random = np.random.default_rng([seed, 3])
    walk = 100 + 0.05 * np.cumsum(random.standard_normal(rows * TICKS) / np.sqrt(TICKS))
    trades = np.floor(walk / tick) + (random.random(len(walk)) < walk / tick % 1)
    return _of_ticks(np.round(tick * trades, 9), random, start)


def _of_ticks(prices: np.ndarray, random: np.random.Generator, start: int) -> pd.DataFrame:
    """Candles of minutes of TICKS prices each."""
    bars = prices.reshape(-1, TICKS)
    opened = np.concatenate([[bars[0, 0]], bars[:-1, -1]])
    return pd.DataFrame(
        {
            "timestamp": start + MINUTE * np.arange(len(bars)),
            "open": opened,
            "high": np.maximum(bars.max(axis=1), opened),
            "low": np.minimum(bars.min(axis=1), opened),
            "close": bars[:, -1],
            "volume": random.exponential(3, len(bars)),
        }
    )
