"""The economic value of a forecast's width: the utility of an investor who holds a constant risk by it.

docs/evaluation.md derives each figure.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from common.files import number
from forecasting.documents import EconomicValue
from forecasting.evaluation.significance import bootstrap_losses, make_panel
from forecasting.members import EWMA, RANDOM_WALK

KEYS = ["fold", "symbol", "origin"]
COUNT = "(origins)"  # no member's name


class Investor(NamedTuple):
    """sharpe: the Sharpe ratio a year that the investor expects; risk_aversion: γ of the mean-variance utility."""

    sharpe: float
    risk_aversion: float

    def utility(self, root: np.ndarray, ratio: np.ndarray) -> np.ndarray:
        """Mean realised utility [...], as a share of wealth a year, of forecasts freed of their bias.

        ratio [...]: mean of realised over forecast variance, RV / σ²; root [...]: mean of its root. Of a forecast
        variance cσ² it is SR² / γ · (E √RV / √c σ − ½ E RV / cσ²), at most SR² / 2γ: Bollerslev, Hood, Huss and
        Pedersen (2018), Risk everywhere, Review of Financial Studies 31(7). c is E RV / σ², which makes it unbiased.
        """
        return self.sharpe**2 / self.risk_aversion * (root / np.sqrt(ratio) - 0.5)


def economic_values(
    cases: pd.DataFrame, investor: Investor, best: str, spacing: int, lags: int
) -> dict[str, EconomicValue]:
    """Utility, its gains over the baseline `best` and over EWMA, QLIKE and bias of the forecast variance, by member.

    spacing: ms between origins; lags: of dependent origin times. A gain is None for a member that was skipped in a
    fold, and all is None where a member's quantiles are all equal somewhere; an interval also where there are too few
    origin times.
    """
    deviation = cases["deviation"].where(cases["deviation"] > 0)
    ratio = cases["variance"] / deviation**2
    scored = cases[[*KEYS, "member"]].assign(ratio=ratio, root=np.sqrt(ratio), log=2 * np.log(deviation))
    walk = scored[scored["member"] == RANDOM_WALK].set_index(KEYS)
    values: dict[str, EconomicValue] = {}
    for member, rows in scored.groupby("member"):
        mean = rows[["ratio", "root", "log"]].mean(skipna=False)
        same = walk.loc[pd.MultiIndex.from_frame(rows[KEYS])].mean(numeric_only=True, skipna=False)
        values[str(member)] = {
            "utility": number(float(investor.utility(mean["root"], mean["ratio"]))),
            "gain": None,
            "confidence_interval": None,
            "gain_over_ewma": None,
            "interval_over_ewma": None,
            "variance_ratio": number(mean["ratio"]),
            "qlike": number(mean["log"] - same["log"] + np.log(mean["ratio"] / same["ratio"])),
        }

    def gain(member: str, rival: str) -> float | None:
        return number((values[member]["utility"] or np.nan) - (values[rival]["utility"] or np.nan))

    found = _gains(scored, investor, {best, EWMA}, spacing, lags)
    for member, interval in found.get(best, {}).items():
        values[member]["gain"], values[member]["confidence_interval"] = gain(member, best), interval
    for member, interval in found.get(EWMA, {}).items():
        values[member]["gain_over_ewma"], values[member]["interval_over_ewma"] = gain(member, EWMA), interval
    return values


def _gains(
    scored: pd.DataFrame, investor: Investor, rivals: set[str], spacing: int, lags: int
) -> dict[str, dict[str, list[float] | None]]:
    """By rival the members that are compared with it, each with the 95 % confidence interval of its gain in utility:
    those with a ratio everywhere, as the rival must have. A resampled utility is that of the resampled means."""
    wide = scored.pivot(index=KEYS, columns="member", values=["root", "ratio"]).dropna(axis="columns")
    members = list(wide["ratio"].columns) if "ratio" in wide else []
    known = sorted(rivals & set(members))
    if not known:
        return {}
    columns = [f"{kind} {member}" for kind in ("root", "ratio") for member in members]
    panel = make_panel(wide.set_axis(columns, axis=1).assign(**{COUNT: 1.0}).reset_index(), [*columns, COUNT], spacing)
    if not panel.suffices(lags):
        return {rival: dict.fromkeys(members) for rival in known}
    draws = bootstrap_losses(panel, lags + 1)
    means = (draws[:, :-1] / draws[:, -1:]).reshape(len(draws), 2, len(members))
    utility = investor.utility(means[:, 0], means[:, 1])
    gains = {rival: utility - utility[:, [members.index(rival)]] for rival in known}
    ends = {rival: np.quantile(gain, [0.025, 0.975], axis=0).T.tolist() for rival, gain in gains.items()}
    return {rival: dict(zip(members, ends[rival], strict=True)) for rival in known}
