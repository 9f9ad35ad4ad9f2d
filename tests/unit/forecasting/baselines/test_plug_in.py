"""A user's function as a baseline: what it is given, what is refused of what it returns, each in one line."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from common.plug_ins import PlugIn
from forecasting.bars import Bars, InsufficientHistoryError
from forecasting.baselines.interface import BaselineSettings, SymbolSeries, load_baseline
from forecasting.baselines.plug_in import load_plug_in
from forecasting.task import Task
from market.intervals import MINUTE, iso
from support.markets import StochasticVolatility

TASK = Task("1m", lookback=1, horizon=3, quantile_levels=(0.05, 0.25, 0.5, 0.75, 0.95))
SETTINGS = BaselineSettings(ewma_halflife=20, drift_halflife=40, refit_bars=None)
ORIGINS = np.arange(410, 490, 8)
SHAPE = "it must return one of shape (10, 3, 5): origins, horizon, levels"
HEAD = """
import numpy as np
from forecasting.baselines.interface import all_symbols

def walk(series, task, settings):
    paths = series.history.paths(series.history.windows(0, task.horizon), task.horizon)
    return np.tile(np.quantile(paths, task.quantile_levels, axis=0).T, (len(series.origins), 1, 1))
"""


def series() -> list[SymbolSeries]:
    symbols = []
    for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        bars = Bars.of(StochasticVolatility().candles(500, seed), MINUTE)
        symbols.append(SymbolSeries(bars.before(int(bars.timestamp[400])), bars, ORIGINS, symbol))
    return symbols


def plug_in(folder: Path, body: str, name: str = "f") -> PlugIn:
    (folder / "mine.py").write_text(HEAD + textwrap.dedent(body))
    return PlugIn(str(folder / "mine.py"), name)


def at(origin: int) -> str:
    return iso(int(series()[0].bars.timestamp[ORIGINS[origin]]))


def test_it_is_a_baseline_like_any_other(tmp_path: Path) -> None:
    body = """
    from forecasting.baselines.simple import ewma_fhs
    def f(series, task, settings):
        return ewma_fhs(series, task, settings)
    """
    made = load_plug_in(plug_in(tmp_path, body), twice=True)(series(), TASK, SETTINGS)
    for one, other in zip(made, load_baseline("ewma_fhs")(series(), TASK, SETTINGS), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_of_all_symbols_is_given_all(tmp_path: Path) -> None:
    body = """
    @all_symbols
    def f(series, task, settings):
        assert [one.symbol for one in series] == ["BTCUSDT", "ETHUSDT"]
        return [walk(one, task, settings) for one in series]
    """
    both = load_plug_in(plug_in(tmp_path, body), twice=True)(series(), TASK, SETTINGS)
    alone = load_plug_in(PlugIn(str(tmp_path / "mine.py"), "walk"), twice=True)(series(), TASK, SETTINGS)
    for one, other in zip(both, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_it_does_to_its_arrays_is_its_own_affair(tmp_path: Path) -> None:
    body = """
    def f(series, task, settings):
        quantiles = walk(series, task, settings)
        series.bars.log_close[:] = 0
        return quantiles
    """
    given = series()
    load_plug_in(plug_in(tmp_path, body), twice=True)(given, TASK, SETTINGS)
    np.testing.assert_array_equal(given[0].bars.log_close, series()[0].bars.log_close)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("q[:, :2]", f"returned an array of shape (10, 2, 5); {SHAPE}"),
        ("q[0]", f"returned an array of shape (3, 5); {SHAPE}"),
        ("None", f"returned None; {SHAPE}"),
        ("'abc'", f"returned no array of numbers but str; {SHAPE}"),
        ("[[1, 2], [3]]", f"returned no array of numbers but list; {SHAPE}"),
        (
            "np.where(np.arange(3)[:, None] == 1, np.nan, q)",
            "its forecast of BTCUSDT at {at0}, step 2, level 0.05 is nan; return finite numbers, "
            "or raise InsufficientHistoryError to be skipped",
        ),
        (
            "np.where(np.arange(10)[:, None, None] == 4, np.inf, q)",
            "its forecast of BTCUSDT at {at4}, step 1, level 0.05 is inf; return finite numbers, "
            "or raise InsufficientHistoryError to be skipped",
        ),
        (
            "np.zeros(q.shape) + [1, 2, 3, 2.5, 4]",
            "its quantiles of BTCUSDT at {at0}, step 1 cross: q0.5 3 is above q0.75 2.5; "
            "sort them: np.sort(quantiles, axis=-1)",
        ),
        (
            "q + np.random.default_rng().uniform()",
            "two calls differ at BTCUSDT at {at0}, step 1; what it returns may depend on its arguments alone, "
            "on no clock, no file, no random numbers without a seed",
        ),
        (
            "q + (np.arange(3) > 1)[:, None] * __import__('time').time_ns()",
            "two calls differ at BTCUSDT at {at0}, step 3; what it returns may depend on its arguments alone, "
            "on no clock, no file, no random numbers without a seed",
        ),
    ],
)
def test_what_is_no_forecast_is_refused_in_one_line(body: str, line: str, tmp_path: Path) -> None:
    wrong = plug_in(
        tmp_path, f"def f(series, task, settings):\n    q = walk(series, task, settings)\n    return {body}\n"
    )
    with pytest.raises(UserError) as error:
        load_plug_in(wrong, twice=True)(series(), TASK, SETTINGS)
    assert str(error.value) == f"{wrong}: " + line.format(at0=at(0), at4=at(4))


def test_one_of_all_symbols_returns_one_array_a_symbol(tmp_path: Path) -> None:
    body = "@all_symbols\ndef f(series, task, settings):\n    return [walk(series[0], task, settings)]\n"
    wrong = plug_in(tmp_path, body)
    with pytest.raises(UserError) as error:
        load_plug_in(wrong, twice=False)(series(), TASK, SETTINGS)
    assert str(error.value) == f"{wrong}: returned 1 items; it must return a list of 2 arrays, one a symbol"


def test_one_that_cannot_be_fitted_says_so(tmp_path: Path) -> None:
    body = """
    from forecasting.bars import require_windows
    def f(series, task, settings):
        require_windows(series.history, task.horizon, 1000)
    """
    with pytest.raises(InsufficientHistoryError, match="132 non-overlapping windows of 3 bars, 1000 needed"):
        load_plug_in(plug_in(tmp_path, body), twice=False)(series(), TASK, SETTINGS)
