"""The policy `trade`: what the forecast's plans are expected to return after costs, and BUY or HOLD and why.

Functions of a moment's forecast alone: they read no file, and no clock.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from forecasting.documents import Evaluation
from market.intervals import step_ms
from trading.breakeven import trade_breakeven
from trading.costs import Costs, RoundTrip, costs_of
from trading.documents import (
    AGREEMENT,
    BUY,
    EDGE,
    HOLD,
    ORDER,
    PROBABILITY,
    Action,
    Decided,
    Decision,
    PlanFigures,
    TradeConfig,
    Vote,
    plan_of,
)
from trading.entry import EnsembleForecast, Entry, MemberForecast
from trading.exposure import annual_volatility
from trading.gates import LEAST_AGREEMENT, Gate, agreement_gate, gate_result, rising_shares
from trading.interface import Policy
from trading.orders import check_cash, least_order, spent_in_steps
from trading.outlook import DIGITS, Marginals, Outlook, best_plan, outlook, qualifying, share_of
from trading.plans import make_plans
from trading.sizing import Chance, share_spent
from trading.trade_settlement import settle
from trading.trade_text import describe, told

# gates that a BUY always needs
ALWAYS = (EDGE, PROBABILITY, ORDER)


def decide(
    forecast: EnsembleForecast,
    members: Mapping[str, MemberForecast],
    evaluation: Evaluation,
    entry: Entry,
    config: TradeConfig,
    gates: Sequence[Gate],
    held: float,
) -> tuple[Decided, pd.DataFrame]:
    """The decision on the ensemble forecast, and all plans with what each is expected to leave (`plan_table`).

    held: of no account here. Raises UserError on cash too small to buy, and on quantiles or paths that are none.
    """
    costs, cash = costs_of(config, entry.market), config["cash"]
    check_cash(costs, cash, entry.market, entry.close)
    marginals = Marginals(forecast.quantile_levels, forecast.quantiles)
    plans = make_plans(marginals.distribution.deviation(), config["exits"], config["take_profit"], config["stop"])
    found = outlook(plans, marginals, forecast.paths, costs, cash)
    middle = list(forecast.quantile_levels).index(0.5)
    weights = {name: member.weight for name, member in members.items()}
    rising = rising_shares({name: member.path[:, middle] for name, member in members.items()}, weights)
    admitted = (rising >= LEAST_AGREEMENT)[plans.step - 1] | (AGREEMENT not in config["require"])
    qualified = qualifying(found, share_of(config["min_edge_pct"]), config["min_probability"], admitted)
    best = best_plan(found, qualified)
    step = int(plans.step[best])
    ratio, spent = float(found.ratio[best]), _spent(found, best, marginals, entry, config)
    conditions = [
        *gates,
        agreement_gate(float(rising[step - 1]), f"forecast a rise by {entry.step_times[step - 1]}"),
        *_plan_gates(found, best, config, costs),
        *_order_gate(spent, ratio, entry, config, costs),
    ]
    action, reason, failed = _verdict(conditions, config["require"], hopeless=not found.probability.any())
    amount = spent if action == BUY else cash
    trade, median = costs.round_trip(amount, entry.close, entry.close * ratio), float(marginals.median[step - 1])
    table = plan_table(found, qualified, entry)
    decided: Decided = {
        "decision": _decision(trade, amount, entry, step, median, (action, reason)),
        "plan": _figures(table, best, median),
        "exposure": None,
        "market": entry.market,
        "votes": {name: _vote(members[name], middle, evaluation, name, entry, config) for name in sorted(members)},
        "gates": [gate_result(gate, (*config["require"], *ALWAYS)) for gate in conditions],
        "breakeven": trade_breakeven(marginals, found, best, entry, config, failed),
    }
    return decided, table


def _decision(
    trade: RoundTrip, spent: float, entry: Entry, step: int, median: float, verdict: tuple[Action, str]
) -> Decision:
    """The plan, and what is expected of it. median: log return at its exit; verdict: the action, and why."""
    action, reason = verdict
    return {
        "action": action,
        "reason": reason,
        "entry_time": entry.time,
        "entry_price": entry.close,
        "target_time": entry.step_times[step - 1],
        "target_price": float(entry.close * np.exp(median)),
        "expected_return_pct": trade.return_pct,
        "expected_pnl_usd": trade.pnl,
        "commission_total_usd": trade.commission,
        "spent_usd": spent,
    }


def _verdict(conditions: Sequence[Gate], require: Sequence[str], hopeless: bool) -> tuple[Action, str, list[str]]:
    """BUY or HOLD, why, and the required gates that failed.

    The reason is the first of these as a sentence, or all required ones that passed. hopeless: can no plan earn its
    costs? That is then the reason, whatever else failed.
    """
    required = [gate for gate in conditions if gate.name in (*require, *ALWAYS)]
    failed = [gate for gate in required if not gate.passed]
    told = [gate for gate in failed if gate.name == EDGE or not hopeless][:1] or required
    reason = "; ".join(gate.detail for gate in told)
    return HOLD if failed else BUY, reason[0].upper() + reason[1:] + ".", [gate.name for gate in failed]


def _spent(found: Outlook, best: int, marginals: Marginals, entry: Entry, config: TradeConfig) -> float:
    """What of the cash a BUY of the best plan spends."""
    step = int(found.plans.step[best])
    deviation = marginals.distribution.deviation()[step - 1]
    volatility = round(float(annual_volatility(deviation, step, step_ms(config["interval"]))), 9)
    share = share_spent(config, Chance(float(found.fraction[best]), volatility))
    costs, cash = costs_of(config, entry.market), config["cash"] * share
    return spent_in_steps(cash, entry.close, costs, entry.market) if cash > costs.commission_flat else 0.0


def _order_gate(spent: float, ratio: float, entry: Entry, config: TradeConfig, costs: Costs) -> list[Gate]:
    """Is what is spent as much as the exchange asks, and as the flat commission takes to earn the edge? No gate where
    all of the cash is spent and the exchange asks nothing."""
    least = least_order(entry.market, entry.close)
    if spent == config["cash"] and not least:
        return []
    worth = costs.least_cash(ratio, share_of(config["min_edge_pct"]))
    needed = max(least, worth) if np.isfinite(worth) else least
    passed = spent >= needed and spent > 0
    detail = (
        f"decision.sizing ({config['sizing']}) spends {spent:.2f} of the cash, "
        f"{'at least' if passed else 'less than'} the smallest order that the exchange admits and that earns its flat "
        f"commission ({needed:.2f})"
    )
    return [Gate(ORDER, passed, round(spent, 7), round(needed, 7), detail)]


def plan_table(found: Outlook, qualified: np.ndarray, entry: Entry) -> pd.DataFrame:
    """A row a plan: its exit and levels (in deviations, and as prices), what it is expected to leave, and whether it
    qualifies for a BUY, the gates apart."""
    plans = found.plans
    upper, lower = (
        [float(f"{price:.10g}") if np.isfinite(price) and price else np.nan for price in entry.close * np.exp(level)]
        for level in (plans.upper, plans.lower)
    )
    return pd.DataFrame(
        {
            "exit_step": plans.step,
            "exit_time": [entry.step_times[step - 1] for step in plans.step],
            "take_profit": plans.take_profit,
            "stop": plans.stop,
            "take_profit_price": upper,
            "stop_price": lower,
            "expected_return_pct": _percent(found.expected),
            "standard_error_pct": _percent(found.error),
            "probability_of_profit": found.probability,
            "expected_shortfall_pct": _percent(found.shortfall),
            "fraction": found.fraction,
            "log_growth_pct": _percent(found.growth),
            "qualifies": qualified,
        }
    )


def _percent(shares: np.ndarray) -> np.ndarray:
    """Shares [...] in percent, rounded: further digits depend on the machine."""
    return np.round(100 * shares, 7)


def _figures(table: pd.DataFrame, best: int, median: float) -> PlanFigures:
    row = table.iloc[best]
    return {
        "exit_step": int(row["exit_step"]),
        "take_profit_price": None if np.isnan(row["take_profit_price"]) else float(row["take_profit_price"]),
        "stop_price": None if np.isnan(row["stop_price"]) else float(row["stop_price"]),
        "median_return_pct": round(100 * float(np.expm1(median)), 7),
        "expected_return_pct": float(row["expected_return_pct"]),
        "standard_error_pct": float(row["standard_error_pct"]),
        "probability_of_profit": float(row["probability_of_profit"]),
        "expected_shortfall_pct": float(row["expected_shortfall_pct"]),
        "fraction": float(row["fraction"]),
        "log_growth_pct": float(row["log_growth_pct"]),
    }


def _plan_gates(found: Outlook, best: int, config: TradeConfig, costs: Costs) -> list[Gate]:
    """Does the best plan leave enough, and often enough?"""
    edge, least = 100 * float(found.expected[best]), config["min_edge_pct"]
    sure = float(found.surely[best])
    passed = sure >= share_of(least)
    error = f" ± {100 * found.margin * found.error[best]:.3f}" if found.error[best] else ""
    detail = (
        f"the ensemble's expected return after costs is {edge:+.3f}{error} % by its best plan, "
        f"{'at least' if passed else 'less than'} min_edge_pct ({least:g} %)"
    )
    if not found.probability.any():
        rise = 100 * (costs.ratio_of(config["cash"], 0.0) - 1)
        detail = f"no plan can earn its costs: they take a rise of {rise:.3g} %, and the forecast reaches that nowhere"
    chance, likely = float(found.probability[best]), config["min_probability"]
    enough = chance >= likely
    probable = (
        f"the best plan earns something with a probability of {100 * chance:.1f} %, "
        f"{'at least' if enough else 'less than'} min_probability ({100 * likely:g} %)"
    )
    return [
        Gate(EDGE, passed, round(100 * sure, 7), least, detail),
        Gate(PROBABILITY, enough, chance, likely, probable),
    ]


def _vote(
    member: MemberForecast, middle: int, evaluation: Evaluation, name: str, entry: Entry, config: TradeConfig
) -> Vote:
    """What a member's median alone would decide: to sell at the step of its largest return, the earliest of equals."""
    costs, scores = costs_of(config, entry.market), evaluation["members"].get(name)
    ratio = np.exp(member.path[:, middle])
    left = costs.net_return(config["cash"], costs.kept(np.arange(1, len(ratio) + 1)) * ratio)
    best = int(np.round(left, DIGITS).argmax())
    target = float(entry.close * ratio[best])
    earned = costs.round_trip(config["cash"], entry.close, target, best + 1).return_pct
    return {
        "action": BUY if earned >= config["min_edge_pct"] else HOLD,
        "target_time": entry.step_times[best],
        "target_price": target,
        "expected_return_pct": earned,
        "exposure": None,
        "weight": member.weight,
        "pinball": scores["pinball"] if scores else None,
    }


def _merit(decided: Decided) -> tuple[float, ...]:
    plan = plan_of(decided)
    return plan["log_growth_pct"], plan["expected_return_pct"], plan["probability_of_profit"]


POLICY = Policy(decide, settle, describe, told, _merit)
