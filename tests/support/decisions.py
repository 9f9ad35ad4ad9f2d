"""A moment's decision without files: three 5-minute steps from a close of 100, and what is forecast of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import pandas as pd

from forecasting.documents import Evaluation
from forecasting.paths.sampling import marginals, schaake_shuffle
from support.evaluations import LEVELS, evaluation
from trading.costs import Costs
from trading.decision import decide
from trading.documents import Action, Decided, Trade, TradeConfig, plan_of
from trading.entry import EnsembleForecast, Entry, MemberForecast
from trading.gates import Gate, calibration_gate, skill_gate
from trading.seal import seal

TIMES = ["2024-06-01T00:05:00Z", "2024-06-01T00:10:00Z", "2024-06-01T00:15:00Z"]
ENTRY = Entry("2024-06-01T00:00:00Z", 100.0, TIMES)
HARSH = Costs(commission_pct=1, commission_flat=2, slippage_pct=1)  # 1 % commission and 2 cash a side, 1 % slippage
FREE: TradeConfig = {
    "symbol": "BTCUSDT",
    "interval": "5m",
    "horizon": 3,
    "horizon_minutes": 15,
    "cash": 1000,
    "commission_pct": 0,
    "commission_flat": 0,
    "maker_commission_pct": None,
    "slippage_pct": 0,
    "slippage_range_share": 0,
    "funding_pct": 0,
    "borrow_pct": 0,
    "min_edge_pct": 0.5,
    "policy": "trade",
    "exits": 12,
    "take_profit": [1.0, 2.0],
    "stop": [1.0, 2.0],
    "min_probability": 0.5,
    "sizing": "all",
    "sizing_fraction": 1,
    "kelly_cap": 0.5,
    "target_volatility_pct": 20,
    "prior_sharpe": 0.4,
    "risk_aversion": 2,
    "short": False,
    "max_shortfall_pct": None,
    "band": None,
    "held_weight": 0,
    "require": ["freshness", "skill"],
}


def path_to(*prices: float, spread: float = 0.01) -> np.ndarray:
    """Quantiles [steps, levels] around a median path of prices from 100."""
    return np.log(np.array(prices) / 100)[:, None] + spread * np.array([-2.0, -1, 0, 1, 2])


def sampled(quantiles: np.ndarray, count: int = 400, seed: int = 1) -> EnsembleForecast:
    """The forecast, with sample paths of the order of random walks."""
    walks = np.random.default_rng(seed).standard_normal((len(quantiles), count)).cumsum(axis=0)
    spread = marginals(quantiles[None], LEVELS, count)[0]
    return EnsembleForecast(LEVELS, quantiles, schaake_shuffle(spread, walks))


def scored(skill: float = 0.02, significant: bool = True) -> Evaluation:
    """An evaluation of the TFT, whose skill over the random walk is set."""
    made = evaluation()
    assert made["difference"]
    return {
        **made,
        "evaluated_model": "tft",
        "best_baseline": "random_walk",
        "skill_vs_best_baseline": skill,
        "difference": {**made["difference"], "significant": significant, "p_holm": 0.01 if significant else 0.3},
    }


def decided_on(
    quantiles: np.ndarray,
    scores: Evaluation | None = None,
    members: Mapping[str, MemberForecast] | None = None,
    gates: Sequence[Gate] = (),
    entry: Entry = ENTRY,
    **settings: Any,
) -> tuple[Decided, pd.DataFrame]:
    """The decision on a forecast, and its plans; of one member, which is the ensemble, where none is given."""
    made = scores or scored()
    config: TradeConfig = {**FREE, **settings}  # type: ignore[typeddict-item]
    known = members or {"tft": MemberForecast(quantiles, 1.0)}
    return decide(sampled(quantiles), known, made, entry, config, [*gates, skill_gate(made), calibration_gate(made)])


def equally(paths: Mapping[str, np.ndarray], scores: Evaluation, config: TradeConfig) -> Decided:
    """What is decided where all members have the same weight."""
    members = {name: MemberForecast(path, 1 / len(paths)) for name, path in paths.items()}
    settings: dict[str, Any] = dict(config)
    return decided_on(np.mean(list(paths.values()), axis=0), scores, members, **settings)[0]


def sealed_trade(action: Action, **changed: Any) -> tuple[Trade, pd.DataFrame, pd.DataFrame]:
    """A trade of three 5-minute steps, entered at 100, planned to be sold at the second, with its forecast and its
    plans, all without levels; costs as in HARSH."""
    config: dict[str, Any] = {
        **FREE,
        **asdict(HARSH),
        "cash": 1022.10,
        "min_edge_pct": 0.0 if action == "BUY" else 100.0,
        "take_profit": [],
        "stop": [],
    }
    decided, plans = decided_on(path_to(105, 121, 115), **config)
    plan_of(decided).update(changed)  # type: ignore[typeddict-item]
    document: dict[str, Any] = {
        **decided,
        "config": config,
        "simulated": False,
        "age_seconds": None,
        "candidates": {"symbols": 1, "rank": 1, "plans": len(plans)},
        "evaluation_sha256": "e",
        "plans_sha256": "g",
        "forecast": {
            "t0_iso": ENTRY.time,
            "horizon_m": 15,
            "times": TIMES,
            "price_forecast": [105.0, 121, 115],
            "model_name": "tft",
            "path_sha256": "p",
        },
    }
    assert document["decision"]["action"] == action
    path = pd.DataFrame({"price_fc": [105.0, 121, 115], "q0.05": [95.0, 111, 90], "q0.95": [115.0, 130, 118]})
    return cast(Trade, {**document, "seal": seal(document)}), path, plans
