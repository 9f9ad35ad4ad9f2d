"""Drift: whether the ensemble's skill and coverage, over the latest decisions, leave what chance explains.

Decisions closer than a horizon share outcomes, so variances are HAC ones, and nothing is judged before there are
`FEWEST` disjoint horizons.
"""

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from common.text import percent, signed_percent
from forecasting.hac import hac_lags, hac_sum
from forecasting.members import ENSEMBLE, RANDOM_WALK
from market.intervals import parse_time

# coverage of the interval that is watched
NOMINAL = 0.9
# deviations from what is expected to a band's edge: one in a hundred is outside by chance
BAND = 2.576
FEWEST = 10
# further digits depend on the machine
DIGITS = 10
COLUMNS = [
    *("as_of", "decisions", "disjoint", "skill", "skill_expected", "skill_low", "skill_high"),
    *("coverage", "coverage_low", "coverage_high", "drifting"),
]


def outcomes(table: pd.DataFrame, expected: Mapping[str, float | None]) -> pd.DataFrame:
    """A row a time whose horizon has passed, of the last entry's exchange, interval and horizon: `time` (ms), the
    losses of `ensemble` and of `random_walk` and the `coverage`, means over the symbols; `expected`: the skill in the
    evaluation, by the entry's time, NaN where there is none.
    """
    same = ["exchange", "interval", "horizon"]
    last = table[same].iloc[-1] if len(table) else None
    of_last = table[(table[same] == last).all(axis=1)] if last is not None else table
    whole = of_last[of_last["status"].eq("complete") & of_last["steps"].eq(of_last["horizon"])]
    losses = whole.pivot_table(index="as_of", columns="member", values="pinball", aggfunc="mean")
    losses = losses.reindex(columns=[ENSEMBLE, RANDOM_WALK]).dropna()
    covered = whole[whole["member"] == ENSEMBLE].groupby("as_of")["coverage90"].mean()
    made = losses.assign(
        time=[parse_time(str(time)) for time in losses.index],
        coverage=covered.reindex(losses.index),
        expected=[np.nan if (skill := expected.get(str(time))) is None else skill for time in losses.index],
    )
    return made.sort_values("time").reset_index()


def drift(made: pd.DataFrame, bar_ms: int, horizon: int, window: int) -> pd.DataFrame:
    """The rolling figures after each of `outcomes`, `COLUMNS`: over the last `window` of them, with the bands around
    the expected skill and the nominal coverage; no bands while there are too few. `drifting` names what is outside its
    band, and is empty where nothing is."""
    rows = [figures(made.iloc[max(0, end - window) : end], bar_ms, horizon) for end in range(1, len(made) + 1)]
    return pd.DataFrame(rows, columns=COLUMNS)


def figures(made: pd.DataFrame, bar_ms: int, horizon: int) -> dict[str, object]:
    """The row of `drift` over all of these outcomes."""
    time, count = made["time"].to_numpy(), len(made)
    disjoint = disjoint_spans(time, horizon * bar_ms)
    spacing = max(1, int(np.median(np.diff(time)) // bar_ms)) if count > 1 else 1
    lags = hac_lags(horizon, spacing, count)
    ensemble, walk = made[ENSEMBLE].to_numpy(), made[RANDOM_WALK].to_numpy()
    ratio = ensemble.sum() / walk.sum()
    expected = float(made["expected"].iloc[-1])
    # linearised, the error of a ratio of sums is that of the sum of these
    skill_error = np.sqrt(hac_sum(ensemble - ratio * walk, lags)) / walk.sum()
    covered = made["coverage"].to_numpy()
    coverage = float(covered.mean())
    # outcomes that all agree tell nothing of their variance: no less than that of as many as are disjoint
    binomial = NOMINAL * (1 - NOMINAL) / disjoint
    coverage_error = np.sqrt(max(hac_sum(covered - coverage, lags) / count**2, binomial))
    judged = 1.0 if disjoint >= FEWEST else np.nan
    found = {
        "skill": 1 - ratio,
        "skill_expected": expected,
        "skill_low": judged * (expected - BAND * skill_error),
        "skill_high": judged * (expected + BAND * skill_error),
        "coverage": coverage,
        "coverage_low": judged * (NOMINAL - BAND * coverage_error),
        "coverage_high": judged * min(1.0, NOMINAL + BAND * coverage_error),
    }
    rounded = {name: round(float(value), DIGITS) for name, value in found.items()}
    standing = {"as_of": made["as_of"].iloc[-1], "decisions": count, "disjoint": disjoint}
    return standing | rounded | {"drifting": _drifting(rounded)}


def disjoint_spans(time: np.ndarray, span: int) -> int:
    """How many of the spans that begin at these times, increasing, share nothing: the most that can be chosen."""
    count, end = 0, -np.inf
    for start in time.tolist():
        if start >= end:
            count, end = count + 1, start + span
    return count


def _drifting(found: Mapping[str, float]) -> str:
    """What is outside its band: a skill below it, a coverage on either side. A better skill is no reason to warn."""
    below = found["skill"] < found["skill_low"]
    outside = found["coverage"] < found["coverage_low"] or found["coverage"] > found["coverage_high"]
    return " ".join(name for name, is_out in (("skill", below), ("coverage", outside)) if is_out)


def warning(row: Mapping[Hashable, object]) -> str:
    """A row of `drift` as one line, where it has something drifting."""
    values = {name: float(str(row[name])) for name in COLUMNS[3:-1]}
    skill = (
        f"the skill over the random walk is {signed_percent(values['skill'])}, expected at least "
        f"{signed_percent(values['skill_low'])} by the evaluation's {signed_percent(values['skill_expected'])}"
    )
    coverage = (
        f"the 90 % interval covers {percent(values['coverage'])}, expected {percent(values['coverage_low'])} to "
        f"{percent(values['coverage_high'])}"
    )
    named = {"skill": skill, "coverage": coverage}
    told = " and ".join(named[name] for name in str(row["drifting"]).split())
    return f"drift: over the last {row['decisions']} decisions {told}; train anew (make run), see docs/ledger.md"
