"""A small run on disk: made-up candles and live forecasts, and an evaluation by the real stage."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.files import write_json, write_parquet
from consensus import SymbolFiles
from forecast_prices import forecast_prices
from forecasting.documents import Weights
from forecasting.ensemble.weights import equal_weights
from forecasting.members import BASELINES, ENSEMBLE, TFT
from forecasting.paths.distribution import path_table
from forecasting.paths.sampling import marginals, schaake_shuffle
from forecasting.quantiles import forecast_table, quantile_columns
from forecasting.task import Task
from market.candles import Quality
from market.intervals import iso, step_ms
from support.backtests import write_backtest
from support.decisions import FREE
from support.evaluations import LEVELS, NORMAL, WEIGHT_SETTINGS, evaluation_files
from support.path_scores import path_scores
from trading.documents import Inputs
from trading.seal import inputs_of

AS_OF = 1_717_200_000_000  # 2024-06-01T00:00:00Z
# the members that the ensemble is made of
SELECTED = (TFT, "random_walk", "ewma", "ewma_drift")
# the config's sections `consensus` and `decision`
SETTINGS: dict[str, Any] = {key: value for key, value in FREE.items() if key not in ("interval", "horizon")}
SETTINGS |= {"horizon_minutes": 60, "commission_pct": 0.1, "slippage_pct": 0.02, "min_edge_pct": 0.05}
PATHS = 200


@dataclass
class World:
    """What a run writes before the consensus; `drift` is each member's median log return at the last step.

    `width`: how many true deviations wide the models' forecasts were in the evaluation, 1 being right, where the best
    baseline's are 1.4; None: they were skipped in a fold. latest: is the cutoff the present, by
    the clock of `exchange`? as_of: of the decision, ms; worlds of several times have the same prices.
    """

    folder: Path
    symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT")
    interval: str = "5m"
    horizon: int = 12
    realised: int = 12
    simulated: bool = True
    folds: int = 3
    width: float | None = 1.0
    drift: dict[str, float] = field(default_factory=lambda: {"tft": 0.012, "ewma_drift": 0.004})
    volatility: float = 0.0015
    latest: bool = False
    exchange: dict[str, Any] = field(default_factory=dict)
    as_of: int = AS_OF

    def __post_init__(self) -> None:
        self.bar_ms = step_ms(self.interval)
        cutoff = {
            "as_of": self.as_of,
            "as_of_iso": iso(self.as_of),
            "exchange": "simulated" if self.simulated else "binance",
        }
        symbols = {name: name for name in self.symbols}
        write_json(self.cutoff, cutoff | {"simulated": self.simulated, "symbols": symbols, "latest": self.latest})
        for seed, symbol in enumerate(self.symbols):
            rng = np.random.default_rng(seed)
            before, after = 5 * self.horizon, self.horizon
            passed = (self.as_of - AS_OF) // self.bar_ms
            moves = self.volatility * rng.standard_normal(before + passed + after)
            closes = 60_000 / (20**seed) * np.exp(np.cumsum(moves))[passed:]
            times = self.as_of + self.bar_ms * np.arange(-before, after)
            write_candles(self.candles(symbol), times[:before], closes[:before])
            write_json(self.quality(symbol), quality_record(symbol, self.interval, before))
            write_parquet(self.features("train", symbol), features(times[:before], rng))
            write_parquet(self.features("live", symbol), features(times[before // 2 : before], rng))
            write_candles(self.outcome(symbol), times[before:][: self.realised], closes[before:][: self.realised])
        tables = {member: self._forecast_table(member) for member in [TFT, *BASELINES]}
        ensemble = tables[TFT].copy()
        columns = quantile_columns(LEVELS)
        ensemble[columns] = np.mean([tables[member][columns].to_numpy() for member in SELECTED], axis=0)
        for member, table in (tables | {ENSEMBLE: ensemble}).items():
            write_parquet(self.forecast(member), table)
        write_parquet(self.paths, self._paths_table(ensemble))
        task = Task(self.interval, lookback=1, horizon=self.horizon, quantile_levels=LEVELS)
        forecast_prices(str(self.prices), str(self.forecast(ENSEMBLE)), task)
        write_json(self.weights, weights_document())
        evaluated = tuple(self.symbols), self.interval, self.horizon, self.folds, self.simulated, self.width
        for name, content in evaluation_files(*evaluated).items():
            (self.folder / name).write_bytes(content)
        write_json(self.path_scores, path_scores(tuple(self.symbols), self.interval, self.horizon, self.simulated))
        files = {symbol: str(self.candles(symbol)) for symbol in self.symbols}
        write_backtest(self.folder, files, str(self.cutoff), str(self.evaluation), task, SETTINGS)

    @property
    def cutoff(self) -> Path:
        return self.folder / "as_of.json"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation.json"

    @property
    def trade(self) -> Path:
        return self.folder / "mock_trade.json"

    @property
    def audit(self) -> Path:
        return self.folder / "mock_eval.json"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.json"

    @property
    def path_scores(self) -> Path:
        return self.folder / "path_scores.json"

    @property
    def prices(self) -> Path:
        return self.folder / "forecast.csv"

    def candles(self, symbol: str) -> Path:
        return self.folder / "candles" / f"{symbol}.parquet"

    def outcome(self, symbol: str) -> Path:
        return self.folder / "outcome" / f"{symbol}.parquet"

    def quality(self, symbol: str) -> Path:
        return self.folder / "candles" / f"{symbol}.quality.json"

    def features(self, cutoff: str, symbol: str) -> Path:
        return self.folder / "features" / cutoff / f"{symbol}.parquet"

    def decision(self, symbol: str) -> Path:
        return self.folder / "decisions" / f"{symbol}.json"

    def plans(self, symbol: str) -> Path:
        return self.folder / "decisions" / f"{symbol}-plans.csv"

    @property
    def paths(self) -> Path:
        return self.folder / "forecasts" / "paths.parquet"

    def forecast(self, member: str) -> Path:
        return self.folder / "forecasts" / f"{member}.parquet"

    def symbol_files(self, symbol: str) -> SymbolFiles:
        """What a symbol's decision reads."""
        return SymbolFiles(
            candles=str(self.candles(symbol)),
            quality=str(self.quality(symbol)),
            features=str(self.features("live", symbol)),
            trained=str(self.features("train", symbol)),
        )

    def consensus_inputs(self, **settings: Any) -> dict[str, Any]:
        """Arguments of the rule `consensus`, with its sections of the config changed by `settings`."""
        return {
            "trade": str(self.trade),
            "path": str(self.folder / "forecast_path.csv"),
            "table": str(self.folder / "decisions.csv"),
            "folder": str(self.folder / "decisions"),
            "forecast": str(self.forecast(ENSEMBLE)),
            "weights": str(self.weights),
            "forecasts": [str(self.forecast(member)) for member in [TFT, *BASELINES]],
            "paths": str(self.paths),
            "evaluation": str(self.evaluation),
            "files": {symbol: self.symbol_files(symbol) for symbol in self.symbols},
            "cutoff": str(self.cutoff),
            "exchange_settings": self.exchange,
            "symbol": "BTCUSDT",
            "task": Task(self.interval, lookback=1, horizon=self.horizon, quantile_levels=LEVELS),
            "settings": SETTINGS | {"horizon_minutes": self.horizon * self.bar_ms // 60_000} | settings,
            "inputs": self.inputs(),
        }

    def inputs(self) -> Inputs:
        """Digests of what the consensus reads, as it is now."""
        read = [self.evaluation, self.weights, self.cutoff, *sorted((self.folder / "forecasts").iterdir())]
        read += [path for name in ("candles", "features") for path in sorted((self.folder / name).rglob("*.*"))]
        files = {path.relative_to(self.folder).as_posix(): str(path) for path in read}
        return inputs_of(files, {"interval": self.interval}, "forecast.sif")

    def audit_inputs(self) -> dict[str, Any]:
        """Arguments of the rule `audit`."""
        return {
            "output": str(self.audit),
            "trade": str(self.trade),
            "path": str(self.folder / "forecast_path.csv"),
            "plans": [str(self.plans(symbol)) for symbol in self.symbols],
            "candles": [str(self.outcome(symbol)) for symbol in self.symbols],
            "inputs": self.inputs(),
        }

    def summary_inputs(self) -> dict[str, str]:
        """Arguments of the rule `summary`."""
        documents = {"evaluation": self.evaluation, "trade": self.trade, "audit": self.audit, "paths": self.path_scores}
        beside = {"forecast": self.prices, "backtest": self.folder / "backtest.json"}
        files = documents | beside | {"text": self.folder / "summary.txt"}
        return {name: str(path) for name, path in files.items()}

    def _paths_table(self, ensemble: pd.DataFrame) -> pd.DataFrame:
        """Sample paths of the ensemble forecast, in the order of random walks."""
        shape = (len(self.symbols), self.horizon, -1)
        names = sorted(self.symbols)
        quantiles = ensemble[quantile_columns(LEVELS)].to_numpy().reshape(shape)
        walks = np.random.default_rng(7).standard_normal((*quantiles.shape[:2], PATHS)).cumsum(axis=1)
        drawn = schaake_shuffle(marginals(quantiles, LEVELS, PATHS), walks)
        closes = ensemble["close"].to_numpy().reshape(shape)[:, 0, 0]
        return path_table(names, self.as_of - self.bar_ms, closes, drawn)

    def _forecast_table(self, member: str) -> pd.DataFrame:
        ahead = np.arange(1, self.horizon + 1)
        spread = self.volatility * np.sqrt(ahead)[:, None] * NORMAL
        path = spread + (self.drift.get(member, 0) * ahead / self.horizon)[:, None]
        origins = [np.array([self.as_of - self.bar_ms])] * len(self.symbols)
        closes = [pd.read_parquet(self.candles(symbol))["close"].to_numpy()[-1:] for symbol in self.symbols]
        return forecast_table(self.symbols, origins, closes, [path[None]] * len(self.symbols), LEVELS)


def quality_record(symbol: str, interval: str, bars: int) -> Quality:
    """Of candles up to `AS_OF` without a fault."""
    return {
        "symbol": symbol,
        "interval": interval,
        "start": iso(AS_OF - bars * step_ms(interval)),
        "end": iso(AS_OF),
        "bars": bars,
        "expected": bars,
        "missing": 0,
        "missing_spans": [],
        "filled": 0,
        "filled_spans": [],
        "frozen_spans": [],
        "duplicates": 0,
        "conflicting": [],
        "dropped": [],
        "impossible": 0,
        "out_of_order": 0,
        "lowest": 1.0,
        "highest": 2.0,
        "revised": [],
    }


def features(times: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Two features at each bar, and the columns beside them."""
    beside = {"timestamp": times, "segment": 0, "close": 1.0, "scale": 1.0}
    values = random.standard_normal((2, len(times)))
    return pd.DataFrame(beside | {"return_1": values[0], "volatility_5": values[1]})


def weights_document() -> Weights:
    """Who the ensemble is made of."""
    return {
        "weights": equal_weights(SELECTED),
        "validation_loss": dict.fromkeys([TFT, *BASELINES], 1.0),
        "identical": {},
        "miscovered": {},
        "calibration": "rolling",
        "settings": WEIGHT_SETTINGS,
    }


def write_candles(path: Path, times: np.ndarray, closes: np.ndarray) -> None:
    """Flat candles (open = high = low = close) at the given open times."""
    columns = dict.fromkeys(["open", "high", "low", "close"], np.asarray(closes, dtype=np.float64))
    volume = np.ones(len(times))
    write_parquet(path, pd.DataFrame({"timestamp": np.asarray(times, dtype=np.int64), **columns, "volume": volume}))
