"""The TFT as a correction of the LHAR-FHS forecast.

The quantile q of step h is S[h] · z[h, q] · exp(a[h] + b · tanh(d[h, q])): S the HAR's deviation, z the quantiles of
returns standardised by it, a and d the network's outputs, 0 at the start of training. So the correction is a factor on
the LHAR-FHS quantile, of whatever bars that is fitted on. The median is not changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from forecasting.bars import Bars, InsufficientHistoryError
from forecasting.baselines.fhs import standardised_quantiles
from forecasting.baselines.har import Har, fit_har
from market.intervals import iso

# how far a quantile may move against the others: e^±0.2
SHAPE = 0.2
INPUT = "har_"


@dataclass(frozen=True)
class Base:
    """The forecast that is corrected.

    hars [symbols]. quantiles [symbols, horizon, levels]: of returns standardised by a HAR. regressors [symbols]: each
    HAR's [rows, regressors], at the rows of the symbol's features. bar_deviation [symbols]: standard deviation of a
    bar's log return, which losses are in units of.
    """

    hars: list[Har]
    quantiles: np.ndarray
    regressors: list[np.ndarray]
    bar_deviation: np.ndarray

    def deviation(self, symbol: int, rows: np.ndarray, timestamp: np.ndarray, bar_ms: int) -> np.ndarray:
        """Forecast deviation [n, horizon] of the cumulative log returns after the `rows` [n] of a symbol's features,
        which open at `timestamp` [n] (ms)."""
        har = self.hars[symbol]
        # columns of the scales that this HAR does not have
        regressors = self.regressors[symbol][rows]
        padding = regressors.shape[1] - len(har.centre)
        columns = slice(len(har.scales), len(har.scales) + padding)
        return har.deviation_from(np.ascontiguousarray(np.delete(regressors, columns, axis=1)), timestamp, bar_ms)


def fit_hars(symbols: Sequence[str], bars: Sequence[Bars], end: int, horizon: int) -> list[Har]:
    """Each symbol's HAR, of its bars before `end` (ms). Raises InsufficientHistoryError, which names the symbol."""
    hars = []
    for symbol, symbol_bars in zip(symbols, bars, strict=True):
        try:
            hars.append(fit_har(symbol_bars.before(end), horizon, extended=True))
        except InsufficientHistoryError as short:
            raise InsufficientHistoryError(
                f"{symbol} before {iso(end)}: {short}; increase days, or remove it from symbols"
            ) from short
    return hars


def fit_base(
    hars: list[Har], bars: Sequence[Bars], frames: Sequence[pd.DataFrame], end: int, quantile_levels: Sequence[float]
) -> Base:
    """The base of these HARs, fitted on the bars before `end` (ms), at the rows of the features `frames`; one item a
    symbol in each list."""
    horizon = hars[0].coefficients.shape[1]
    history = [symbol_bars.before(end) for symbol_bars in bars]
    quantiles = [
        standardised_quantiles(har.deviation, past, horizon, quantile_levels)
        for har, past in zip(hars, history, strict=True)
    ]
    bar_deviation = [np.sqrt(past.variance.mean()) for past in history]
    columns = input_names(hars)
    # views, where pandas has them
    regressors = [frame[columns].to_numpy() for frame in frames]
    return Base(hars, np.stack(quantiles), regressors, np.array(bar_deviation))


def input_names(hars: Sequence[Har]) -> list[str]:
    """Names of the columns that `with_har_inputs` adds."""
    return [f"{INPUT}{place}" for place in range(max(len(har.centre) for har in hars))]


def is_correction(features: Sequence[str]) -> bool:
    """Whether a network with these inputs is a correction."""
    return any(name.startswith(INPUT) for name in features)


def with_har_inputs(frames: Sequence[pd.DataFrame], bars: Sequence[Bars], hars: Sequence[Har]) -> list[pd.DataFrame]:
    """The features frames with the HARs' regressors as further inputs of the network, 0 where a HAR has fewer."""
    names, scales = input_names(hars), max(len(har.scales) for har in hars)
    wide = []
    for frame, symbol_bars, har in zip(frames, bars, hars, strict=True):
        rows = np.searchsorted(symbol_bars.timestamp, frame["timestamp"].to_numpy())
        regressors = har.padded(har.regressors(symbol_bars, rows), scales).astype(np.float32)
        wide.append(pd.concat([frame, pd.DataFrame(regressors, columns=names, index=frame.index)], axis=1))
    return wide


def correction_factor(outputs: torch.Tensor) -> torch.Tensor:
    """The factor [..., levels] on each quantile, from the network's outputs [..., 1 + levels]."""
    return torch.exp(outputs[..., :1] + SHAPE * torch.tanh(outputs[..., 1:]))
