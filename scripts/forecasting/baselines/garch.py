"""GARCH(1,1) with Student-t shocks, fitted by arch, and filtered historical simulation around it.

Bollerslev (1987), A conditionally heteroskedastic time series model for speculative prices and rates of return,
Review of Economics and Statistics 69(3).
"""

import warnings
from math import floor

import numpy as np
from arch.univariate import GARCH, StudentsT, ZeroMean
from scipy.signal import lfilter

from forecasting.bars import Bars, TooShortError, enough, returns
from forecasting.baselines.fhs import fhs
from forecasting.baselines.interface import Settings

# returns that the likelihood is taken of, the latest ones
RETURNS = 20_000


def garch_fhs(history: Bars, bars: Bars, origins: np.ndarray, settings: Settings) -> np.ndarray:
    """Deviations of a GARCH(1,1)-t with the quantiles that returns had in units of them; see `baselines.Member`.

    σ²ₜ₊₁ = ω + α rₜ² + β σ²ₜ, and h steps ahead σ̄² + (α + β)^(h − 1) (σ²ₜ₊₁ − σ̄²), summed over the steps.
    """
    enough(history, settings.horizon, 20)
    mean, alpha, beta = fit_garch(returns(history.log_close, history.segment))
    ahead = settings.ahead
    # Σ (α + β)^(i − 1) for i = 1 … h
    memory = np.cumsum((alpha + beta) ** (ahead - 1.0))

    def scale(part: Bars, rows: np.ndarray) -> np.ndarray:
        squares = np.nan_to_num(returns(part.log_close, part.segment) ** 2, nan=mean)
        # the recursion in differences to the mean, from 0
        excess = lfilter([alpha], [1.0, -beta], squares - mean)[rows, None]
        return np.sqrt(np.maximum(mean * ahead + memory * excess, 1e-3 * mean * ahead))

    return fhs(scale, history, bars, origins, settings)


def fit_garch(moves: np.ndarray) -> tuple[float, float, float]:
    """Mean variance, α and β of log returns [n] (NaN at gaps) by maximum likelihood; persistence at most 0.9999.

    Raises TooShortError when none of them moves.
    """
    known = moves[np.isfinite(moves)]
    # the optimiser wants returns of about 1
    unit = float(known.std())
    if not unit:
        raise TooShortError("the price never moves")
    model = ZeroMean(known[-RETURNS:] / unit, volatility=GARCH(), distribution=StudentsT(), rescale=False)
    with warnings.catch_warnings():
        # where it does not converge, what it found is still a forecast, judged as any other
        warnings.simplefilter("ignore")
        found = model.fit(disp="off", show_warning=False, tol=1e-12).params
    alpha, beta = float(found["alpha[1]"]), float(found["beta[1]"])
    shrink = min(1.0, 0.9999 / max(alpha + beta, 1e-9))
    # further digits are the machine's; cut, so that the sum stays below one
    alpha, beta = (floor(1e4 * shrink * share) / 1e4 for share in (alpha, beta))
    # the sample's variance as the mean: near a unit root ω / (1 − α − β) is anything
    return unit**2, alpha, beta
