"""The weight of a risky asset in the wealth of one who holds it anyway, by a forecast's width; and how far it moves.

    target     = prior Sharpe ratio / (risk aversion · volatility a year), the mean-variance optimum
    limit      = the largest weight whose expected shortfall at 95 % over the holding period is allowed, at most 1
    half-width = (3 / 2γ · target² (1 − target)² · c)^⅓ of the band in which it stays, c the cost of a side

Merton (1969), Lifetime portfolio selection under uncertainty, Review of Economics and Statistics 51(3); Bollerslev,
Hood, Huss and Pedersen (2018), Risk everywhere, Review of Financial Studies 31(7); Janeček and Shreve (2004),
Asymptotic analysis for optimal investment and consumption with transaction costs, Finance and Stochastics 8(2).

Pure functions over any number of moments [n], of forecasts alone.
"""

from dataclasses import dataclass

import numpy as np

from common.errors import UserError
from forecasting.distribution import Distribution
from market.intervals import DAY

DAYS_A_YEAR = 365.25  # the market never closes
DIGITS = 9  # of weights; further ones depend on the machine
DRIFT_DIGITS = 12  # of weights that prices moved
SHORTFALL = 0.05  # the share of worst outcomes whose mean loss is limited


@dataclass(frozen=True)
class ExposureSettings:
    """An investor: the Sharpe ratio a year that is expected of the asset, relative risk aversion γ, whether a weight
    may be negative, the largest expected shortfall (share of wealth; None: any), and half the width of the no-trade
    band (None: the optimal one). Raises UserError where they make no sense."""

    prior_sharpe: float
    risk_aversion: float
    short: bool = False
    max_shortfall: float | None = None
    band: float | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.risk_aversion) or self.risk_aversion <= 0:
            raise UserError(
                f"decision.risk_aversion: {self.risk_aversion:g} is not above 0, so no weight is best; give 1 to 10"
            )
        if not np.isfinite(self.prior_sharpe):
            raise UserError(f"decision.prior_sharpe: {self.prior_sharpe:g} is no Sharpe ratio; give a finite number")
        if self.prior_sharpe < 0 and not self.short:
            raise UserError(
                f"decision.prior_sharpe: {self.prior_sharpe:g} is below 0, which asks for a short position; "
                "set decision.short: true, or 0 to hold cash"
            )

    @property
    def side(self) -> int:
        """1 of a long position, −1 of a short one."""
        return -1 if self.prior_sharpe < 0 else 1


def annual_volatility(deviation: np.ndarray, steps: int, bar_ms: int) -> np.ndarray:
    """Volatility a year [n] of log returns over `steps` bars of that deviation [n]."""
    return deviation * np.sqrt(DAYS_A_YEAR * DAY / (steps * bar_ms))


def unconstrained_target(volatility: np.ndarray, settings: ExposureSettings) -> np.ndarray:
    """The weight [n] that is the best by volatility a year [n] alone, infinite where there is none."""
    wanted = np.full(np.shape(volatility), settings.prior_sharpe / settings.risk_aversion)
    unlimited = np.where(wanted == 0, 0.0, np.copysign(np.inf, wanted))
    return np.divide(wanted, volatility, out=unlimited, where=np.asarray(volatility) > 0)


def largest_weight(shortfall: np.ndarray, settings: ExposureSettings) -> np.ndarray:
    """The largest absolute weight [n]: 1, or less where its expected shortfall would exceed the limit.

    shortfall [n]: the mean loss of the worst 5 % of a position of weight 1 on the settings' side, a share.
    """
    ones = np.ones(np.shape(shortfall))
    if settings.max_shortfall is None:
        return ones
    allowed = np.divide(settings.max_shortfall, shortfall, out=ones.copy(), where=np.asarray(shortfall) > 0)
    # rounded down: a limit is never passed
    return np.floor(np.minimum(allowed, 1.0) * 10**DIGITS) / 10**DIGITS


def exposure_target(volatility: np.ndarray, shortfall: np.ndarray, settings: ExposureSettings) -> np.ndarray:
    """The weight [n] to hold, were moving free: within [0, 1], or [−1, 1], and the limit of `largest_weight`."""
    limit = largest_weight(shortfall, settings)
    return np.round(np.clip(unconstrained_target(volatility, settings), -limit, limit), DIGITS)


def no_trade_band(
    target: np.ndarray, shortfall: np.ndarray, cost: float, settings: ExposureSettings
) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest weight [n] that are left as they are.

    cost: of a side, a share of what is traded. The band lies within the limits, and on the target's side of 0.
    """
    size, limit = np.abs(target), largest_weight(shortfall, settings)
    half = optimal_half_width(target, cost, settings.risk_aversion) if settings.band is None else settings.band
    near, far = (np.round(edge, DIGITS) for edge in (np.maximum(size - half, 0.0), np.minimum(size + half, limit)))
    far = np.where(target == 0, 0.0, far)
    return (near, far) if settings.side > 0 else (-far, -near)


def optimal_half_width(target: np.ndarray, cost: float, risk_aversion: float) -> np.ndarray:
    """Half the width [n] of the no-trade band around a constant target [n], to the first order in the cost of a side, a
    share (Janeček and Shreve 2004). None at 0 and 1, which need no trade to be kept."""
    return np.cbrt(1.5 / risk_aversion * (target * (1 - target)) ** 2 * cost)


def stopping_cost(target: float, held: float, risk_aversion: float) -> float | None:
    """The cost of a side, a share, from which on the optimal band leaves `held` as it is; None where none is high
    enough."""
    steep = 1.5 / risk_aversion * (target * (1 - target)) ** 2
    return None if steep == 0 else float(abs(target - held) ** 3 / steep)


def rebalanced(held: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The weight [n] after the move: `held` [n], or the edge of the band [n] that is nearest to it."""
    return np.clip(held, low, high)


def shortfall_of(forecast: Distribution, side: int) -> np.ndarray:
    """The mean loss [...] of the worst 5 % of a position of weight 1 or −1 (`side`), a share: exact, by the
    distribution of the log return. Infinite of a short position where the upper tail decays too slowly."""
    if side > 0:
        return 1 - forecast.lower_mean_exponential(SHORTFALL)
    lower = forecast.lower_mean_exponential(1 - SHORTFALL)
    return (forecast.mean_exponential() - (1 - SHORTFALL) * lower) / SHORTFALL - 1


def drifted(weight: float, ratio: float) -> float:
    """What a weight is once its price is multiplied by `ratio`, and nothing was traded."""
    return round(weight * ratio / (1 + weight * (ratio - 1)), DRIFT_DIGITS)
