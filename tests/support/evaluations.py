"""Evaluations by the real stage: forecasts whose distribution is known, and what `evaluate` makes of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from common.files import read_document, write_json, write_parquet
from evaluate import evaluate
from forecasting.documents import Evaluation, WeightSettings
from forecasting.evaluation.utility import Investor
from forecasting.folds import FoldScheme
from forecasting.members import BASELINES, ENSEMBLE, ORACLE, TFT
from forecasting.quantiles import forecast_table
from forecasting.task import Task
from market.intervals import MINUTE

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
START = 1_700_000_040_000 // MINUTE * MINUTE
TEST_BARS, STRIDE = 100, 2
WEIGHT_SETTINGS: WeightSettings = {
    "weights": "equal",
    "rate": 6,
    "halflife": 168,
    "tolerance": 0.002,
    "method": "rolling",
    "window": 900,
    "strength": 0.5,
}
# how wide each member's forecast is, in true deviations; the oracle's is right
WIDTHS = {"tft": 1.1, "random_walk": 2.0, "ewma": 1.5, "ewma_drift": 2.5, "seasonal_naive": 3.0, "oracle": 1.0}


@dataclass
class Inputs:
    """A folder with the inputs of the stage: Gaussian returns, and each member's forecast of them, `widths` as wide."""

    folder: Path
    symbols: Sequence[str] = ("BTC", "ETH")
    widths: Mapping[str, float] = field(default_factory=lambda: WIDTHS)
    interval: str = "1m"
    horizon: int = 2
    folds: int = 2

    def __post_init__(self) -> None:
        self.task = Task(self.interval, lookback=1, horizon=self.horizon, quantile_levels=LEVELS)
        self.rows = 200 + TEST_BARS * self.folds
        self.scheme = FoldScheme(self.folds, TEST_BARS, embargo=self.horizon, validation_fraction=0.2)
        self.cutoff = self.folder / "cutoff.json"
        as_of = START + self.rows * self.task.bar_ms
        write_json(self.cutoff, {"as_of": as_of, "simulated": ORACLE in self.widths})
        self.candles = [self.write_candles(symbol) for symbol in self.symbols]
        self.forecasts = [
            self.write(fold, member, width) for fold in range(self.folds) for member, width in self.widths.items()
        ]

    def returns(self, symbol: str) -> np.ndarray:
        """One-bar log returns: each second symbol is ten times as volatile."""
        position = list(self.symbols).index(symbol)
        return np.random.default_rng(position + 1).standard_normal(self.rows) * 0.001 * 10 ** (position % 2)

    def write_candles(self, symbol: str, dropped: int | None = None) -> str:
        times = START + self.task.bar_ms * np.arange(self.rows)
        frame = pd.DataFrame({"timestamp": times, "close": np.exp(self.returns(symbol).cumsum())})
        path = self.folder / "candles" / f"{symbol}.parquet"
        write_parquet(path, frame if dropped is None else frame.drop(index=dropped))
        return str(path)

    def write(self, fold: int, member: str, width: float, first: int = 0) -> str:
        start = self.rows - (self.folds - fold) * TEST_BARS
        rows = np.arange(start, start + TEST_BARS - self.horizon, STRIDE)[first:]
        sizes = [self.returns(symbol).std() for symbol in self.symbols]
        fan = np.sqrt(np.arange(1, self.horizon + 1))[:, None] * NORMAL
        paths = [np.tile(width * size * fan, (len(rows), 1, 1)) for size in sizes]
        closes = [np.exp(self.returns(symbol).cumsum())[rows] for symbol in self.symbols]
        table = forecast_table(self.symbols, [START + self.task.bar_ms * rows] * len(sizes), closes, paths, LEVELS)
        table.attrs["crossings"] = fold + 1
        path = self.folder / "forecasts" / str(fold) / f"{member}.parquet"
        write_parquet(path, table)
        return str(path)

    def write_weights(self, fold: int) -> str:
        path = self.folder / "forecasts" / str(fold) / "weights.json"
        weights = {"ewma": 1 - 0.1 * fold, **({"tft": 0.1 * fold} if fold else {})}
        rest = {
            "validation_loss": {},
            "identical": {},
            "miscovered": {},
            "calibration": "rolling",
            "settings": WEIGHT_SETTINGS,
        }
        write_json(path, {"weights": weights, **rest})
        return str(path)

    def skip(self, fold: int, member: str) -> None:
        """Leave the member's file of the fold without rows, as one does that has too little history."""
        path = self.folder / "forecasts" / str(fold) / f"{member}.parquet"
        write_parquet(path, pd.read_parquet(path).iloc[:0])

    def run(self, **changed: Any) -> Evaluation:
        """The stage; its summary."""
        arguments: dict[str, Any] = {
            "table": self.folder / "evaluation.csv",
            "steps": self.folder / "evaluation_steps.csv",
            "leaderboard": self.folder / "evaluation_pooled.csv",
            "summary": self.folder / "evaluation.json",
            "forecasts": self.forecasts,
            "weights": [self.write_weights(fold) for fold in range(self.folds)],
            "candles": self.candles,
            "cutoff": self.cutoff,
            "exchange": "simulated" if ORACLE in self.widths else "binance",
            "symbols": list(self.symbols),
            "task": self.task,
            "scheme": self.scheme,
            "stride": STRIDE,
            "investor": Investor(sharpe=0.4, risk_aversion=2),
        }
        evaluate(**arguments | changed)
        return read_document(self.folder / "evaluation.json", Evaluation)


@cache
def evaluation_files(
    symbols: tuple[str, ...], interval: str, horizon: int, folds: int, simulated: bool, width: float | None
) -> dict[str, bytes]:
    """evaluation.json and its tables by name, of models whose forecasts are `width` true deviations wide.

    None: the models were skipped in the first fold. The best baseline is ewma.
    """
    models = {ENSEMBLE: 1 if width is None else width, TFT: 1 if width is None else width + 0.02}
    baselines = {name: 1.4 + 0.1 * ((k - 1) % len(BASELINES)) for k, name in enumerate(BASELINES)}
    widths = models | baselines | ({ORACLE: 1.0} if simulated else {})
    with TemporaryDirectory() as folder:
        inputs = Inputs(Path(folder), symbols, widths, interval, horizon, folds)
        for model in models if width is None else []:
            inputs.skip(0, model)
        inputs.run()
        return {path.name: path.read_bytes() for path in Path(folder).glob("evaluation*")}


def evaluation(width: float | None = 1.0) -> Evaluation:
    """The summary of a small evaluation."""
    return json.loads(evaluation_files(("BTC", "ETH"), "1m", 2, 2, True, width)["evaluation.json"])
