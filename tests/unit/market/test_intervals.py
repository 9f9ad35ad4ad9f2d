"""Bar lengths both ways, seasons, and that the workflow can read them without the scientific libraries."""

import subprocess
import sys

import pytest

from market.intervals import DAY, MINUTE, interval_of, season_bars, step_ms
from market.replay import INTERVALS
from support.workflow import ROOT


@pytest.mark.parametrize("interval", [*INTERVALS, "7m", "90m", "3d", "1w", "2w"])
def test_an_interval_and_its_length_are_each_others_inverse(interval: str) -> None:
    assert step_ms(interval_of(step_ms(interval))) == step_ms(interval)
    assert interval_of(step_ms(interval)) == interval


def test_an_interval_is_written_in_its_largest_unit() -> None:
    assert [interval_of(step_ms(text)) for text in ("60m", "24h", "36h", "7d", "8d")] == ["1h", "1d", "36h", "1w", "8d"]


@pytest.mark.parametrize(
    ("bar_ms", "bars"), [(MINUTE, 1440), (15 * MINUTE, 96), (240 * MINUTE, 6), (DAY, 7), (7 * DAY, 1)]
)
def test_season_bars(bar_ms: int, bars: int) -> None:
    assert season_bars(bar_ms) == bars


def test_modules_that_the_workflow_reads_need_the_standard_library_alone() -> None:
    code = "import common.secrets, market.intervals, market.symbols, market.warmup"
    path = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})"
    # -S leaves out the site-packages, -I the environment
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"{path}; {code}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
