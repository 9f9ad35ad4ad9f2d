"""A slow momentum: the next return leans towards an average of the latest ones.

Moskowitz, Ooi and Pedersen (2012), Time series momentum, J. Financial Economics 104(2). Its share of a return's
variance is a few ten-thousandths, so it is estimated where most observations are, at one step; robustly (an M-estimator
of one step with Huber's ψ: Huber 1964, Robust estimation of a location parameter, Annals of Mathematical Statistics
35(1)); by generalised least squares over symbols (Zellner 1962, An efficient method of estimating seemingly unrelated
regressions, J. American Statistical Association 57(298)). Then it is extrapolated: the average decays as it forgets.
"""

from dataclasses import dataclass

import numpy as np

from forecasting.baselines.panel import Panel, blocks, ewma

HALFLIFE = 1 / 2  # in horizons
HUBER = 1.5  # standardised returns beyond it count as that much
# t of the slope at least; and, where there are several symbols, of the market's and of the rest's
SIGNIFICANT, LIKEWISE = 3.0, 1.0
SHRINKAGE = 0.1  # of the symbols' covariance towards its diagonal


@dataclass(frozen=True)
class Momentum:
    """slope: expected standardised return of the next bar at an average of 1. halflife: of the average, in bars."""

    slope: float
    halflife: float

    def expected(self, panel: Panel, place: int) -> np.ndarray:
        """Expected log return [rows] of the next bar of a symbol, by its place."""
        return panel.scale[:, place] * self.slope * ewma(panel.shock[:, place], self.halflife)

    def response(self, horizon: int) -> np.ndarray:
        """Expected cumulative returns [horizon] in units of the next bar's."""
        return np.cumsum(0.5 ** (np.arange(horizon) / self.halflife))

    def shifts(self, panel: Panel, rows: np.ndarray, place: int) -> np.ndarray:
        """Expected cumulative log returns [n, horizon] of a symbol, by its place, after the `rows` [n]."""
        return self.expected(panel, place)[rows, None] * self.response(panel.horizon)


def fit_momentum(panel: Panel) -> Momentum | None:
    """The momentum of a history; None where it is not significant: t < SIGNIFICANT, a block of the history of another
    sign, or the market and what symbols do beside it do not both have it."""
    halflife = max(1.0, HALFLIFE * panel.horizon)
    slope = _slope(panel, panel.shock, halflife)
    if slope is None or slope[1] < SIGNIFICANT or not slope[2]:
        return None
    if panel.shock.shape[1] > 1:
        market = np.nan_to_num(panel.shock).mean(axis=1, keepdims=True)
        for part in (market, (panel.shock - market)[:, :-1]):
            found = _slope(panel, part / np.nanstd(part, axis=0), halflife)
            if found is None or found[1] < LIKEWISE:
                return None
    return Momentum(float(np.round(slope[0], 8)), halflife)


def _slope(panel: Panel, shock: np.ndarray, halflife: float) -> tuple[float, float, bool] | None:
    """Slope, its t by clusters, and whether it is positive in every block; None with too few rows."""
    rows = np.arange(int(8 * halflife), len(shock) - 1)
    rows = rows[np.isfinite(shock[rows + 1]).any(axis=1) & panel.ahead(rows, 1)]
    if len(rows) < 8 * panel.horizon:
        return None
    # a symbol without a return has no say
    known = np.isfinite(shock[rows + 1])
    regressor = np.where(known, ewma(shock, halflife)[rows], 0.0)
    target = np.where(known, np.clip(shock[rows + 1], -HUBER, HUBER), 0.0)
    covariance = np.cov(target.T).reshape(target.shape[1], -1)
    precision = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance)))
    weighted = regressor @ precision
    cluster = panel.clusters(rows)
    products, squares = (np.bincount(cluster, (weighted * other).sum(axis=1)) for other in (target, regressor))
    slope = products.sum() / squares.sum()
    error = np.sqrt(((products - slope * squares) ** 2).sum())
    if not error or len(products) < 8:
        return None
    # ψ passes on this share of a small shift
    passed = np.mean(np.abs(shock[rows + 1][known]) < HUBER)
    agree = all(products[block].sum() > 0 for block in blocks(len(products)))
    return slope / passed, slope * squares.sum() / error, agree
