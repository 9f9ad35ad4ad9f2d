"""All symbols' decisions at a moment: functions of what is known then, which read no file and no clock.

The live decision and the backtest call the same ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import csv_text, text_sha256
from forecasting.documents import Evaluation
from forecasting.novelty import Novelty
from forecasting.quantiles import quantile_columns
from forecasting.task import Task
from market.intervals import MINUTE, iso
from trading.decision import EnsembleForecast, Entry, MemberForecast, decide, steps_ahead
from trading.documents import PathForecast, TradeConfig, UnsealedTrade
from trading.gates import (
    DataQuality,
    Gate,
    calibration_gate,
    data_quality_gate,
    direction_gate,
    freshness_gate,
    novelty_gate,
    skill_gate,
)
from trading.ranking import ranked


@dataclass(frozen=True)
class Known:
    """What is known of a symbol: its close; the ensemble forecast and the members', quantiles [horizon, levels]; sample
    paths of the first [horizon, n]; the quality of its candles, and how novel its features are."""

    close: float
    ensemble: np.ndarray
    members: Mapping[str, np.ndarray]
    paths: np.ndarray
    quality: DataQuality
    novelty: Novelty


@dataclass(frozen=True)
class Moment:
    """What all decisions of a moment stand on. as_of: ms; age: seconds from then to the sealing, None where the moment
    was not the present; evaluation: the latest by then, with the SHA-256 of its file; weights: of the members."""

    as_of: int
    age: float | None
    simulated: bool
    task: Task
    evaluation: Evaluation
    evaluation_sha256: str
    weights: Mapping[str, float]
    symbols: Mapping[str, Known]


@dataclass(frozen=True)
class Made:
    """A symbol's decision, and the text of the tables beside it: its forecast path, and its plans."""

    document: UnsealedTrade
    path: str
    plans: str


def decisions(moment: Moment, settings: Mapping[str, Any]) -> dict[str, Made]:
    """The decision on each symbol, the best first. settings: the config's sections `consensus` and `decision`.

    Raises UserError on an impossible horizon_minutes or cash, and as `trading.decision.decide` does.
    """
    made = {name: _decided(moment, name, settings) for name in sorted(moment.symbols)}
    order = ranked({name: one.document for name, one in made.items()})
    for rank, name in enumerate(order, start=1):
        made[name].document["candidates"] |= {"symbols": len(order), "rank": rank}
    return {name: made[name] for name in order}


def _decided(moment: Moment, symbol: str, settings: Mapping[str, Any]) -> Made:
    task, levels, known = moment.task, moment.task.quantile_levels, moment.symbols[symbol]
    config = cast(TradeConfig, {**settings, "symbol": symbol, "interval": task.interval, "horizon": task.horizon})
    steps = steps_ahead(config["horizon_minutes"], task.horizon, task.bar_ms)
    step_times = [iso(moment.as_of + ahead * task.bar_ms) for ahead in range(1, steps + 1)]
    entry = Entry(iso(moment.as_of), known.close, step_times)
    quantiles = known.ensemble[:steps]
    members = {
        name: MemberForecast(path[:steps], moment.weights.get(name, 0.0)) for name, path in known.members.items()
    }
    forecast = EnsembleForecast(levels, quantiles, known.paths[:steps])
    try:
        verdict, plans = decide(forecast, members, moment.evaluation, entry, config, _gates(moment, known))
    except UserError as error:
        raise UserError(f"{symbol}: {error}") from error
    path, plans_text = csv_text(path_table(quantiles, levels, entry)), csv_text(plans)
    outlook: PathForecast = {
        "t0_iso": entry.time,
        "horizon_m": steps * task.bar_ms // MINUTE,
        "times": list(entry.step_times),
        "price_forecast": (entry.close * np.exp(quantiles[:, list(levels).index(0.5)])).tolist(),
        "model_name": "+".join(sorted(name for name, weight in moment.weights.items() if weight)),
        "path_sha256": text_sha256(path),
    }
    document = {
        **verdict,
        "config": config,
        "simulated": moment.simulated,
        "age_seconds": moment.age,
        "candidates": {"symbols": 1, "rank": 1, "plans": len(plans)},
        "evaluation_sha256": moment.evaluation_sha256,
        "plans_sha256": text_sha256(plans_text),
        "forecast": outlook,
    }
    return Made(cast(UnsealedTrade, document), path, plans_text)


def path_table(path: np.ndarray, quantile_levels: Sequence[float], entry: Entry) -> pd.DataFrame:
    """`time, price_fc, q0.05 …`: the path's quantiles [steps, levels] as prices; `price_fc` is the median."""
    prices = pd.DataFrame(entry.close * np.exp(path), columns=quantile_columns(quantile_levels))
    prices.insert(0, "time", list(entry.step_times))
    prices.insert(1, "price_fc", prices["q0.5"])
    return prices


def _gates(moment: Moment, known: Known) -> list[Gate]:
    """The gates that do not hang on the plan, in the order in which they are tested."""
    fresh = [] if moment.age is None else [freshness_gate(moment.age, moment.task.bar_ms)]
    return [
        *fresh,
        skill_gate(moment.evaluation),
        direction_gate(moment.evaluation),
        calibration_gate(moment.evaluation),
        data_quality_gate(known.quality),
        novelty_gate(known.novelty),
    ]
