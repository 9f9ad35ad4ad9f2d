"""Whether members' losses differ by more than chance, where losses overlap in time and symbols are correlated.

All inference is on a `LossPanel`, whose losses are sums over the symbols of an origin time: symbols that move together
count as one observation. Random draws have a fixed seed: the same losses give the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtr

from forecasting.hac import hac_sum

BOOTSTRAP_DRAWS = 2000
SEED = 1
# independent blocks of origins that a standard error needs at least
FEWEST_BLOCKS = 5


@dataclass(frozen=True)
class LossPanel:
    """Losses of members at the origin times of each fold's grid, in time's order.

    fold [times]: the fold of each; origins [times]: how many symbols were forecast then, perhaps none; losses
    [times, members]: the sum over these.
    """

    members: list[str]
    fold: np.ndarray
    origins: np.ndarray
    losses: np.ndarray

    def of(self, member: str) -> np.ndarray:
        """The member's losses [times]."""
        return self.losses[:, self.members.index(member)]

    def origin_times(self) -> int:
        """How many of the times have an origin: the number of observations."""
        return int((self.origins > 0).sum())

    def suffices(self, lags: int) -> bool:
        """Whether there are observations enough for a standard error, a confidence interval or set of `lags`."""
        return self.origin_times() >= FEWEST_BLOCKS * (lags + 1)


def make_panel(losses: pd.DataFrame, members: list[str], spacing: int) -> LossPanel:
    """A panel of losses by fold and origin (columns `fold`, `origin`, and a column a member), `spacing` ms apart."""
    first = losses.groupby("fold")["origin"].transform("min")
    slots = losses[members].assign(fold=losses["fold"], slot=(losses["origin"] - first) // spacing, origins=1)
    sums = slots.groupby(["fold", "slot"]).sum()
    grid = [(fold, slot) for fold, last in slots.groupby("fold")["slot"].max().items() for slot in range(last + 1)]
    whole = sums.reindex(pd.MultiIndex.from_tuples(grid, names=sums.index.names), fill_value=0)
    fold = whole.index.get_level_values("fold").to_numpy()
    return LossPanel(members, fold, whole["origins"].to_numpy(), whole[members].to_numpy(np.float64))


def diebold_mariano(panel: LossPanel, one: str, other: str, lags: int) -> tuple[float, float, float]:
    """Mean over origins of one member's loss less the other's, its standard error, and two-sided p of no difference.

    Diebold and Mariano (1995), J. Business & Economic Statistics 13(3), over a panel: a HAC variance along each fold of
    the sums over symbols (Driscoll and Kraay 1998, Review of Economics and Statistics 80(4)), Student's t with one
    degree of freedom less than there are origin times.
    """
    difference, count = panel.of(one) - panel.of(other), panel.origins.sum()
    mean = difference.sum() / count
    centred = difference - mean * panel.origins
    error = np.sqrt(sum(hac_sum(centred[panel.fold == fold], lags) for fold in np.unique(panel.fold))) / count
    if error == 0:
        return float(mean), 0.0, float(mean == 0)
    return float(mean), float(error), float(2 * stdtr(panel.origin_times() - 1, -abs(mean / error)))


def bootstrap_losses(panel: LossPanel, block: int) -> np.ndarray:
    """Total losses [draws, members] of resampled panels: blocks of successive origin times, `block` long on average.

    The stationary bootstrap of Politis and Romano (1994), J. American Statistical Association 89(428). An origin time
    is drawn whole, with all its symbols and members.
    """
    from arch.bootstrap import StationaryBootstrap

    losses = panel.losses[panel.origins > 0]
    draws = StationaryBootstrap(block, np.arange(len(losses)), seed=SEED).bootstrap(BOOTSTRAP_DRAWS)
    counts = np.stack([np.bincount(places[0], minlength=len(losses)) for places, _ in draws])
    # no BLAS: see hac_sum
    return np.einsum("dm,mk->dk", counts.astype(np.float64), losses)


def skill_interval(one: np.ndarray, other: np.ndarray) -> list[float]:
    """95 % confidence interval of the skill 1 − loss ÷ the other's loss, of bootstrap totals [draws] of both."""
    lower, upper = np.quantile(1 - one / other, [0.025, 0.975])
    return [float(lower), float(upper)]


def confidence_set(panel: LossPanel, members: Sequence[str], block: int, size: float = 0.1) -> list[str]:
    """The model confidence set: those of `members` that hold the best one with probability 1 − `size`.

    With the range statistic: Hansen, Lunde and Nason (2011), Econometrica 79(2).
    """
    from arch.bootstrap import MCS

    losses = np.stack([panel.of(member) for member in members], axis=1)[panel.origins > 0]
    # members of equal losses are in it or not together: the test would divide by the variance of their difference
    distinct, group = np.unique(np.round(losses / losses.mean(), 12), axis=1, return_inverse=True)
    if distinct.shape[1] == 1:
        return list(members)
    test = MCS(distinct, size, reps=BOOTSTRAP_DRAWS, block_size=block, seed=SEED)
    test.compute()
    return [member for member, column in zip(members, group.ravel(), strict=True) if column in test.included]
