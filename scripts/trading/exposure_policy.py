"""The policy `exposure`: how much of the wealth to hold, by the forecast's width; and BUY, SELL or HOLD and why.

Functions of a moment's forecast alone: they read no file, and no clock.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from common.errors import UserError
from forecasting.documents import Evaluation, MemberScores
from trading.breakeven import exposure_breakeven
from trading.costs import Costs, Rebalance, costs_of
from trading.documents import (
    BUY,
    HOLD,
    SELL,
    Action,
    Decided,
    Decision,
    Exposure,
    TradeConfig,
    Vote,
    exposure_of,
)
from trading.entry import EnsembleForecast, Entry, MemberForecast
from trading.exposure import DIGITS, ExposureSettings, largest_weight, unconstrained_target
from trading.exposure_outlook import Width, width_of
from trading.exposure_settlement import settle
from trading.exposure_text import describe, reason, told
from trading.gates import Gate, agreement_gate, gate_result
from trading.interface import Policy
from trading.orders import admitted, check_cash
from trading.outlook import Marginals


def decide(
    forecast: EnsembleForecast,
    members: Mapping[str, MemberForecast],
    evaluation: Evaluation,
    entry: Entry,
    config: TradeConfig,
    gates: Sequence[Gate],
    held: float,
) -> tuple[Decided, pd.DataFrame]:
    """The decision on the ensemble forecast's width, and the table of what else could be held (`weight_table`).

    held: the weight before. A required gate that fails keeps the position from growing; it forces no trade. Raises
    UserError on a weight or an investor that makes no sense, on cash too small to trade, and on quantiles that are
    none.
    """
    costs, cash, levels = costs_of(config, entry.market), config["cash"], forecast.quantile_levels
    median = float(Marginals(levels, forecast.quantiles).median[-1])
    width, held = width_of(levels, forecast.quantiles, config), float(held)
    check_held(held, width.settings)
    check_cash(costs, cash, entry.market, entry.close)
    votes = {
        name: _vote(member, width_of(levels, member.path, config), evaluation["members"].get(name), held, entry, config)
        for name, member in sorted(members.items())
    }
    wanted = width.moved(held, costs.side_cost)
    conditions = [*gates, _agreement(votes, _action(wanted - held))]
    failed = [gate for gate in conditions if gate.name in config["require"] and not gate.passed]
    allowed = without_growth(wanted, held) if failed else wanted
    move = admitted(costs.rebalance(cash, held, allowed), cash, held, entry.close, costs, entry.market)
    exposure, blocking = _exposure(width, held, move, costs, cash), failed[0].detail if allowed != wanted else ""
    why = reason(exposure, config, blocking, too_small=allowed != held and not move.amount)
    decided: Decided = {
        "decision": _decision(move, _net(width, move, cash, costs), cash, entry, median, why),
        "plan": None,
        "exposure": exposure,
        "market": entry.market,
        "votes": votes,
        "gates": [gate_result(gate, config["require"]) for gate in conditions],
        "breakeven": exposure_breakeven(width, held, move, entry, config, [gate.name for gate in failed]),
    }
    return decided, weight_table(width, held, move, costs, cash)


def _decision(move: Rebalance, net: float, wealth: float, entry: Entry, median: float, why: str) -> Decision:
    """The move, and what is expected of the weight: `net`, a share of the wealth. median: log return at the end."""
    return {
        "action": _action(move.amount),
        "reason": why,
        "entry_time": entry.time,
        "entry_price": entry.close,
        "target_time": entry.step_times[-1],
        "target_price": float(entry.close * np.exp(median)),
        "expected_return_pct": 100 * net,
        "expected_pnl_usd": wealth * net,
        "commission_total_usd": move.commission,
        "spent_usd": move.amount + move.cost,
    }


def check_held(held: float, settings: ExposureSettings) -> None:
    """Raise UserError unless `held` is a weight that the investor may hold."""
    least = -1 if settings.short else 0
    if not least <= held <= 1:
        raise UserError(f"decision.held_weight: {held:g} is no weight that may be held; it must be from {least} to 1")


def without_growth(weight: float, held: float) -> float:
    """The weight, or what is nearest to it without a larger position than `held`, long or short."""
    return min(max(weight, min(held, 0.0)), max(held, 0.0))


def weight_table(width: Width, held: float, move: Rebalance, costs: Costs, wealth: float) -> pd.DataFrame:
    """A row a weight that could be held: what is decided, the target were moving free, that held before, cash, and all
    of the wealth; with the move there, its cost, and what it is expected to leave."""
    others = {"target": width.target, "held": held, "cash": 0.0, "full": float(width.settings.side)}
    moves = {"decided": move, **{name: costs.rebalance(wealth, held, weight) for name, weight in others.items()}}
    return pd.DataFrame(
        [
            {
                "alternative": name,
                "weight": one.weight,
                "traded_usd": one.amount,
                "cost_usd": one.cost,
                "expected_return_pct": 100 * _net(width, one, wealth, costs),
                "expected_shortfall_pct": width.shortfall_pct(one.weight),
                "log_growth_pct": round(100 * width.growth(one.weight, one.cost / wealth, costs), 7),
            }
            for name, one in moves.items()
        ]
    )


def _net(width: Width, move: Rebalance, wealth: float, costs: Costs) -> float:
    return round(width.net(move.weight, move.cost / wealth, costs), DIGITS)


def _action(change: float) -> Action:
    return BUY if change > 0 else SELL if change < 0 else HOLD


def _exposure(width: Width, held: float, move: Rebalance, costs: Costs, wealth: float) -> Exposure:
    low, high = width.band(costs.side_cost)
    uncapped = float(unconstrained_target(width.volatility, width.settings))
    return {
        "held": held,
        "uncapped": round(uncapped, DIGITS) if np.isfinite(uncapped) else None,
        "target": width.target,
        "weight": move.weight,
        "band_low": low,
        "band_high": high,
        "largest": float(largest_weight(width.shortfall, width.settings)),
        "volatility_pct": round(100 * float(width.volatility), 7),
        "expected_shortfall_pct": width.shortfall_pct(move.weight),
        "log_growth_pct": round(100 * width.growth(move.weight, move.cost / wealth, costs), 7),
        "traded_usd": move.amount,
        "cost_usd": move.cost,
    }


def _agreement(votes: Mapping[str, Vote], action: Action) -> Gate:
    """Would most of the members' weight move as the ensemble does?"""
    total = sum(vote["weight"] for vote in votes.values())
    same = sum(vote["weight"] for vote in votes.values() if vote["action"] == action)
    return agreement_gate(round(same / total, 6) if total else 0.0, f"decide {action} by their own width")


def _vote(
    member: MemberForecast, width: Width, scores: MemberScores | None, held: float, entry: Entry, config: TradeConfig
) -> Vote:
    """What a member's width alone would decide."""
    costs, cash = costs_of(config, entry.market), config["cash"]
    move = costs.rebalance(cash, held, width.moved(held, costs.side_cost))
    middle = width.forecast.quantile(0.5)
    return {
        "action": _action(move.amount),
        "target_time": entry.step_times[-1],
        "target_price": float(entry.close * np.exp(middle)),
        "expected_return_pct": 100 * _net(width, move, cash, costs),
        "exposure": move.weight,
        "weight": member.weight,
        "pinball": scores["pinball"] if scores else None,
    }


def _merit(decided: Decided) -> tuple[float, ...]:
    exposure = exposure_of(decided)
    return exposure["log_growth_pct"], decided["decision"]["expected_return_pct"]


POLICY = Policy(decide, settle, describe, told, _merit)
