"""What would have to be for another decision: prices, medians and commissions at which it flips."""

from dataclasses import replace

import numpy as np

from trading.costs import Costs, Rebalance, costs_of
from trading.documents import Breakeven, CostSheet, TradeConfig
from trading.entry import Entry
from trading.exposure_outlook import Width
from trading.outlook import DIGITS, Marginals, Outlook, flipping_commission, needed_median, share_of
from trading.plans import exit_steps

# commissions of a sheet, and the least of its range, in percent
COUNT, LEAST_RANGE = 17, 0.1


def trade_breakeven(
    marginals: Marginals, found: Outlook, best: int, entry: Entry, config: TradeConfig, failed: list[str]
) -> Breakeven:
    """What a sale of the best plan must reach to return the cash, and what would have to be for a BUY."""
    costs, cash = costs_of(config, entry.market), config["cash"]
    limits = costs, cash, share_of(config["min_edge_pct"]), config["min_probability"]
    step = int(found.plans.step[best])
    price = costs.breakeven_close(cash, entry.close, step)
    exits = exit_steps(len(marginals.quantiles), config["exits"])
    flip = flipping_commission(marginals, exits, *limits)
    grid = commissions(costs, flip)
    ratio = np.exp(marginals.expected[exits - 1]) * costs.kept(exits)
    best_return = [float(replace(costs, commission_pct=one).net_return(cash, ratio).max()) for one in grid]
    sheet: CostSheet = {
        "commission_pct": grid,
        "expected_return_pct": [round(100 * value, 7) for value in best_return],
        "qualifies": [flip is not None and one <= flip for one in grid],
        "weight": None,
    }
    return {
        "price": price,
        "return_pct": 100 * (price / entry.close - 1),
        "median_return_pct": round(100 * float(np.expm1(needed_median(marginals, step, *limits))), 7),
        "edge_pct": round(config["min_edge_pct"] - 100 * float(found.surely[best]), 7),
        "commission_pct": flip,
        "failed_gates": failed,
        "sheet": sheet,
    }


def exposure_breakeven(
    width: Width, held: float, move: Rebalance, entry: Entry, config: TradeConfig, failed: list[str]
) -> Breakeven:
    """What the price must reach to earn the cost of the move, and the commission at which it stops, or would start."""
    costs = costs_of(config, entry.market)
    ratio = costs.earning_ratio(move.weight, move.cost / config["cash"], width.steps)
    stop = width.stopping_cost(held)
    at = 100 * stop - costs.slippage_pct if stop is not None else -1.0
    flip = round(at, DIGITS) if 0 <= at < 100 else None
    # a move from cash stops at no commission that anyone asks
    shown = flip is not None and flip <= 10 * max(costs.commission_pct, LEAST_RANGE)
    grid = commissions(costs, flip if shown else None)
    sheet: CostSheet = {
        "commission_pct": grid,
        "expected_return_pct": None,
        "qualifies": None,
        "weight": [width.moved(held, replace(costs, commission_pct=one).side_cost) for one in grid],
    }
    return {
        "price": None if ratio is None else entry.close * ratio,
        "return_pct": None if ratio is None else 100 * (ratio - 1),
        "median_return_pct": None,
        "edge_pct": None,
        "commission_pct": flip,
        "failed_gates": failed,
        "sheet": sheet,
    }


def commissions(costs: Costs, flip: float | None) -> list[float]:
    """Commissions, percent a side, from none to beyond the present one and the one that flips the decision, which is
    among them."""
    highest = min(max(2 * costs.commission_pct, 1.5 * (flip or 0.0), LEAST_RANGE), 99.0)
    even = [round(value, 6) for value in np.linspace(0.0, highest, COUNT).tolist()]
    return sorted({*even, *([] if flip is None else [flip])})
