"""Money: what a fill costs, and what a buy and a later sale leave. The one place where it is computed.

With close p, slippage s, commission c (both shares of one, a side) and flat commission f (cash, a side):

    buy fill   = p · (1 + s)            units    = (cash − f) / (buy fill · (1 + c))
    sell fill  = p · (1 − s)            proceeds = units · sell fill · (1 − c) − f
    pnl        = proceeds − cash        return   = pnl / cash
    breakeven  = the close at which proceeds = cash
    rebalance  : x bought leaves the weight w = (h W + x) / (W − κ x − f) of wealth W, h before; its cost is κ x + f,
                 κ = (1 + s) (1 + c) − 1; of a sale 1 − (1 − s) (1 − c)

So the return is linear in the sale's close over the entry's, the price ratio: ((cash − f) k ratio − f) / cash − 1, with
k = (1 − s) (1 − c) / ((1 + s) (1 + c)). A sale as maker pays another commission, and funding is charged on what a sale
leaves: both multiply the price ratio, `kept`.
"""

from dataclasses import dataclass, replace

import numpy as np

from common.errors import UserError
from market.intervals import DAY, step_ms
from trading.documents import Market, TradeConfig

# the share of a position's value that funding leaves at least
LEAST_KEPT = 1e-9


@dataclass(frozen=True)
class RoundTrip:
    """A buy and the sale of all that was bought. Fills are prices; the rest is cash, but for units and percent."""

    units: float
    entry_fill: float
    sell_fill: float
    commission: float
    funding: float
    pnl: float
    return_pct: float


@dataclass(frozen=True)
class Rebalance:
    """A change of weight. amount: what is traded at the close, in cash, positive if bought; commission, cost: in cash,
    the latter with slippage; weight: that of the position in the wealth that is left."""

    amount: float
    commission: float
    cost: float
    weight: float


@dataclass(frozen=True)
class Costs:
    """What trading costs: `commission_pct` and `slippage_pct` in percent a side, `commission_flat` in cash a side.

    maker_commission_pct: of a take-profit's sale; None: as all others. funding_pct: percent of a position's value a
    day, which a long position pays and a short one gets; borrow_pct: what a short one pays beside. bar_days: days of a
    bar.
    """

    commission_pct: float
    commission_flat: float
    slippage_pct: float
    maker_commission_pct: float | None = None
    funding_pct: float = 0.0
    borrow_pct: float = 0.0
    bar_days: float = 1.0

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

    def price_of(self, units: float, entry_close: float) -> float:
        """The cash that buys so many units, commissions included."""
        return units * self.buy_fill(entry_close) * (1 + self.commission_pct / 100) + self.commission_flat

    def round_trip(
        self, cash: float, entry_close: float, sell_close: float, steps: int = 0, maker: bool = False
    ) -> RoundTrip:
        """Buy with all of `cash` at one close, sell all at another, `steps` bars later, as maker or not.

        Raises UserError as `units` does.
        """
        units = self.units(cash, entry_close)
        entry_fill, sell_fill = self.buy_fill(entry_close), self.sell_fill(sell_close)
        sale, rate = units * sell_fill, self._maker_pct if maker else self.commission_pct
        sell_commission = sale * rate / 100 + self.commission_flat
        # at most the whole value
        funding = (sale - sale * rate / 100) * min(self.funding_pct / 100 * self.bar_days * steps, 1 - LEAST_KEPT)
        pnl = sale - sell_commission - funding - cash
        return RoundTrip(
            units=units,
            entry_fill=entry_fill,
            sell_fill=sell_fill,
            commission=cash - units * entry_fill + sell_commission,
            funding=funding,
            pnl=pnl,
            return_pct=100 * pnl / cash,
        )

    def funded(self, steps: np.ndarray) -> np.ndarray:
        """The share [...] of a long position's value that funding leaves after `steps` bars [...]."""
        return self._carried(1.0, steps)

    def kept(self, steps: np.ndarray, maker: np.ndarray | bool = False) -> np.ndarray:
        """What a price ratio is multiplied by [...] for a sale after `steps` bars [...], as maker or not."""
        return self.funded(steps) * np.where(maker, (1 - self._maker_pct / 100) / (1 - self.commission_pct / 100), 1.0)

    def net_return(self, cash: float, ratio: np.ndarray) -> np.ndarray:
        """Return of round trips, a share of `cash`, by their price ratio [...]. Raises UserError as `units` does."""
        return self.ratio_slope(cash) * ratio - self.commission_flat / cash - 1

    def ratio_slope(self, cash: float) -> float:
        """By how much the return, a share of `cash`, rises with the price ratio. Raises UserError as `units` does."""
        return self.units(cash, 1.0) * self._got_per_close() / cash

    def ratio_of(self, cash: float, net: float) -> float:
        """The price ratio at which the return is `net`, a share of `cash`. Raises UserError as `units` does."""
        return (1 + net + self.commission_flat / cash) / self.ratio_slope(cash)

    def least_cash(self, ratio: float, net: float) -> float:
        """The cash from which on a round trip of that price ratio returns `net`, a share of it; infinite where none
        does. It is 0 without a flat commission."""
        free = replace(self, commission_flat=0.0).ratio_slope(1.0) * ratio
        if free - 1 <= net:
            return 0.0 if free - 1 == net and not self.commission_flat else np.inf
        return self.commission_flat * (free + 1) / (free - 1 - net)

    def commission_at(self, cash: float, ratio: np.ndarray, net: float) -> np.ndarray:
        """The commission, in percent a side, at which a round trip of that price ratio [...] returns `net`.

        Negative where it returns less without any. Raises UserError as `units` does.
        """
        cheapest = replace(self, commission_pct=0.0)
        # k of the commission alone, (1 − c) / (1 + c)
        kept = cheapest.ratio_of(cash, net) / ratio
        return 100 * (1 - kept) / (1 + kept)

    def breakeven_close(self, cash: float, entry_close: float, steps: int = 0) -> float:
        """Close at which a sale gives back `cash`. Raises UserError as `units` does."""
        left = self._got_per_close() * float(self.funded(np.array(steps)))
        return (cash + self.commission_flat) / (self.units(cash, entry_close) * left)

    @property
    def side_cost(self) -> float:
        """The cost of a side as a share of what is traded, mean of purchase and sale, the flat commission apart."""
        return (self.commission_pct + self.slippage_pct) / 100

    def rebalance(self, wealth: float, held: float, weight: float) -> Rebalance:
        """Trade so that a weight of `held` becomes `weight` of the wealth that is left after costs.

        Nothing is traded where the flat commission eats the move, or the wealth.
        """
        buys = weight > held
        rate = self._rate(buys)
        amount = ((weight - held) * wealth - weight * self.commission_flat) / (1 + weight * rate)
        if weight == held or wealth <= self.commission_flat or (amount > 0) != buys:
            return self.traded(wealth, held, 0.0)
        return replace(self.traded(wealth, held, amount), weight=weight)

    def traded(self, wealth: float, held: float, amount: float) -> Rebalance:
        """Trade an amount, in cash at the close, positive if bought, from a weight of `held`."""
        if amount == 0:
            return Rebalance(0.0, 0.0, 0.0, held)
        slip = self.slippage_pct / 100 * (1 if amount > 0 else -1)
        commission = abs(amount) * (1 + slip) * self.commission_pct / 100 + self.commission_flat
        cost = self._rate(amount > 0) * amount + self.commission_flat
        return Rebalance(amount, commission, cost, (held * wealth + amount) / (wealth - cost))

    def growth(self, weight: float, ratio: np.ndarray, steps: np.ndarray | int) -> np.ndarray:
        """What wealth is multiplied by [...] where a weight of it, negative if short, is held over `steps` bars [...]
        of that price ratio [...]: funding and the borrowing of a short position are charged on its value at the end."""
        return 1 + weight * (ratio * self._carried(weight, steps) - 1)

    def earning_ratio(self, weight: float, cost: float, steps: int) -> float | None:
        """The price ratio after `steps` bars at which a weight has earned the cost of the move there, a share of the
        wealth; None of no weight."""
        return (1 + cost / (1 - cost) / weight) / float(self._carried(weight, steps)) if weight else None

    def _carried(self, weight: float, steps: np.ndarray | int) -> np.ndarray:
        daily = self.funding_pct if weight >= 0 else self.funding_pct - self.borrow_pct
        return np.maximum(1 - daily / 100 * self.bar_days * np.asarray(steps), LEAST_KEPT)

    def _rate(self, buys: bool) -> float:
        """The cost of a side as a share of what is traded: of a purchase positive, of a sale negative."""
        paid = (1 + self.slippage_pct / 100) * (1 + self.commission_pct / 100)
        return (paid if buys else self._got_per_close()) - 1

    @property
    def _maker_pct(self) -> float:
        return self.commission_pct if self.maker_commission_pct is None else self.maker_commission_pct

    def _got_per_close(self) -> float:
        return (1 - self.slippage_pct / 100) * (1 - self.commission_pct / 100)


def costs_of(config: TradeConfig, market: Market) -> Costs:
    """What trading costs by a decision's config, on a market as it was then. Raises UserError where slippage leaves
    nothing."""
    slippage_pct = config["slippage_pct"] + config["slippage_range_share"] * market["recent_range_pct"]
    if slippage_pct >= 100:
        raise UserError(
            f"consensus.slippage_range_share: a slippage of {slippage_pct:.2f} % leaves nothing of a sale, so no trade "
            "is possible; give a smaller share"
        )
    return Costs(
        commission_pct=config["commission_pct"],
        commission_flat=config["commission_flat"],
        slippage_pct=slippage_pct,
        maker_commission_pct=config["maker_commission_pct"],
        funding_pct=config["funding_pct"],
        borrow_pct=config["borrow_pct"],
        bar_days=step_ms(config["interval"]) / DAY,
    )
