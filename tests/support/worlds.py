"""A small made-up run on disk: candles, live forecasts, evaluation; the stages that follow are the real ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from common.files import write_csv, write_json, write_parquet
from forecasting.ensemble.weights import equal_weights
from forecasting.members import BASELINES, ENSEMBLE, ORACLE, TFT
from forecasting.quantiles import forecast_table, quantile_columns
from market.intervals import iso, step_ms

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
AS_OF = 1_717_200_000_000  # 2024-06-01T00:00:00Z
# the members that the ensemble is made of
SELECTED = (TFT, "random_walk", "ewma", "ewma_drift")
SETTINGS = {
    "symbol": "BTCUSDT",
    "horizon_minutes": 60,
    "cash": 1000,
    "commission_pct": 0.1,
    "commission_flat": 0,
    "slippage_pct": 0.02,
    "min_edge_pct": 0.05,
    "require_skill": True,
}


@dataclass
class World:
    """What a run writes before the consensus; `drift` is each member's median log return at the last step."""

    folder: Path
    symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT")
    interval: str = "5m"
    horizon: int = 12
    settled: int = 12
    simulated: bool = True
    folds: int = 3
    skill: float | None = 0.013
    drift: dict[str, float] = field(default_factory=lambda: {"tft": 0.012, "ewma_drift": 0.004})
    volatility: float = 0.0015

    def __post_init__(self) -> None:
        self.step = step_ms(self.interval)
        cutoff = {"as_of": AS_OF, "as_of_iso": iso(AS_OF), "exchange": "simulated" if self.simulated else "binance"}
        write_json(
            self.cutoff, cutoff | {"simulated": self.simulated, "symbols": {name: name for name in self.symbols}}
        )
        for seed, symbol in enumerate(self.symbols):
            rng = np.random.default_rng(seed)
            known, came = 5 * self.horizon, self.horizon
            moves = self.volatility * rng.standard_normal(known + came)
            closes = 60_000 / (20**seed) * np.exp(np.cumsum(moves))
            times = AS_OF + self.step * np.arange(-known, came)
            write_candles(self.candles(symbol), times[:known], closes[:known])
            write_candles(self.outcome(symbol), times[known:][: self.settled], closes[known:][: self.settled])
        tables = {member: self._forecast_table(member) for member in [TFT, *BASELINES]}
        ensemble = tables[TFT].copy()
        columns = quantile_columns(LEVELS)
        ensemble[columns] = np.mean([tables[member][columns].to_numpy() for member in SELECTED], axis=0)
        for member, table in (tables | {ENSEMBLE: ensemble}).items():
            write_parquet(self.forecast(member), table)
        write_json(self.weights, {"weights": equal_weights(SELECTED)})
        self._evaluation()

    @property
    def cutoff(self) -> Path:
        return self.folder / "as_of.json"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation.json"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.json"

    def candles(self, symbol: str) -> Path:
        return self.folder / "candles" / f"{symbol}.parquet"

    def outcome(self, symbol: str) -> Path:
        return self.folder / "outcome" / f"{symbol}.parquet"

    def forecast(self, member: str) -> Path:
        return self.folder / "forecasts" / f"{member}.parquet"

    def consensus_inputs(self, **settings: Any) -> dict[str, Any]:
        """Arguments of the rule `consensus`, with its section of the config changed by `settings`."""
        return {
            "trade": str(self.folder / "mock_trade.json"),
            "path": str(self.folder / "forecast_path.csv"),
            "forecast": str(self.forecast(ENSEMBLE)),
            "weights": str(self.weights),
            "forecasts": [str(self.forecast(member)) for member in [TFT, *BASELINES]],
            "evaluation": str(self.evaluation),
            "candles": str(self.candles("BTCUSDT")),
            "cutoff": str(self.cutoff),
            "symbol": "BTCUSDT",
            "interval": self.interval,
            "horizon": self.horizon,
            "quantiles": LEVELS,
            "settings": SETTINGS | {"horizon_minutes": self.horizon * self.step // 60_000} | settings,
        }

    def audit_inputs(self) -> dict[str, str]:
        """Arguments of the rule `audit`."""
        names = {"output": "mock_eval.json", "trade": "mock_trade.json", "path": "forecast_path.csv"}
        paths = {key: str(self.folder / name) for key, name in names.items()}
        return paths | {"candles": str(self.outcome("BTCUSDT"))}

    def _forecast_table(self, member: str) -> pd.DataFrame:
        ahead = np.arange(1, self.horizon + 1)
        scores = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
        spread = self.volatility * np.sqrt(ahead)[:, None] * scores
        path = spread + (self.drift.get(member, 0) * ahead / self.horizon)[:, None]
        origins = [np.array([AS_OF - self.step])] * len(self.symbols)
        return forecast_table(self.symbols, origins, [path[None]] * len(self.symbols), LEVELS)

    def _evaluation(self) -> None:
        """Scores as `evaluate` writes them, of members whose losses are made up."""
        rng = np.random.default_rng(99)
        loss = dict(zip(BASELINES, [1, 0.97, 1.02, 1.01, 1.03, 1.005, 1.006, 1.04, 0.985, 1.6], strict=True))
        loss[TFT] = 0.97 * (1 - (0 if self.skill is None else self.skill))
        if self.simulated:
            loss[ORACLE] = 0.93

        def pinball(member: str, step: int) -> float:
            noise = 0 if member == "random_walk" else 0.01 * rng.standard_normal()
            return loss[member] * np.sqrt(step) * (1 + noise)

        rows = [
            {
                "fold": fold,
                "symbol": symbol,
                "member": member,
                "step": step,
                "origins": 44,
                "pinball": pinball(member, step),
                "coverage50": 0.5 + 0.03 * rng.standard_normal(),
                "coverage90": min(1.0, 0.9 + 0.015 * rng.standard_normal()),
            }
            for fold in range(self.folds)
            for symbol in self.symbols
            for member in sorted(loss)
            for step in range(1, self.horizon + 1)
        ]
        steps = pd.DataFrame(rows)
        table = steps.groupby(["fold", "symbol", "member"]).mean().reset_index().drop(columns="step")
        if self.skill is None:
            steps["pinball"], table["pinball"] = np.nan, np.nan
        write_csv(self.folder / "evaluation_steps.csv", steps)
        write_csv(self.folder / "evaluation.csv", table)
        known, shares = self.skill is not None, np.diff([0, *LEVELS, 1])
        members = {
            name: {
                "pinball": value,
                "coverage50": 0.51,
                "coverage90": 0.89,
                "skill": {base: 1 - value / loss[base] if known else None for base in BASELINES},
                "oracle_share": (1 - value) / 0.07 if self.simulated else None,
            }
            for name, value in loss.items()
        }
        content = {
            "simulated": self.simulated,
            "exchange": "simulated" if self.simulated else "binance",
            "interval": self.interval,
            "horizon": self.horizon,
            "symbols": list(self.symbols),
            "quantiles": LEVELS,
            "folds": [{"fold": str(fold), "origins": 88} for fold in range(self.folds)],
            "members": members,
            "oracle": "law" if self.simulated else None,
            "pit": {
                "nominal": shares.tolist(),
                "members": {name: rng.dirichlet(2000 * shares).tolist() for name in sorted(loss)},
            },
            "sat_out": {},
            "configurations_tried": 0,
            "evaluated_model": TFT,
            "best_baseline": "ewma",
            "skill_vs_best_baseline": self.skill,
            "difference": {"significant": True},
            "against_best": {
                name: {
                    "skill": 1 - value / loss["ewma"] if known else None,
                    "confidence_interval": [0.99 - value / loss["ewma"], 1.01 - value / loss["ewma"]]
                    if known
                    else None,
                }
                for name, value in loss.items()
            },
            "confidence_set": [TFT, "ewma"] if known else None,
            "verdict": "The TFT beats the best baseline (ewma) by 1.30 % ± 0.40 in pinball loss, p = 0.002.",
            "verdict_tft": None,
        }
        write_json(self.evaluation, content)


def write_candles(path: Path, times: np.ndarray, closes: np.ndarray) -> None:
    """Flat candles (open = high = low = close) at the given open times."""
    columns = dict.fromkeys(["open", "high", "low", "close"], np.asarray(closes, dtype=np.float64))
    volume = np.ones(len(times))
    write_parquet(path, pd.DataFrame({"timestamp": np.asarray(times, dtype=np.int64), **columns, "volume": volume}))
