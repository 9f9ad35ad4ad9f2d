"""The market's state at a bar, known at its close: its local volatility, and whether the price jumped of late."""

import numpy as np
import pandas as pd

from forecasting.bars import returns
from market.indicators import segments
from market.intervals import DAY

YEAR = 365 * DAY
# bars after a jump that count as such
AFTERMATH = 100
# with which probability a year without a jump holds a return that counts as one
JUMP_LEVEL = 0.05
# products of successive returns that a volatility needs at least
FEWEST_PRODUCTS = 30


def local_volatility(log_returns: np.ndarray, bar_ms: int) -> np.ndarray:
    """Deviation [rows] of a bar's log return by the bipower variation of the latest bars, which one jump leaves alone.

    σ² = π/2 · mean |rₜ| |rₜ₋₁| over the root of a year's bars; log_returns [rows], NaN after a gap. NaN where less than
    `FEWEST_PRODUCTS` are known. Barndorff-Nielsen and Shephard (2004), J. Financial Econometrics 2(1).
    """
    size = pd.Series(np.abs(log_returns))
    window = int(np.ceil(np.sqrt(YEAR / bar_ms)))
    mean = (size * size.shift()).rolling(window, min_periods=min(window, FEWEST_PRODUCTS)).mean()
    return np.sqrt(np.pi / 2 * np.maximum(mean.to_numpy(), 0))


def jump_threshold(bar_ms: int) -> float:
    """How many local deviations a return must exceed to be a jump.

    A year of n Gaussian returns has one beyond it with probability `JUMP_LEVEL`, by the limit law of their maximum:
    Lee and Mykland (2008), Jumps in financial markets, Review of Financial Studies 21(6).
    """
    n = YEAR / bar_ms
    root = np.sqrt(2 * np.log(n))
    centre = root - (np.log(np.pi) + np.log(np.log(n))) / (2 * root)
    return float(centre - np.log(-np.log(1 - JUMP_LEVEL)) / root)


def market_state(log_close: pd.Series, bar_ms: int) -> pd.DataFrame:
    """`volatility` (`local_volatility`) and `after_jump` of each bar, by its open time (ms), as `log_close` is.

    A bar jumps if its return exceeds `jump_threshold` times the volatility of the bar before; `after_jump` says whether
    one of the latest `AFTERMATH` bars, itself included, did.
    """
    times = log_close.index.to_numpy()
    change = returns(log_close.to_numpy(), segments(times, bar_ms))
    volatility = local_volatility(change, bar_ms)
    usual = np.concatenate([[np.nan], volatility[:-1]])
    # where no two successive bars moved there is nothing to measure a jump by
    jump = (np.abs(change) > jump_threshold(bar_ms) * usual) & (usual > 0)
    after = pd.Series(jump.astype(np.float64)).rolling(AFTERMATH, min_periods=1).max() > 0
    return pd.DataFrame({"volatility": volatility, "after_jump": after.to_numpy()}, index=log_close.index)
