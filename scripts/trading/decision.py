"""The decision: what the forecast's plans are expected to return after costs, and BUY or HOLD and why.

Functions of a moment's forecast alone: they read no file, and no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.errors import UserError
from forecasting.documents import Evaluation
from market.intervals import MINUTE
from trading.costs import costs_of
from trading.documents import (
    AGREEMENT,
    BUY,
    EDGE,
    HOLD,
    PROBABILITY,
    Action,
    Breakeven,
    Decided,
    GateResult,
    PlanFigures,
    TradeConfig,
    Vote,
)
from trading.gates import LEAST_AGREEMENT, Gate, agreement_gate, rising_shares
from trading.outlook import (
    DIGITS,
    Marginals,
    Outlook,
    best_plan,
    flipping_commission,
    needed_median,
    outlook,
    qualifying,
)
from trading.plans import exit_steps, make_plans

# columns of the table of plans, rounded: further digits depend on the machine
PERCENT = ("expected_return_pct", "standard_error_pct", "expected_shortfall_pct", "log_growth_pct")


@dataclass(frozen=True)
class Entry:
    """When and at which close a plan buys, and the time of each step's close; times are UTC text."""

    time: str
    close: float
    step_times: Sequence[str]


@dataclass(frozen=True)
class MemberForecast:
    """A member's forecast path, quantiles [steps, levels], and its weight in the ensemble."""

    path: np.ndarray
    weight: float


@dataclass(frozen=True)
class EnsembleForecast:
    """The ensemble's quantiles [steps, levels] of cumulative log returns from the entry's close, and sample paths of
    them [steps, n]."""

    quantile_levels: Sequence[float]
    quantiles: np.ndarray
    paths: np.ndarray


def steps_ahead(horizon_minutes: int, horizon: int, bar_ms: int) -> int:
    """Steps of `bar_ms` milliseconds within `horizon_minutes` minutes.

    Raises UserError unless it is a positive multiple of the interval within the `horizon` steps.
    """
    minutes = bar_ms // MINUTE
    if horizon_minutes % minutes or not minutes <= horizon_minutes <= horizon * minutes:
        raise UserError(
            f"consensus.horizon_minutes: {horizon_minutes} is not a whole number of bars within the horizon; "
            f"it may be a multiple of {minutes} from {minutes} to {horizon * minutes}"
        )
    return horizon_minutes // minutes


def decide(
    forecast: EnsembleForecast,
    members: Mapping[str, MemberForecast],
    evaluation: Evaluation,
    entry: Entry,
    config: TradeConfig,
    gates: Sequence[Gate],
) -> tuple[Decided, pd.DataFrame]:
    """The decision on the ensemble forecast, and all plans with what each is expected to leave (`plan_table`).

    gates: those that do not hang on the plan. Raises UserError on cash too small to buy, and on quantiles or paths that
    are none.
    """
    costs, cash = costs_of(config), config["cash"]
    marginals = Marginals(forecast.quantile_levels, forecast.quantiles)
    plans = make_plans(marginals.distribution.deviation(), config["exits"], config["take_profit"], config["stop"])
    found = outlook(plans, marginals, forecast.paths, costs, cash)
    middle = list(forecast.quantile_levels).index(0.5)
    weights = {name: member.weight for name, member in members.items()}
    rising = rising_shares({name: member.path[:, middle] for name, member in members.items()}, weights)
    admitted = (rising >= LEAST_AGREEMENT)[plans.step - 1] | (AGREEMENT not in config["require"])
    qualified = qualifying(found, _share(config["min_edge_pct"]), config["min_probability"], admitted)
    best = best_plan(found, qualified)
    step = int(plans.step[best])
    exit_time = entry.step_times[step - 1]
    conditions = [*gates, agreement_gate(float(rising[step - 1]), exit_time), *_plan_gates(found, best, config)]
    action, reason, failed = _verdict(conditions, config["require"], hopeless=not found.probability.any())
    trade = costs.round_trip(cash, entry.close, entry.close * float(found.ratio[best]))
    table = plan_table(found, qualified, entry)
    decided: Decided = {
        "decision": {
            "action": action,
            "reason": reason,
            "entry_time": entry.time,
            "entry_price": entry.close,
            "target_time": exit_time,
            "target_price": float(entry.close * np.exp(marginals.median[step - 1])),
            "expected_return_pct": trade.return_pct,
            "expected_pnl_usd": trade.pnl,
            "commission_total_usd": trade.commission,
        },
        "plan": _figures(table, best, float(marginals.median[step - 1])),
        "votes": {name: _vote(members[name], middle, evaluation, name, entry, config) for name in sorted(members)},
        "gates": [_result(gate, config["require"]) for gate in conditions],
        "breakeven": _breakeven(marginals, step, entry, config, failed),
    }
    return decided, table


def _verdict(conditions: Sequence[Gate], require: Sequence[str], hopeless: bool) -> tuple[Action, str, list[str]]:
    """BUY or HOLD, why, and the required gates that failed.

    The reason is the first of these as a sentence, or all required ones that passed. hopeless: can no plan earn its
    costs? That is then the reason, whatever else failed.
    """
    required = [gate for gate in conditions if gate.name in (*require, EDGE, PROBABILITY)]
    failed = [gate for gate in required if not gate.passed]
    told = [gate for gate in failed if gate.name == EDGE or not hopeless][:1] or required
    reason = "; ".join(gate.detail for gate in told)
    return HOLD if failed else BUY, reason[0].upper() + reason[1:] + ".", [gate.name for gate in failed]


def _result(gate: Gate, require: Sequence[str]) -> GateResult:
    """A gate as the document has it."""
    return {
        "name": gate.name,
        "required": gate.name in (*require, EDGE, PROBABILITY),
        "passed": gate.passed,
        "figure": gate.figure,
        "threshold": gate.threshold,
        "detail": gate.detail,
    }


def _share(percent: float) -> float:
    """A percentage as a share, of the digits that shares are told with."""
    return round(percent / 100, DIGITS)


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
            "expected_return_pct": 100 * found.expected,
            "standard_error_pct": 100 * found.error,
            "probability_of_profit": found.probability,
            "expected_shortfall_pct": 100 * found.shortfall,
            "fraction": found.fraction,
            "log_growth_pct": 100 * found.growth,
            "qualifies": qualified,
        }
    ).round(dict.fromkeys(PERCENT, 7))


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


def _plan_gates(found: Outlook, best: int, config: TradeConfig) -> list[Gate]:
    """Does the best plan leave enough, and often enough?"""
    edge, least = 100 * float(found.expected[best]), config["min_edge_pct"]
    sure = float(found.surely[best])
    passed = sure >= _share(least)
    error = f" ± {100 * found.margin * found.error[best]:.3f}" if found.error[best] else ""
    detail = (
        f"the ensemble's expected return after costs is {edge:+.3f}{error} % by its best plan, "
        f"{'at least' if passed else 'less than'} min_edge_pct ({least:g} %)"
    )
    if not found.probability.any():
        rise = 100 * (costs_of(config).ratio_of(config["cash"], 0.0) - 1)
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


def _breakeven(marginals: Marginals, step: int, entry: Entry, config: TradeConfig, failed: list[str]) -> Breakeven:
    """What a sale must reach to return the cash, and what would have to be for a BUY."""
    costs, cash = costs_of(config), config["cash"]
    limits = costs, cash, _share(config["min_edge_pct"]), config["min_probability"]
    price = costs.breakeven_close(cash, entry.close)
    exits = exit_steps(len(marginals.quantiles), config["exits"])
    return {
        "price": price,
        "return_pct": 100 * (price / entry.close - 1),
        "median_return_pct": round(100 * float(np.expm1(needed_median(marginals, step, *limits))), 7),
        "commission_pct": flipping_commission(marginals, exits, *limits),
        "failed_gates": failed,
    }


def _vote(
    member: MemberForecast, middle: int, evaluation: Evaluation, name: str, entry: Entry, config: TradeConfig
) -> Vote:
    """What a member's median alone would decide: to sell at the step of its largest return, the earliest of equals."""
    costs, scores = costs_of(config), evaluation["members"].get(name)
    targets = (entry.close * np.exp(member.path[:, middle])).tolist()
    returns = [costs.round_trip(config["cash"], entry.close, target).return_pct for target in targets]
    best = returns.index(max(returns))
    return {
        "action": BUY if returns[best] >= config["min_edge_pct"] else HOLD,
        "target_time": entry.step_times[best],
        "target_price": targets[best],
        "expected_return_pct": returns[best],
        "weight": member.weight,
        "pinball": scores["pinball"] if scores else None,
    }
