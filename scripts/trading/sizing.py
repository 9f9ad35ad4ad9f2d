"""How much of the cash a BUY spends."""

from collections.abc import Callable
from typing import NamedTuple

from trading.documents import Sizing, TradeConfig


class Chance(NamedTuple):
    """What sizes hang on: the Kelly fraction of the plan, and the volatility of its holding period as one a year."""

    kelly: float
    volatility: float


def share_spent(config: TradeConfig, chance: Chance) -> float:
    """The share of the cash, from 0 to 1, that `decision.sizing` spends."""
    return min(1.0, max(0.0, SIZINGS[config["sizing"]](config, chance)))


def _to_volatility(config: TradeConfig, chance: Chance) -> float:
    target = config["target_volatility_pct"] / 100
    return target / chance.volatility if chance.volatility > target else 1.0


# by decision.sizing
SIZINGS: dict[Sizing, Callable[[TradeConfig, Chance], float]] = {
    "all": lambda config, chance: 1.0,
    "fraction": lambda config, chance: config["sizing_fraction"],
    "kelly": lambda config, chance: config["kelly_cap"] * chance.kelly,
    "volatility": _to_volatility,
}
