"""What each plan is expected to leave, by the sample paths and, exactly, by the marginals; and the best plan.

**Direction.** The expected price ratio of an exit is the lesser of the forecast's mean and its median. A wide or
skewed forecast without direction has a mean above its median; members are scored on their medians, so that is no
forecast of a rise. Paths are lowered by that difference, step by step, before money is counted on them.

**Noise.** The best of many noisy means is too good. So whether there is a BUY hangs on the plans without levels alone,
whose expected return and probability are those of the marginals, without sampling error. Levels may then improve on
their exit: where their gain, on the same paths, exceeds the standard error so often that none of them would by chance,
at 5 % (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from common.errors import UserError
from forecasting.distribution import Distribution
from trading.costs import Costs
from trading.plans import Plans, fills

SIGNIFICANCE = 0.05
TAIL = 0.05  # of the expected shortfall
DIGITS = 9  # of shares; further ones depend on the machine


def check_quantiles(quantiles: np.ndarray) -> None:
    """Raise UserError unless quantiles [..., levels] are finite and do not decrease from level to level."""
    if not np.isfinite(quantiles).all() or (np.diff(quantiles) < 0).any():
        raise UserError("the forecast's quantiles cross or are not finite, so nothing can be decided on them")


@dataclass(frozen=True)
class Marginals:
    """A symbol's forecast of each step [steps], cumulative log returns: its distribution, its median, and the log of
    the price ratio that is expected, the lesser of mean and median. Raises UserError on quantiles that are none."""

    quantile_levels: Sequence[float]
    quantiles: np.ndarray

    def __post_init__(self) -> None:
        check_quantiles(self.quantiles)
        if not np.isfinite(self.log_mean).all():
            raise UserError("the forecast is so wide that no price is to be expected, so nothing can be decided on it")

    @cached_property
    def distribution(self) -> Distribution:
        return Distribution(self.quantile_levels, self.quantiles)

    @property
    def median(self) -> np.ndarray:
        return self.quantiles[:, list(self.quantile_levels).index(0.5)]

    @cached_property
    def log_mean(self) -> np.ndarray:
        return np.log(self.distribution.mean_exponential())

    @property
    def expected(self) -> np.ndarray:
        return np.minimum(self.median, self.log_mean)

    def exceeded(self, probability: float) -> np.ndarray:
        """The log return [steps] that is exceeded with a probability, as far as probabilities are told."""
        return self.distribution.quantile(float(np.clip(1 - probability, 10.0**-DIGITS, 1 - 10.0**-DIGITS)))


@dataclass(frozen=True)
class Outlook:
    """Of each plan [p], as shares of the cash and after costs: expected return and its standard error (0 without
    levels), probability of a net profit, expected shortfall at 95 % (a return), the fraction of the cash that grows
    most, from 0 to 1, and the expected log growth at it. ratio: the expected price ratio, less funding. gains: whether
    levels gain significantly on their exit without."""

    plans: Plans
    ratio: np.ndarray
    expected: np.ndarray
    error: np.ndarray
    probability: np.ndarray
    shortfall: np.ndarray
    fraction: np.ndarray
    growth: np.ndarray
    gains: np.ndarray
    margin: float
    "standard errors that a gain must exceed"

    @property
    def surely(self) -> np.ndarray:
        """The expected return less the margin of its error."""
        return _rounded(self.expected - self.margin * self.error)


def outlook(plans: Plans, marginals: Marginals, paths: np.ndarray, costs: Costs, cash: float) -> Outlook:
    """What each plan is expected to leave. paths [steps, n]: sample paths of the marginals.

    A plan's mean is that of its exit by the marginals, plus the mean gain of its levels over that exit on the same
    paths. Raises UserError on paths that are not finite, and as `Costs.units` does.
    """
    if not np.isfinite(paths).all():
        raise UserError("the sample paths are not finite, so nothing can be decided on them")
    lowered = marginals.expected - marginals.log_mean
    step, raw, taken = fills(plans, paths)
    exits = plans.step - 1
    # by step, and as taker or maker
    kept = costs.kept(np.arange(1, len(paths) + 1)[:, None], np.array([False, True]))
    at_exit, place = kept[exits, 0], (step - 1, taken.astype(np.intp))
    sold = np.exp(raw + lowered[step - 1]) * kept[place]
    gain = sold - np.exp(paths[exits] + lowered[exits, None]) * at_exit[:, None]
    mean = gain.mean(axis=1)
    error = gain.std(axis=1) / np.sqrt(paths.shape[1])
    margin = float(ndtri(1 - SIGNIFICANCE / max(1, int((~plans.simple).sum()))))
    ratio = np.exp(marginals.expected[exits]) * at_exit + mean
    # the paths' own mean differs from the marginals' by what the grid of their quantiles leaves out
    net = costs.net_return(cash, sold * (ratio / sold.mean(axis=1))[:, None])
    breakeven = np.log(costs.ratio_of(cash, 0.0)) - np.log(kept)
    exact = 1 - marginals.distribution.cdf(breakeven[:, 0])[exits]
    fraction, growth = kelly(net)
    return Outlook(
        plans=plans,
        ratio=ratio,
        expected=_rounded(costs.net_return(cash, ratio)),
        error=_rounded(error * costs.ratio_slope(cash)),
        probability=_rounded(np.where(plans.simple, exact, (raw > breakeven[place]).mean(axis=1))),
        shortfall=_rounded(_expected_shortfall(net)),
        fraction=np.round(fraction, 6),
        growth=_rounded(growth),
        gains=_rounded(mean - margin * error) > 0,
        margin=margin,
    )


def kelly(net: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fraction of the cash, from 0 to 1, of the largest expected log growth, and that growth: [p] of net returns
    [p, n]. The rest of the cash stays as it is.

    Kelly (1956), A new interpretation of information rate, Bell System Technical Journal 35(4).
    """
    fraction = np.zeros(len(net))
    for place in np.flatnonzero(net.mean(axis=1) > 0):
        fraction[place] = _best_fraction(net[place])
    return fraction, np.log1p(fraction[:, None] * net).mean(axis=1)


def _best_fraction(net: np.ndarray) -> float:
    """Where the slope of the mean log growth is zero, or 1 where it is positive there."""

    def slope(fraction: float) -> float:
        return float((net / (1 + fraction * net)).mean())

    # no fraction may lose all
    most = min(1.0, (1 - 1e-9) / max(float(-net.min()), 1e-9))
    return most if slope(most) >= 0 else float(brentq(slope, 0.0, most))


def qualifying(found: Outlook, min_edge: float, min_probability: float, admitted: np.ndarray) -> np.ndarray:
    """Which plans [p] may be bought: an exit without levels by its edge and its probability; levels where their exit
    may be, and they gain and keep both.

    min_edge: a share of the cash. admitted [p]: by what else is asked of the exit. With higher costs no plan comes to
    qualify where none did.
    """
    plans = found.plans
    holds = (found.surely >= min_edge) & (found.probability >= min_probability) & admitted
    exits = np.isin(plans.step, plans.step[holds & plans.simple])
    return holds & exits & (plans.simple | found.gains)


def best_plan(found: Outlook, candidates: np.ndarray) -> int:
    """The place of the plan of the largest expected log growth, of `candidates` [p] or, where there is none, of all
    without levels. Ties: the larger expected return, the larger probability of a profit, then no levels, then the
    earlier exit."""
    places = np.flatnonzero(candidates if candidates.any() else found.plans.simple)
    keys = (found.plans.step, ~found.plans.simple, -found.probability, -found.expected, -found.growth)
    return int(places[np.lexsort([key[places] for key in keys])[0]])


def flipping_commission(
    marginals: Marginals, exits: np.ndarray, costs: Costs, cash: float, min_edge: float, min_probability: float
) -> float | None:
    """The commission, percent a side, at which a plan without levels of one of `exits` (steps) just qualifies: up to it
    BUY, above it HOLD, if the gates pass. None where none is low enough."""
    at, kept = exits - 1, costs.kept(exits)
    by_edge = costs.commission_at(cash, np.exp(marginals.expected[at]) * kept, min_edge)
    by_probability = costs.commission_at(cash, np.exp(marginals.exceeded(min_probability)[at]) * kept, 0.0)
    highest = float(np.minimum(by_edge, by_probability).max())
    return round(highest, DIGITS) if highest >= 0 else None


def needed_median(
    marginals: Marginals, step: int, costs: Costs, cash: float, min_edge: float, min_probability: float
) -> float:
    """The median log return at a step with which its plan without levels just qualifies, the distribution shifted."""
    at, kept = step - 1, np.log(costs.kept(np.array(step)))
    by_edge = np.log(costs.ratio_of(cash, min_edge)) - kept - marginals.expected[at]
    by_probability = np.log(costs.ratio_of(cash, 0.0)) - kept - marginals.exceeded(min_probability)[at]
    return round(float(marginals.median[at] + max(by_edge, by_probability)), DIGITS)


def _expected_shortfall(net: np.ndarray) -> np.ndarray:
    """The mean [p] of the worst 5 % of net returns [p, n], at least of one."""
    worst = max(1, round(TAIL * net.shape[1]))
    return np.partition(net, worst - 1, axis=1)[:, :worst].mean(axis=1)


def share_of(percent: float) -> float:
    """A percentage as a share, of the digits that shares are told with."""
    return round(percent / 100, DIGITS)


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.round(values, DIGITS)
