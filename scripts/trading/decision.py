"""The decision: what the forecasts are expected to return after costs, BUY or HOLD and why; and its seal."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import UserError
from forecasting.documents import Evaluation
from forecasting.members import display_name
from market.intervals import MINUTE
from trading.costs import Costs, RoundTrip
from trading.documents import Action, Decided, TradeConfig, Vote

BUY: Action = "BUY"
HOLD: Action = "HOLD"


@dataclass(frozen=True)
class Entry:
    """When and at which close the plan buys, and the time of each step's close; times are UTC text."""

    time: str
    close: float
    step_times: Sequence[str]


@dataclass(frozen=True)
class MemberForecast:
    """A member's forecast path, quantiles [steps, levels]; its weight in the ensemble; and the SHA-256 of its file."""

    path: np.ndarray
    weight: float
    sha256: str


@dataclass(frozen=True)
class Plan:
    """Buy at the entry, sell at the close of `step` (1 …), forecast to be `target`; what that is expected to return."""

    step: int
    target: float
    trade: RoundTrip


@dataclass(frozen=True)
class Gate:
    """A condition of a BUY. `detail` is a clause with its numbers, true as it stands whether passed or not."""

    name: str
    passed: bool
    detail: str


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


def best_plan(targets: np.ndarray, entry_close: float, cash: float, costs: Costs) -> Plan:
    """The step whose price in `targets` [steps] has the largest return after costs; the earliest of equals."""
    trades = [costs.round_trip(cash, entry_close, target) for target in targets.tolist()]
    best = max(range(len(trades)), key=lambda position: trades[position].return_pct)
    return Plan(best + 1, float(targets[best]), trades[best])


def gates(plan: Plan, evaluation: Evaluation, config: TradeConfig, freshness: Gate | None) -> list[Gate]:
    """The conditions of a BUY in the order in which they are tested; skill only if it is required, freshness only of a
    decision on the present."""
    min_edge_pct = config["min_edge_pct"]
    edge = plan.trade.return_pct
    passed = edge >= min_edge_pct
    detail = (
        f"the ensemble's expected return after costs is {edge:+.3f} % at its best step, "
        f"{'at least' if passed else 'less than'} min_edge_pct ({min_edge_pct:g} %)"
    )
    first = [*([freshness] if freshness else []), *([_skill_gate(evaluation)] if config["require_skill"] else [])]
    return [*first, Gate("edge", passed, detail)]


def freshness_gate(age: float, bar_ms: int) -> Gate:
    """Is the decision sealed at most one bar after the close that it stands on? age: seconds since that."""
    passed = age <= bar_ms / 1000
    verb = "at most" if passed else "more than"
    again = "" if passed else "; decide again on fresh candles: make refresh"
    detail = f"the decision is sealed {age:.0f} s after its last close, {verb} one bar ({bar_ms / 1000:g} s){again}"
    return Gate("freshness", passed, detail)


def _skill_gate(evaluation: Evaluation) -> Gate:
    model, skill = evaluation["evaluated_model"], evaluation["skill_vs_best_baseline"]
    difference = evaluation["difference"]
    if model is None or skill is None or difference is None:
        return Gate("skill", False, "no model has forecasts in every fold, so its skill is unknown")
    verb = "beats" if skill > 0 else "does not beat"
    significance = "" if difference["significant"] else ", not significant"
    detail = (
        f"{display_name(model)} {verb} the best baseline ({evaluation['best_baseline']}): "
        f"its skill is {100 * skill:+.2f} %{significance}"
    )
    return Gate("skill", skill > 0, detail)


def action_and_reason(conditions: Sequence[Gate]) -> tuple[Action, str]:
    """BUY if all passed, and why: the first gate that failed, or all that passed, as a sentence."""
    failed = [gate for gate in conditions if not gate.passed]
    reason = "; ".join(gate.detail for gate in failed[:1] or conditions)
    return (HOLD if failed else BUY), reason[0].upper() + reason[1:] + "."


def decide(
    path: np.ndarray,
    members: Mapping[str, MemberForecast],
    quantile_levels: Sequence[float],
    evaluation: Evaluation,
    entry: Entry,
    config: TradeConfig,
    freshness: Gate | None = None,
) -> Decided:
    """The decision on the ensemble forecast, and what each of its members' forecasts would decide.

    path: the ensemble forecast, quantiles [steps, levels] of cumulative log returns from the entry's close; its median
    is what the plan expects. freshness: the gate of a decision on the present, else None. Raises UserError on cash too
    small to buy.
    """
    costs = Costs(config["commission_pct"], config["commission_flat"], config["slippage_pct"])
    median = list(quantile_levels).index(0.5)

    def plan_of(forecast: np.ndarray) -> Plan:
        return best_plan(entry.close * np.exp(forecast[:, median]), entry.close, config["cash"], costs)

    def vote(name: str) -> Vote:
        member, plan = members[name], plan_of(members[name].path)
        scores = evaluation["members"].get(name)
        return {
            "action": BUY if plan.trade.return_pct >= config["min_edge_pct"] else HOLD,
            "target_time": entry.step_times[plan.step - 1],
            "target_price": plan.target,
            "expected_return_pct": plan.trade.return_pct,
            "weight": member.weight,
            "pinball": scores["pinball"] if scores else None,
            "forecast_sha256": member.sha256,
        }

    plan = plan_of(path)
    conditions = gates(plan, evaluation, config, freshness)
    action, reason = action_and_reason(conditions)
    breakeven = costs.breakeven_close(config["cash"], entry.close)
    return {
        "decision": {
            "action": action,
            "reason": reason,
            "entry_time": entry.time,
            "entry_price": entry.close,
            "target_time": entry.step_times[plan.step - 1],
            "target_price": plan.target,
            "expected_return_pct": plan.trade.return_pct,
            "expected_pnl_usd": plan.trade.pnl,
            "commission_total_usd": plan.trade.commission,
        },
        "votes": {name: vote(name) for name in sorted(members)},
        "gates": [{"name": gate.name, "passed": gate.passed, "detail": gate.detail} for gate in conditions],
        "breakeven": {"price": breakeven, "return_pct": 100 * (breakeven / entry.close - 1)},
    }


def seal(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the document's canonical JSON, `seal` itself left out: keys sorted, no spaces, ASCII."""
    rest = {key: value for key, value in document.items() if key != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(document: Mapping[str, Any], source: str) -> None:
    """Raise UserError, naming `source`, unless the document's `seal` is that of its content."""
    if document.get("seal") != seal(document):
        raise broken_seal(source)


def broken_seal(source: str) -> UserError:
    """The error of a decision, or of a part of it in `source`, that is not what was sealed."""
    return UserError(
        f"{source}: the decision was changed after it was sealed, so its audit would prove nothing; "
        "delete it and run again to decide anew"
    )
