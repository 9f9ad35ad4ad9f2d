"""A moment's decision without files: three 5-minute steps from a close of 100, and what is forecast of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.documents import Evaluation
from forecasting.paths.sampling import marginals, schaake_shuffle
from support.evaluations import LEVELS, evaluation
from trading.decision import EnsembleForecast, Entry, MemberForecast, decide
from trading.documents import Decided, TradeConfig
from trading.gates import Gate, calibration_gate, skill_gate

TIMES = ["2024-06-01T00:05:00Z", "2024-06-01T00:10:00Z", "2024-06-01T00:15:00Z"]
ENTRY = Entry("2024-06-01T00:00:00Z", 100.0, TIMES)
FREE: TradeConfig = {
    "symbol": "BTCUSDT",
    "interval": "5m",
    "horizon": 3,
    "horizon_minutes": 15,
    "cash": 1000,
    "commission_pct": 0,
    "commission_flat": 0,
    "slippage_pct": 0,
    "min_edge_pct": 0.5,
    "policy": "trade",
    "exits": 12,
    "take_profit": [1.0, 2.0],
    "stop": [1.0, 2.0],
    "min_probability": 0.5,
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
