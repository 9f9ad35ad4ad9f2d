"""What the width of one moment's forecast says of the weight to hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from forecasting.distribution import Distribution
from market.intervals import DAY, step_ms
from trading.costs import Costs
from trading.documents import TradeConfig
from trading.exposure import (
    DAYS_A_YEAR,
    DIGITS,
    ExposureSettings,
    annual_volatility,
    exposure_target,
    largest_weight,
    no_trade_band,
    rebalanced,
    shortfall_of,
    stopping_cost,
)
from trading.outlook import check_quantiles


@dataclass(frozen=True)
class Width:
    """The forecast of the holding period's end: its distribution, the period in steps of `bar_ms`, and the investor.

    All figures are rounded: further digits depend on the machine.
    """

    forecast: Distribution
    steps: int
    bar_ms: int
    settings: ExposureSettings

    @cached_property
    def deviation(self) -> float:
        """Of the log return over the holding period."""
        return round(float(self.forecast.deviation()), DIGITS + 3)

    @property
    def years(self) -> float:
        """The holding period in years."""
        return self.steps * self.bar_ms / (DAYS_A_YEAR * DAY)

    @cached_property
    def volatility(self) -> np.ndarray:
        """Volatility a year."""
        return np.round(annual_volatility(np.array(self.deviation), self.steps, self.bar_ms), DIGITS)

    @cached_property
    def shortfall(self) -> np.ndarray:
        """The mean loss of the worst 5 % of a position of weight 1 on the investor's side."""
        return np.round(shortfall_of(self.forecast, self.settings.side), DIGITS)

    @property
    def target(self) -> float:
        """The weight to hold, were moving free."""
        return float(exposure_target(self.volatility, self.shortfall, self.settings))

    def band(self, cost: float) -> tuple[float, float]:
        """The weights that are left as they are, by the cost of a side."""
        low, high = no_trade_band(np.array(self.target), self.shortfall, cost, self.settings)
        return float(low), float(high)

    def stopping_cost(self, held: float) -> float | None:
        """The cost of a side, a share, from which on `held` is left as it is; None where none is high enough, or the
        band does not hang on it."""
        side, largest = self.settings.side, float(largest_weight(self.shortfall, self.settings))
        if self.settings.band is not None or held * side < 0 or abs(held) > largest:
            return None
        return stopping_cost(self.target, held, self.settings.risk_aversion)

    def moved(self, held: float, cost: float) -> float:
        """The weight after the move."""
        return float(rebalanced(np.array(held), *map(np.array, self.band(cost))))

    def net(self, weight: float, cost: float, costs: Costs) -> float:
        """The expected return of holding a weight, a share of the wealth, after a move that cost such a share: by the
        prior Sharpe ratio, not by the forecast's direction."""
        premium = self.settings.prior_sharpe * float(self.volatility) * self.years
        return float((1 - cost) * costs.growth(weight, np.array(1 + premium), self.steps)) - 1

    def growth(self, weight: float, cost: float, costs: Costs) -> float:
        """The expected log growth of the wealth, to the second order in the return."""
        return float(np.log1p(self.net(weight, cost, costs))) - (weight * self.deviation) ** 2 / 2

    def shortfall_pct(self, weight: float) -> float:
        """The mean return of the worst 5 % of holding a weight, in percent of the wealth."""
        loss = float(shortfall_of(self.forecast, -1 if weight < 0 else 1))
        return round(0.0 - 100 * abs(weight) * loss, 7)


def width_of(quantile_levels: Sequence[float], quantiles: np.ndarray, config: TradeConfig) -> Width:
    """The width of quantiles [steps, levels] at the last step. Raises UserError on quantiles that are none, and on an
    investor that makes no sense."""
    check_quantiles(quantiles)
    last = Distribution(quantile_levels, quantiles[-1])
    return Width(last, len(quantiles), step_ms(config["interval"]), settings_of(config))


def settings_of(config: TradeConfig) -> ExposureSettings:
    """The investor of a decision's config."""
    limit = config["max_shortfall_pct"]
    return ExposureSettings(
        prior_sharpe=config["prior_sharpe"],
        risk_aversion=config["risk_aversion"],
        short=config["short"],
        max_shortfall=None if limit is None else limit / 100,
        band=config["band"],
    )
