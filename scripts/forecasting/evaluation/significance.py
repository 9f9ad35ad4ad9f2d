"""Whether one member's losses differ from another's, or only seem to: losses overlap in time, and symbols share them.

Everything is told of a `Panel`, whose losses are sums over the symbols of a moment: so symbols that move together count
as the one observation that they are. Random draws have a fixed seed: the same losses give the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtr

from forecasting.hac import hac_sum

DRAWS = 2000
SEED = 1
# below this many stretches of independent origins, a standard error says nothing
STRETCHES = 5


@dataclass(frozen=True)
class Panel:
    """Losses of members at moments that lie on each fold's grid of origins, in time's order.

    fold [moments]: whose moment it is; origins [moments]: how many symbols were forecast then, perhaps none; losses
    [moments, members]: the sum of theirs.
    """

    members: list[str]
    fold: np.ndarray
    origins: np.ndarray
    losses: np.ndarray

    def of(self, member: str) -> np.ndarray:
        """The member's losses [moments]."""
        return self.losses[:, self.members.index(member)]

    def moments(self) -> int:
        """How many moments have an origin."""
        return int((self.origins > 0).sum())


def make_panel(losses: pd.DataFrame, members: list[str], spacing: int) -> Panel:
    """A panel of losses by fold and origin (columns `fold`, `origin`, and a column a member), `spacing` ms apart."""
    first = losses.groupby("fold")["origin"].transform("min")
    slots = losses[members].assign(fold=losses["fold"], slot=(losses["origin"] - first) // spacing, origins=1)
    sums = slots.groupby(["fold", "slot"]).sum()
    grid = [(fold, slot) for fold, last in slots.groupby("fold")["slot"].max().items() for slot in range(last + 1)]
    whole = sums.reindex(pd.MultiIndex.from_tuples(grid, names=sums.index.names), fill_value=0)
    fold = whole.index.get_level_values("fold").to_numpy()
    return Panel(members, fold, whole["origins"].to_numpy(), whole[members].to_numpy(np.float64))


def enough(panel: Panel, lags: int) -> bool:
    """Whether there are moments enough for a standard error, a band or a set to mean something."""
    return panel.moments() >= STRETCHES * (lags + 1)


def diebold_mariano(panel: Panel, one: str, other: str, lags: int) -> tuple[float, float, float]:
    """Mean over origins of one member's loss less the other's, its standard error, and two-sided p of no difference.

    Diebold and Mariano (1995), J. Business & Economic Statistics 13(3), over a panel: a HAC variance along each fold of
    the moments' sums (Driscoll and Kraay 1998, Review of Economics and Statistics 80(4)), Student's t with one degree
    of freedom less than there are moments.
    """
    gap, count = panel.of(one) - panel.of(other), panel.origins.sum()
    mean = gap.sum() / count
    centred = gap - mean * panel.origins
    error = np.sqrt(sum(hac_sum(centred[panel.fold == fold], lags) for fold in np.unique(panel.fold))) / count
    if error == 0:
        return float(mean), 0.0, float(mean == 0)
    return float(mean), float(error), float(2 * stdtr(panel.moments() - 1, -abs(mean / error)))


def holm(p: Sequence[float]) -> list[float]:
    """p-values [comparisons] corrected so that the chance of any false alarm among them stays what it was for one.

    The k-th smallest of n is multiplied by n − k + 1, and none comes below a smaller one's: Holm (1979), Scandinavian
    Journal of Statistics 6(2).
    """
    order = np.argsort(p, kind="stable")
    raised = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return corrected.tolist()


def resampled(panel: Panel, block: int) -> np.ndarray:
    """Total losses [draws, members] of panels made of random runs of moments, `block` long on average.

    The stationary bootstrap of Politis and Romano (1994), J. American Statistical Association 89(428). A moment is
    drawn whole, with all its symbols and members.
    """
    from arch.bootstrap import StationaryBootstrap

    losses = panel.losses[panel.origins > 0]
    drawn = StationaryBootstrap(block, np.arange(len(losses)), seed=SEED).bootstrap(DRAWS)
    counts = np.stack([np.bincount(places[0], minlength=len(losses)) for places, _ in drawn])
    # no BLAS: see hac_sum
    return np.einsum("dm,mk->dk", counts.astype(np.float64), losses)


def skill_interval(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the skill 1 − loss ÷ the other's loss, over resampled totals [draws] of both."""
    low, high = np.quantile(1 - one / other, [0.025, 0.975])
    return float(low), float(high)


def confidence_set(panel: Panel, members: Sequence[str], block: int, size: float = 0.1) -> list[str]:
    """Those of `members` that may be the best: the set holds the best one with probability 1 − `size`.

    Model confidence set with the range statistic: Hansen, Lunde and Nason (2011), Econometrica 79(2).
    """
    from arch.bootstrap import MCS

    losses = np.stack([panel.of(member) for member in members], axis=1)[panel.origins > 0]
    # members of equal losses stand or fall together: the test would divide by the variance of their difference
    distinct, kind = np.unique(np.round(losses / losses.mean(), 12), axis=1, return_inverse=True)
    if distinct.shape[1] == 1:
        return list(members)
    test = MCS(distinct, size, reps=DRAWS, block_size=block, seed=SEED)
    test.compute()
    return [member for member, own in zip(members, kind.ravel(), strict=True) if own in test.included]
