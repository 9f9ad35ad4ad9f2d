"""The two splits of a fold that members forecast: its validation origins, and its test or live origins."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import parquet_columns, read_json, read_parquet
from forecasting.bars import Bars, first_bar, read_bars
from forecasting.folds import FoldScheme, fold_origins
from forecasting.task import Task


@dataclass(frozen=True)
class FoldFiles:
    """What a fold is forecast from: one file a symbol in each list, named <symbol>.parquet, in one order of symbols.

    fold: its name. features, cutoff: of the fold's cutoff, live for fold "live" and training else. train_features,
    candles, train_cutoff: of the training cutoff. live_candles: of the live cutoff, which continue `candles` for fold
    "live"; empty for a test fold.
    """

    fold: str
    features: Sequence[str]
    train_features: Sequence[str]
    candles: Sequence[str]
    live_candles: Sequence[str]
    cutoff: str
    train_cutoff: str

    @classmethod
    def of_job(cls, fold: str, inputs: Any) -> "FoldFiles":
        """The files of a job that forecasts the fold; `inputs` is Snakemake's, named as the fields are."""
        series = {name: list(inputs[name]) for name in ("features", "train_features", "candles", "live_candles")}
        return cls(fold, **series, cutoff=inputs.cutoff, train_cutoff=inputs.train_cutoff)


@dataclass(frozen=True)
class Split:
    """Origins of all symbols, and the bars that they are forecast from: one item a symbol in each list.

    history: bars of the training cutoff; members are fitted on those before `fit_end` (ms). bars: those that hold the
    origins. features: frames, of which `rows` are the origins.
    """

    name: str
    fit_end: int
    symbols: list[str]
    history: list[Bars]
    bars: list[Bars]
    features: list[pd.DataFrame]
    rows: list[np.ndarray]

    @property
    def origins(self) -> list[np.ndarray]:
        """Open times (ms) [n] of each symbol's origins."""
        return [frame["timestamp"].to_numpy()[at] for frame, at in zip(self.features, self.rows, strict=True)]

    @property
    def closes(self) -> list[np.ndarray]:
        """Closes [n] at each symbol's origins. Raises UserError when the bar of an origin is missing."""
        return [bars.close[rows] for bars, rows in zip(self.bars, self.bar_rows(), strict=True)]

    def bar_rows(self) -> list[np.ndarray]:
        """Rows [n] of each symbol's origins in its bars. Raises UserError when the bar of an origin is missing."""
        found = []
        for symbol, bars, origins in zip(self.symbols, self.bars, self.origins, strict=True):
            rows = pd.Index(bars.timestamp).get_indexer(pd.Index(origins))
            if (rows < 0).any():
                raise UserError(
                    f"{symbol}: the candles lack bars that the features have; delete the features and run again"
                )
            found.append(rows)
        return found


class Splits(NamedTuple):
    """A fold's two splits: `test` holds its test origins, or for fold "live" the live one and those since training."""

    validation: Split
    test: Split


def own_columns(files: FoldFiles, names: Sequence[str]) -> list[str]:
    """The columns of the features of the user's own, of these names: a column each, or one for each span."""
    columns = parquet_columns(files.train_features[0])
    return [column for column in columns for name in names if re.fullmatch(rf"{name}(_\d+)?", column)]


def read_splits(
    files: FoldFiles, task: Task, scheme: FoldScheme, stride: int, columns: list[str] | None = None
) -> Splits:
    """Read the fold's files. stride: bars between origins. columns: of the features that are read; None: all.

    Raises UserError when a file is damaged, or a split has no origin.
    """
    symbols = [Path(path).stem for path in files.features]
    history, bars = read_bars(files.candles, files.live_candles, task.interval)
    train_as_of = read_json(files.train_cutoff)["as_of"]
    trained = scheme.fold(files.fold, train_as_of, task.bar_ms)
    validation = scheme.validation(trained, first_bar(history), task.bar_ms)
    past = [read_parquet(path, columns) for path in files.train_features]
    same = list(files.features) == list(files.train_features)
    now = past if same else [read_parquet(path, columns) for path in files.features]

    compared = fold_origins(past, symbols, validation, task, stride)
    # spread evenly over the span, and the same moments for all symbols
    every = -(-sum(map(len, compared)) // (scheme.validation_origins or 1 << 62))
    if every > 1:
        compared = fold_origins(past, symbols, validation, task, stride * every)
    test = scheme.fold(files.fold, train_as_of, task.bar_ms, live_as_of=read_json(files.cutoff)["as_of"])
    tested = fold_origins(now, symbols, test, task, stride)
    return Splits(
        Split(validation.name, validation.train_end, symbols, history, history, past, compared),
        Split(test.name, trained.train_end, symbols, history, bars, now, tested),
    )
