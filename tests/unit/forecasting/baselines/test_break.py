"""Every baseline on a market that is calm for long and then breaks."""

import numpy as np
import pytest

from forecasting.bars import Bars, typical_variance
from forecasting.baselines.interface import BaselineSettings, SymbolSeries, load_baseline
from forecasting.losses import covered
from forecasting.members import BASELINES
from forecasting.task import Task
from market.intervals import DAY, MINUTE
from support.markets import breaking

TASK = Task("1m", lookback=1, horizon=30, quantile_levels=(0.05, 0.25, 0.5, 0.75, 0.95))
SETTINGS = BaselineSettings(ewma_halflife=60, drift_halflife=240, refit_bars=None)
# their width is the history's; the ensemble leaves such a member out where its coverage is far off
UNCONDITIONAL = ("random_walk", "seasonal_naive")
CALM, TEST = 10_000, 1_000


@pytest.mark.parametrize("known", [0, 60, 2_000])
@pytest.mark.parametrize("name", BASELINES)
def test_the_width_follows_a_break(name: str, known: int) -> None:
    """known: minutes of the break that the history holds."""
    bars = Bars.of(breaking(CALM, known + 100 + TEST, seed=2), MINUTE)
    history = bars.before(int(bars.timestamp[CALM + known]))
    origins = np.arange(CALM + known + 100, CALM + known + TEST, 10)
    (quantiles,) = load_baseline(name)([SymbolSeries(history, bars, origins)], TASK, SETTINGS)
    coverage = covered(bars.paths(origins, TASK.horizon), quantiles[..., 0], quantiles[..., -1]).mean()
    assert (coverage > 0.45) == (name not in UNCONDITIONAL), coverage


def test_a_break_does_not_dominate_the_typical_variance() -> None:
    calm = np.full(30 * DAY // MINUTE, 2.0)
    assert typical_variance(calm, MINUTE) == 2
    calm[-DAY // MINUTE :] = 1e6
    assert typical_variance(calm, MINUTE) == pytest.approx(2 * (29 + 10) / 30)
    # an ordinary change of days is no break, and a price that mostly stands still has the plain mean
    steps = np.repeat([1.0, 3.0, 5.0], DAY // MINUTE)
    assert typical_variance(np.append(steps, np.nan), MINUTE) == pytest.approx(3, rel=1e-3)
    still = np.where(np.arange(5 * DAY // MINUTE) < 4 * DAY // MINUTE, 0.0, 1.0)
    assert typical_variance(still, MINUTE) == pytest.approx(0.2)
    assert typical_variance(np.array([np.nan]), MINUTE) == 0
