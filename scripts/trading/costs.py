"""Money: what a fill costs, and what a buy and a later sale leave. The one place where it is computed.

With close p, slippage s, commission c (both shares of one, a side) and flat commission f (cash, a side):

    buy fill   = p · (1 + s)            units    = (cash − f) / (buy fill · (1 + c))
    sell fill  = p · (1 − s)            proceeds = units · sell fill · (1 − c) − f
    pnl        = proceeds − cash        return   = pnl / cash
    breakeven  = the close at which proceeds = cash

    rebalance  : x bought leaves the weight w = (h W + x) / (W − κ x − f) of wealth W, h before; its cost is κ x + f,
                 κ = (1 + s) (1 + c) − 1; of a sale 1 − (1 − s) (1 − c)

So the return is linear in the sale's close over the entry's, the price ratio: ((cash − f) k ratio − f) / cash − 1, with
k = (1 − s) (1 − c) / ((1 + s) (1 + c)).
"""

from dataclasses import dataclass

import numpy as np

from common.errors import UserError
from trading.documents import TradeConfig


@dataclass(frozen=True)
class RoundTrip:
    """A buy and the sale of all that was bought. Fills are prices; the rest is cash, but for units and percent."""

    units: float
    entry_fill: float
    sell_fill: float
    commission: float
    pnl: float
    return_pct: float


@dataclass(frozen=True)
class Rebalance:
    """A change of weight. amount: what is traded at the close, in cash, positive if bought; cost: in cash; weight: that
    of the position in the wealth that is left."""

    amount: float
    cost: float
    weight: float


@dataclass(frozen=True)
class Costs:
    """What trading costs: `commission_pct` and `slippage_pct` in percent a side, `commission_flat` in cash a side."""

    commission_pct: float
    commission_flat: float
    slippage_pct: float

    def buy_fill(self, close: float) -> float:
        """Price paid for a unit when the candle closes at `close`."""
        return close * (1 + self.slippage_pct / 100)

    def sell_fill(self, close: float) -> float:
        """Price got for a unit when the candle closes at `close`."""
        return close * (1 - self.slippage_pct / 100)

    def units(self, cash: float, entry_close: float) -> float:
        """Units that `cash` buys, commissions included. Raises UserError if the flat commission is as much."""
        if cash <= self.commission_flat:
            raise UserError(
                f"consensus.cash: {cash:g} is not more than consensus.commission_flat ({self.commission_flat:g}), "
                "so it buys nothing; give more cash"
            )
        return (cash - self.commission_flat) / (self.buy_fill(entry_close) * (1 + self.commission_pct / 100))

    def round_trip(self, cash: float, entry_close: float, sell_close: float) -> RoundTrip:
        """Buy with all of `cash` at one close, sell all at another. Raises UserError as `units` does."""
        units = self.units(cash, entry_close)
        entry_fill, sell_fill = self.buy_fill(entry_close), self.sell_fill(sell_close)
        sale = units * sell_fill
        sell_commission = sale * self.commission_pct / 100 + self.commission_flat
        pnl = sale - sell_commission - cash
        return RoundTrip(
            units=units,
            entry_fill=entry_fill,
            sell_fill=sell_fill,
            commission=cash - units * entry_fill + sell_commission,
            pnl=pnl,
            return_pct=100 * pnl / cash,
        )

    def net_return(self, cash: float, ratio: np.ndarray) -> np.ndarray:
        """Return of round trips, a share of `cash`, by their price ratio [...]. Raises UserError as `units` does."""
        return self.ratio_slope(cash) * ratio - self.commission_flat / cash - 1

    def ratio_slope(self, cash: float) -> float:
        """By how much the return, a share of `cash`, rises with the price ratio. Raises UserError as `units` does."""
        return self.units(cash, 1.0) * self._got_per_close() / cash

    def ratio_of(self, cash: float, net: float) -> float:
        """The price ratio at which the return is `net`, a share of `cash`. Raises UserError as `units` does."""
        return (1 + net + self.commission_flat / cash) / self.ratio_slope(cash)

    def commission_at(self, cash: float, ratio: np.ndarray, net: float) -> np.ndarray:
        """The commission, in percent a side, at which a round trip of that price ratio [...] returns `net`.

        Negative where it returns less without any. Raises UserError as `units` does.
        """
        cheapest = Costs(0.0, self.commission_flat, self.slippage_pct)
        # k of the commission alone, (1 − c) / (1 + c)
        kept = cheapest.ratio_of(cash, net) / ratio
        return 100 * (1 - kept) / (1 + kept)

    def breakeven_close(self, cash: float, entry_close: float) -> float:
        """Close at which a sale gives back `cash`. Raises UserError as `units` does."""
        return (cash + self.commission_flat) / (self.units(cash, entry_close) * self._got_per_close())

    @property
    def side_cost(self) -> float:
        """The cost of a side as a share of what is traded, mean of purchase and sale, the flat commission apart."""
        return (self.commission_pct + self.slippage_pct) / 100

    def rebalance(self, wealth: float, held: float, weight: float) -> Rebalance:
        """Trade so that a weight of `held` becomes `weight` of the wealth that is left after costs.

        Nothing is traded where the flat commission eats the move, or the wealth.
        """
        buys = weight > held
        rate = (1 + self.slippage_pct / 100) * (1 + self.commission_pct / 100) - 1
        if not buys:
            rate = self._got_per_close() - 1
        # a sale is a negative amount at a negative rate
        amount = ((weight - held) * wealth - weight * self.commission_flat) / (1 + weight * rate)
        if weight == held or wealth <= self.commission_flat or (amount > 0) != buys:
            return Rebalance(0.0, 0.0, held)
        return Rebalance(amount, rate * amount + self.commission_flat, weight)

    def _got_per_close(self) -> float:
        return (1 - self.slippage_pct / 100) * (1 - self.commission_pct / 100)


def costs_of(config: TradeConfig) -> Costs:
    """What trading costs by a decision's config."""
    return Costs(config["commission_pct"], config["commission_flat"], config["slippage_pct"])
