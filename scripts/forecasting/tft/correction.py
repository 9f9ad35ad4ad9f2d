"""The TFT as a correction of the LHAR-FHS forecast, so that it can only add.

The quantile q of step h is S[h] · z[h, q] · exp(a[h] + b · tanh(d[h, q])): S the HAR's deviation, z the quantiles of
returns in units of it, a and d what the network says, 0 where it begins. So the correction is a factor on the LHAR-FHS
quantile, of whatever bars that is fitted on. The median stays where it is: no change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from forecasting.bars import Bars, TooShortError
from forecasting.baselines.fhs import relative_quantiles
from forecasting.baselines.har import Har, fit_har
from market.intervals import iso

# how far a quantile may move against the others: e^±0.2
SHAPE = 0.2
INPUT = "har_"


@dataclass(frozen=True)
class Base:
    """What is corrected: each symbol's HAR [symbols], its relative quantiles [symbols, horizon, levels], the HARs'
    regressors [rows, regressors] at a panel's rows, and the deviation of a bar [symbols], the unit of its losses."""

    hars: list[Har]
    relative: np.ndarray
    regressors: np.ndarray
    unit: np.ndarray

    def deviation(self, symbol: int, rows: np.ndarray, timestamp: np.ndarray, step: int) -> np.ndarray:
        """Deviation [n, horizon] of cumulative log returns after a symbol's panel `rows` [n], which open then."""
        har = self.hars[symbol]
        # columns of the scales that this HAR does not have
        more = self.regressors.shape[1] - len(har.centre)
        own = np.delete(self.regressors[rows], slice(len(har.scales), len(har.scales) + more), axis=1)
        return har.scale(own, timestamp, step)


def fit_hars(symbols: Sequence[str], bars: Sequence[Bars], end: int, horizon: int) -> list[Har]:
    """Each symbol's HAR, of its bars before `end` (ms). Raises TooShortError that names a symbol too young for one."""
    hars = []
    for symbol, own in zip(symbols, bars, strict=True):
        try:
            hars.append(fit_har(own.before(end), horizon, leverage=True))
        except TooShortError as short:
            raise TooShortError(
                f"tft: {symbol} before {iso(end)}: {short}; give more days, or drop it from symbols"
            ) from short
    return hars


def fit_base(
    hars: list[Har], bars: Sequence[Bars], frames: Sequence[pd.DataFrame], end: int, quantile_levels: Sequence[float]
) -> Base:
    """The base of these HARs, fitted before `end`, at the rows of the features `frames`, one a symbol."""
    horizon = hars[0].coefficients.shape[1]
    relative = [
        relative_quantiles(har.deviation, own.before(end), horizon, quantile_levels)
        for har, own in zip(hars, bars, strict=True)
    ]
    unit = [np.sqrt(own.before(end).variance.mean()) for own in bars]
    columns = input_names(hars)
    return Base(hars, np.stack(relative), np.concatenate([f[columns].to_numpy() for f in frames]), np.array(unit))


def input_names(hars: Sequence[Har]) -> list[str]:
    """Names of the columns that `with_inputs` adds."""
    return [f"{INPUT}{place}" for place in range(max(len(har.centre) for har in hars))]


def corrects(features: Sequence[str]) -> bool:
    """Are these the inputs of a network that corrects?"""
    return any(name.startswith(INPUT) for name in features)


def with_inputs(frames: Sequence[pd.DataFrame], bars: Sequence[Bars], hars: Sequence[Har]) -> list[pd.DataFrame]:
    """The features frames with the HARs' regressors as further inputs of the network, 0 where a HAR has fewer."""
    names, scales = input_names(hars), max(len(har.scales) for har in hars)
    wide = []
    for frame, own, har in zip(frames, bars, hars, strict=True):
        rows = np.searchsorted(own.timestamp, frame["timestamp"].to_numpy())
        said = har.inputs(own, scales)[rows].astype(np.float32)
        wide.append(pd.concat([frame, pd.DataFrame(said, columns=names, index=frame.index)], axis=1))
    return wide


def factor(said: torch.Tensor) -> torch.Tensor:
    """The factor [..., levels] on each quantile, of what the network says [..., 1 + levels]."""
    return torch.exp(said[..., :1] + SHAPE * torch.tanh(said[..., 1:]))
