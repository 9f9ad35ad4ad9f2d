"""The economic value of a forecast's width: the utility of an investor who holds a constant risk by it.

docs/evaluation.md derives each figure.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.files import number
from forecasting.bars import returns
from forecasting.documents import EconomicValue
from forecasting.evaluation.significance import bootstrap_losses, make_panel
from forecasting.members import RANDOM_WALK
from market.indicators import segments

KEYS = ["fold", "symbol", "origin"]
COUNT = "(origins)"  # no member's name


class Investor(NamedTuple):
    """sharpe: the Sharpe ratio a year that the investor expects; risk_aversion: γ of the mean-variance utility."""

    sharpe: float
    risk_aversion: float

    def utility(self, variance: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """Realised utility [...], as a share of wealth a year, of a realised variance and a forecast deviation.

        SR² / γ · (√RV / σ − ½ RV / σ²), at most SR² / 2γ: Bollerslev, Hood, Huss and Pedersen (2018), Risk everywhere,
        Review of Financial Studies 31(7). NaN where the deviation is 0.
        """
        ratio = np.divide(np.sqrt(variance), deviation, out=np.full(deviation.shape, np.nan), where=deviation > 0)
        return self.sharpe**2 / self.risk_aversion * (ratio - ratio**2 / 2)


def expected_deviation(
    cases: pd.DataFrame, closes: Mapping[str, pd.Series], train_ends: Mapping[int, int], bar_ms: int, horizon: int
) -> np.ndarray:
    """The deviation [cases] by which the bars' realised variance is forecast: that of the return over the horizon,
    times the root of the mean of the former over that of the latter's square in training.

    They differ where bars are correlated (bounce, trend): the inverse of the variance ratio of Lo and MacKinlay (1988),
    Review of Financial Studies 1(1). It is the same for all members. closes: log closes by symbol; train_ends: of each
    fold (ms).
    """
    changes = {name: returns(one.to_numpy(), segments(one.index.to_numpy(), bar_ms)) for name, one in closes.items()}
    factor = pd.Series(1.0, index=cases.index)
    for (train_end, symbol), rows in cases.groupby([cases["fold"].map(train_ends), "symbol"], sort=False):
        past = pd.Series(changes[str(symbol)][closes[str(symbol)].index < train_end])
        of_bars, of_windows = ((past**2).rolling(horizon).sum(), past.rolling(horizon).sum() ** 2)
        factor[rows.index] = np.sqrt(of_bars.mean() / of_windows.mean()) if of_windows.any() else np.nan
    return (cases["deviation"] * factor).to_numpy()


def economic_values(
    cases: pd.DataFrame, investor: Investor, best: str, spacing: int, lags: int
) -> dict[str, EconomicValue]:
    """Utility, its gain over the baseline `best`, QLIKE and bias of the forecast variance, by member.

    spacing: ms between origins; lags: of dependent origin times. A gain is None for a member that was skipped in a
    fold, and all is None where a member's quantiles are all equal somewhere; an interval also where there are too few
    origin times.
    """
    variance, deviation = cases["variance"].to_numpy(), cases["deviation"].to_numpy()
    ratio = np.divide(variance, deviation**2, out=np.full(len(cases), np.nan), where=deviation > 0)
    log_variance = np.log(np.square(deviation), out=np.zeros(len(cases)), where=deviation > 0)
    scored = cases[[*KEYS, "member"]].assign(
        utility=investor.utility(variance, deviation), ratio=ratio, qlike=ratio + log_variance
    )
    walk = scored[scored["member"] == RANDOM_WALK].set_index(KEYS)["qlike"]
    scored["qlike"] -= walk.reindex(pd.MultiIndex.from_frame(scored[KEYS])).to_numpy()
    by_member = scored.set_index("member")[["utility", "ratio", "qlike"]].groupby("member")
    means = by_member.sum(skipna=False).div(by_member.size(), axis=0)
    gains = _gains(scored, best, spacing, lags)
    return {
        str(member): {
            "utility": number(row["utility"]),
            "gain": gains[member][0] if member in gains else None,
            "confidence_interval": gains[member][1] if member in gains else None,
            "variance_ratio": number(row["ratio"]),
            "qlike": number(row["qlike"]),
        }
        for member, row in means.iterrows()
    }


def _gains(scored: pd.DataFrame, best: str, spacing: int, lags: int) -> dict[str, tuple[float, list[float] | None]]:
    """Mean utility less that of `best`, with its 95 % confidence interval, of members with a utility everywhere."""
    wide = scored.pivot(index=KEYS, columns="member", values="utility").dropna(axis="columns")
    if best not in wide:
        return {}
    gains = wide.sub(wide[best], axis=0)
    members = list(gains.columns)
    panel = make_panel(gains.assign(**{COUNT: 1.0}).reset_index(), [*members, COUNT], spacing)
    intervals = {}
    if panel.suffices(lags):
        draws = bootstrap_losses(panel, lags + 1)
        ends = np.quantile(draws[:, :-1] / draws[:, -1:], [0.025, 0.975], axis=0)
        intervals = dict(zip(members, ends.T.tolist(), strict=True))
    return {member: (float(gains[member].mean()), intervals.get(member)) for member in members}
