"""The decision: who is listened to, what they expect after costs, BUY or HOLD and why; and its seal."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from forecasting.members import display_name
from market.intervals import MINUTE
from trading.costs import Costs, RoundTrip

BUY, HOLD = "BUY", "HOLD"


@dataclass(frozen=True)
class Market:
    """Where the decision is taken: the close at the origin, and the moment (text) that each step's close falls at."""

    entry_time: str
    entry_close: float
    times: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """Buy now, sell at the close of `step` (1 …) forecast to be `target`; what that should leave."""

    step: int
    target: float
    trade: RoundTrip


@dataclass(frozen=True)
class Gate:
    """A condition of a BUY. `detail` is a clause with its numbers, true as it stands whether passed or not."""

    name: str
    passed: bool
    detail: str


def steps_ahead(horizon_minutes: int, horizon: int, step: int) -> int:
    """Steps of `step` ms within `horizon_minutes` minutes.

    Raises UserError unless it is a positive multiple of the interval within the `horizon` steps.
    """
    minutes = step // MINUTE
    if horizon_minutes % minutes or not minutes <= horizon_minutes <= horizon * minutes:
        raise UserError(
            f"consensus.horizon_minutes: {horizon_minutes} is not a whole number of bars within the horizon; "
            f"it may be a multiple of {minutes} from {minutes} to {horizon * minutes}"
        )
    return horizon_minutes // minutes


def best_plan(targets: np.ndarray, entry_close: float, cash: float, costs: Costs) -> Plan:
    """The step whose price in `targets` [steps] leaves most after costs; the earliest of equals."""
    trades = [costs.round_trip(cash, entry_close, target) for target in targets.tolist()]
    best = max(range(len(trades)), key=lambda position: trades[position].return_pct)
    return Plan(best + 1, float(targets[best]), trades[best])


def gates(plan: Plan, evaluation: Mapping[str, Any], min_edge_pct: float, require_skill: bool) -> list[Gate]:
    """The conditions of a BUY in the order in which they are asked; skill only if it is required."""
    edge = plan.trade.return_pct
    enough = edge >= min_edge_pct
    detail = (
        f"the ensemble expects {edge:+.3f} % after costs at its best step, "
        f"{'at least' if enough else 'less than'} the {min_edge_pct:g} % of min_edge_pct"
    )
    asked = [_skill_gate(evaluation)] if require_skill else []
    return [*asked, Gate("edge", enough, detail)]


def _skill_gate(evaluation: Mapping[str, Any]) -> Gate:
    if evaluation["evaluated_model"] is None:
        return Gate("skill", False, "no model forecast every fold: there is no skill to go by")
    best, skill, who = (
        evaluation["best_baseline"],
        evaluation["skill_vs_best_baseline"],
        display_name(evaluation["evaluated_model"]),
    )
    if skill is None:
        return Gate("skill", False, f"{who}'s skill against the best baseline ({best}) is not known")
    verb = "beats" if skill > 0 else "does not beat"
    doubt = "" if evaluation["difference"]["significant"] else ", not significant"
    return Gate(
        "skill", skill > 0, f"{who} {verb} the best baseline ({best}): its skill is {100 * skill:+.2f} %{doubt}"
    )


def judge(asked: Sequence[Gate]) -> tuple[str, str]:
    """Action and reason: the first gate that failed, or all that passed, as a sentence."""
    failed = [gate for gate in asked if not gate.passed]
    told = failed[:1] or list(asked)
    reason = "; ".join(gate.detail for gate in told)
    return (HOLD if failed else BUY), reason[0].upper() + reason[1:] + "."


def decide(
    path: np.ndarray,
    paths: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    quantile_levels: Sequence[float],
    evaluation: Mapping[str, Any],
    market: Market,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """All that is decided, ready for JSON (forecast, decision, votes, gates, breakeven).

    path: the ensemble forecast, quantiles [steps, levels] of cumulative log returns from the entry's close; its median
    is what the plan expects. paths: each member's own, and `weights`: what each has in it. settings: the config's
    `consensus` section. Raises UserError on cash too small to buy.
    """
    costs = Costs(settings["commission_pct"], settings["commission_flat"], settings["slippage_pct"])
    median = list(quantile_levels).index(0.5)

    def plan_of(own: np.ndarray) -> Plan:
        return best_plan(market.entry_close * np.exp(own[:, median]), market.entry_close, settings["cash"], costs)

    plan = plan_of(path)
    asked = gates(plan, evaluation, settings["min_edge_pct"], settings["require_skill"])
    action, reason = judge(asked)
    breakeven = costs.breakeven_close(settings["cash"], market.entry_close)
    return {
        "forecast": {
            "t0_iso": market.entry_time,
            "times": list(market.times),
            "price_forecast": (market.entry_close * np.exp(path[:, median])).tolist(),
            "model_name": "+".join(sorted(weights)),
        },
        "decision": {
            "action": action,
            "reason": reason,
            "entry_time": market.entry_time,
            "entry_price": market.entry_close,
            "target_time": market.times[plan.step - 1],
            "target_price": plan.target,
            "expected_return_pct": plan.trade.return_pct,
            "expected_pnl_usd": plan.trade.pnl,
            "commission_total_usd": plan.trade.commission,
        },
        "votes": {
            name: _vote(plan_of(paths[name]), market, settings["min_edge_pct"])
            | {"weight": weights.get(name, 0.0), "pinball": _loss(evaluation, name)}
            for name in sorted(paths)
        },
        "gates": [{"name": gate.name, "passed": gate.passed, "detail": gate.detail} for gate in asked],
        "breakeven": {"price": breakeven, "return_pct": 100 * (breakeven / market.entry_close - 1)},
    }


def _vote(plan: Plan, market: Market, min_edge_pct: float) -> dict[str, Any]:
    return {
        "action": BUY if plan.trade.return_pct >= min_edge_pct else HOLD,
        "target_time": market.times[plan.step - 1],
        "target_price": plan.target,
        "expected_return_pct": plan.trade.return_pct,
    }


def _loss(evaluation: Mapping[str, Any], name: str) -> float | None:
    return evaluation["members"].get(name, {}).get("pinball")


def digest(file: str | Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def seal(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the document's canonical JSON, `seal` itself left out: keys sorted, no spaces, ASCII."""
    rest = {key: value for key, value in document.items() if key != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(document: Mapping[str, Any], source: str) -> None:
    """Raise UserError, naming `source`, unless the document's `seal` is that of its content."""
    if not isinstance(document, dict) or document.get("seal") != seal(document):
        raise broken_seal(source)


def broken_seal(source: str) -> UserError:
    """The error of a decision, or of a part of it in `source`, that is not what was sealed."""
    return UserError(
        f"{source}: the decision was changed after it was sealed, so its audit would prove nothing; "
        "delete it and run again to decide anew"
    )
