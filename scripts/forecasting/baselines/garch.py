"""GARCH(1,1) with Student-t shocks, fitted by arch, and filtered historical simulation of its deviations.

Bollerslev (1987), A conditionally heteroskedastic time series model for speculative prices and rates of return,
Review of Economics and Statistics 69(3).
"""

import warnings
from math import floor, sqrt

import numpy as np
from arch.univariate import GARCH, StudentsT, ZeroMean
from scipy.signal import lfilter

from forecasting.bars import Bars, InsufficientHistoryError, require_windows, returns, smooth, typical_variance
from forecasting.baselines.fhs import fhs
from forecasting.baselines.har import RECENT
from forecasting.baselines.interface import BaselineSettings, SymbolSeries
from forecasting.task import Task

# returns that the likelihood is taken of, the latest ones
RETURNS = 20_000


def garch_fhs(series: SymbolSeries, task: Task, settings: BaselineSettings) -> np.ndarray:
    """FHS of a GARCH(1,1)-t's deviations: quantiles [origins, horizon, levels]. Raises InsufficientHistoryError.

    σ²ₜ₊₁ = ω + α rₜ² + β σ²ₜ, and h steps ahead σ̄² + (α + β)^(h − 1) (σ²ₜ₊₁ − σ̄²), summed over the steps.
    """
    require_windows(series.history, task.horizon, 20)
    history = returns(series.history.log_close, series.history.segment)
    mean, alpha, beta = fit_garch(history, typical_variance(history**2, series.history.bar_ms))
    # Σ (α + β)^(i − 1) for i = 1 … h
    memory = np.cumsum((alpha + beta) ** (task.steps - 1.0))

    def deviation(bars: Bars, rows: np.ndarray) -> np.ndarray:
        squares = np.nan_to_num(returns(bars.log_close, bars.segment) ** 2, nan=mean)
        excess = excess_variance(squares, mean, alpha, beta)[rows, None]
        latest = RECENT * smooth(squares, task.horizon)[rows, None]
        return np.sqrt(np.maximum(mean * task.steps + memory * excess, latest * task.steps))

    return fhs(deviation, series, task)


def excess_variance(squares: np.ndarray, mean: float, alpha: float, beta: float) -> np.ndarray:
    """σ²ₜ₊₁ − σ̄² [n] after each of the squared returns [n]: the recursion in differences to the mean, from 0."""
    return lfilter([alpha], [1.0, -beta], squares - mean)


def fit_garch(log_returns: np.ndarray, variance: float) -> tuple[float, float, float]:
    """Mean variance, α and β of log returns [n] (NaN at gaps) by maximum likelihood; persistence at most 0.9999.

    variance: taken as the mean one, since near a unit root ω / (1 − α − β) is anything. The returns' own would be a
    break's where there was one, and all that came before it too quiet.

    Raises InsufficientHistoryError when all returns are equal.
    """
    finite = log_returns[np.isfinite(log_returns)]
    # the optimiser wants returns of about 1
    spread = sqrt(variance)
    if not spread:
        raise InsufficientHistoryError("the price never changes")
    model = ZeroMean(finite[-RETURNS:] / spread, volatility=GARCH(), distribution=StudentsT(), rescale=False)
    with warnings.catch_warnings():
        # where it does not converge, the last parameters still give a forecast, which is evaluated as any other
        warnings.simplefilter("ignore")
        params = model.fit(disp="off", show_warning=False, tol=1e-12).params
    alpha, beta = float(params["alpha[1]"]), float(params["beta[1]"])
    shrink = min(1.0, 0.9999 / max(alpha + beta, 1e-9))
    # further digits depend on the machine; rounded down, so that the sum stays below one
    alpha, beta = (floor(1e4 * shrink * value) / 1e4 for value in (alpha, beta))
    return variance, alpha, beta
