"""Coverage in different states of the market, and tests of the 90 % interval: whether misses come as often as they
should, and independently of each other.

docs/evaluation.md defines each figure.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import chdtrc, xlogy

from common.files import number
from forecasting.documents import ConditionScores, CoverageTests
from forecasting.market_state import market_state
from forecasting.members import RANDOM_WALK
from forecasting.regimes import REGIMES, regimes

WINKLER = ["winkler50", "winkler90"]
CONDITIONS = (*REGIMES, "after_jump", "no_jump")
NO_SCORES = ConditionScores(origins=0, coverage50=None, coverage90=None, winkler50=None, winkler90=None)
MISS_RATE = 0.1
# origins of a symbol, a horizon apart, that a test needs: five misses are expected in them
FEWEST_ORIGINS = 50


def add_states(
    cases: pd.DataFrame, closes: Mapping[str, pd.Series], train_ends: Mapping[int, int], bar_ms: int
) -> pd.DataFrame:
    """The cases with the market's state at each origin: `regime` ("" where unknown) and `after_jump`.

    closes: log closes by symbol. train_ends: of each fold (ms); the regimes' bounds are of the bars before.
    """
    parts = []
    states = {symbol: market_state(closes[symbol], bar_ms) for symbol in cases["symbol"].unique()}
    ends = cases["fold"].map(train_ends)
    for (train_end, symbol), rows in cases.groupby([ends, "symbol"], sort=False):
        state = states[str(symbol)]
        training = state.loc[state.index < train_end, "volatility"].dropna().to_numpy()
        at = state.loc[rows["origin"]].set_index(rows.index)
        known = at["volatility"].notna() & (len(training) > 0)
        regime = pd.Series("", index=rows.index, dtype=object)
        if known.any():
            regime[known] = regimes(at["volatility"][known].to_numpy(), training)
        parts.append(at[["after_jump"]].assign(regime=regime))
    return cases.join(pd.concat(parts))


def by_condition(cases: pd.DataFrame) -> dict[str, dict[str, ConditionScores]]:
    """Coverage and Winkler score by member and state of the market at the origin; cases as `add_states` returns them.

    Winkler scores are relative to the random walk's at the symbol in that state.
    """
    groups = {name: cases[cases["regime"] == name] for name in REGIMES}
    groups |= {"after_jump": cases[cases["after_jump"]], "no_jump": cases[~cases["after_jump"]]}
    scored = {name: _scores(group) for name, group in groups.items()}
    return {
        str(member): {name: scored[name].get(str(member), NO_SCORES) for name in CONDITIONS}
        for member in cases["member"].unique()
    }


def _scores(group: pd.DataFrame) -> dict[str, ConditionScores]:
    """Mean scores by member of the cases of one state."""
    walk = group[group["member"] == RANDOM_WALK]
    scores: dict[str, ConditionScores] = {}
    for member, rows in group.groupby("member"):
        usual = walk[walk["fold"].isin(rows["fold"].unique())].groupby("symbol")[WINKLER].mean()
        relative = (rows[WINKLER] / usual.where(usual > 0).loc[rows["symbol"]].to_numpy()).mean()
        scores[str(member)] = {
            "origins": len(rows),
            "coverage50": number(rows["coverage50"].mean()),
            "coverage90": number(rows["coverage90"].mean()),
            "winkler50": number(relative["winkler50"]),
            "winkler90": number(relative["winkler90"]),
        }
    return scores


def coverage_tests(cases: pd.DataFrame, spacing: int) -> dict[str, CoverageTests]:
    """Tests of each member's 90 % interval at the last step, at origins `spacing` ms or more apart.

    Symbols move together, so each is tested alone, and the smallest p times their number is reported (Bonferroni).
    None where no symbol has `FEWEST_ORIGINS`.
    """
    tests: dict[str, CoverageTests] = {}
    for member, rows in cases.groupby("member", sort=False):
        misses = [
            [~run["inside"].to_numpy()[thinned(run["origin"].to_numpy(), spacing)] for _, run in symbol.groupby("fold")]
            for _, symbol in rows.groupby("symbol")
        ]
        p = [interval_tests(runs) for runs in misses if sum(map(len, runs)) >= FEWEST_ORIGINS]
        smallest = np.minimum(len(p) * np.min(p, axis=0), 1).tolist() if p else [None] * 3
        flat = np.concatenate([run for runs in misses for run in runs])
        tests[str(member)] = {
            "origins": len(flat),
            "miss_rate": float(flat.mean()),
            "kupiec": smallest[0],
            "independence": smallest[1],
            "christoffersen": smallest[2],
        }
    return tests


def thinned(origin: np.ndarray, spacing: int) -> np.ndarray:
    """Places in increasing times [n] of the first, and of each next that is `spacing` or more after the one before."""
    places = [0]
    while (following := np.searchsorted(origin, origin[places[-1]] + spacing)) < len(origin):
        places.append(int(following))
    return np.array(places)


def interval_tests(runs: list[np.ndarray], rate: float = MISS_RATE) -> list[float]:
    """p-values of three likelihood ratio tests of misses (bool), in runs without a gap: that they come at `rate`
    (Kupiec 1995, J. Derivatives 3(2)), independently of the one before, and both (Christoffersen 1998, International
    Economic Review 39(4)).

    Without a miss, or with misses only, there is nothing to tell of independence: its p is 1.
    """
    misses, hits = (sum(int((run == value).sum()) for run in runs) for value in (True, False))
    unconditional = _log_likelihood(misses, hits) - (xlogy(misses, rate) + xlogy(hits, 1 - rate))
    # how often a hit or a miss follows each
    follows = np.array(
        [[sum(int(((run[:-1] == a) & (run[1:] == b)).sum()) for run in runs) for b in (1, 0)] for a in (1, 0)]
    )
    independence = sum(_log_likelihood(*row) for row in follows) - _log_likelihood(*follows.sum(axis=0))
    ratios = 2 * np.maximum([unconditional, independence, unconditional + independence], 0)
    return [float(chdtrc(freedom, ratio)) for freedom, ratio in zip((1, 1, 2), ratios, strict=True)]


def _log_likelihood(misses: int, hits: int) -> float:
    """The largest log likelihood of so many misses and hits."""
    total = max(misses + hits, 1)
    return float(xlogy(misses, misses / total) + xlogy(hits, hits / total))
