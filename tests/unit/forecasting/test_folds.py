"""Folds tile the end of the history, keep their embargo, and no window crosses a gap or the end of a span."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from forecasting.folds import (
    Fold,
    FoldScheme,
    contiguous,
    fold_origins,
    live_origins,
    test_origins,
    training_origins,
)
from forecasting.task import Task

# pytest would collect the function for its name
test_origins.__test__ = False  # type: ignore[attr-defined]

STEP = 60_000
AS_OF = 1_700_000_040_000
TASK = Task("1m", lookback=50, horizon=10, quantile_levels=[0.5])


def rows(count: int, gap: tuple[int, int] = (0, 0)) -> pd.DataFrame:
    """Feature rows of the `count` bars before AS_OF, without those in `gap`, which separates two segments."""
    kept = np.array([k for k in range(count) if not gap[0] <= k < gap[1]])
    segment = np.where(kept < gap[0], 0, 1).astype(np.int32)
    return pd.DataFrame({"timestamp": AS_OF - STEP * count + STEP * kept, "segment": segment})


def test_folds_tile_the_end_of_the_history() -> None:
    folds = [FoldScheme(3, 100, 20, 0.2).fold(str(k), AS_OF, STEP) for k in range(3)]
    assert folds[-1].test_end == AS_OF
    assert [fold.test_end - fold.test_start for fold in folds] == [100 * STEP] * 3
    assert all(one.test_end == two.test_start for one, two in itertools.pairwise(folds))
    assert all(fold.test_start - fold.train_end == 20 * STEP for fold in folds)


def test_the_live_fold_trains_on_all_before_its_cutoff() -> None:
    assert FoldScheme(3, 100, 20, 0.2).fold("live", AS_OF, STEP) == Fold("live", AS_OF, AS_OF, AS_OF)


def test_validation_is_the_end_of_the_training_span() -> None:
    scheme = FoldScheme(count=1, test_bars=200, embargo=30, validation_fraction=0.2)
    fold = scheme.fold("0", AS_OF, STEP)
    validation = scheme.validation(fold, fold.train_end - 101 * STEP, STEP)
    start = fold.train_end - 20 * STEP
    assert validation == Fold("0 (validation)", start, start, fold.train_end)


def test_training_windows_end_before_the_embargo() -> None:
    frame, fold = rows(1000), FoldScheme(1, 200, 30, 0.2).fold("0", AS_OF, STEP)
    origins = training_origins(frame, fold.train_end, TASK)
    times = frame["timestamp"].to_numpy()
    assert origins[0] == 49
    assert times[origins[-1]] + 10 * STEP == fold.train_end - STEP
    assert len(origins) == 1000 - 200 - 30 - 49 - 10


def test_test_origins_stay_inside_their_span() -> None:
    frame, fold = rows(1000), FoldScheme(3, 100, 30, 0.2).fold("1", AS_OF, STEP)
    origins = test_origins(frame, fold, TASK, stride=7)
    times = frame["timestamp"].to_numpy()[origins]
    assert times[0] == fold.test_start
    assert (np.diff(times) == 7 * STEP).all()
    assert fold.test_end - 8 * STEP <= times[-1] + 10 * STEP < fold.test_end


def test_no_window_crosses_a_gap() -> None:
    frame = rows(400, gap=(200, 230))
    task = replace(TASK, lookback=40)
    for origin in training_origins(frame, AS_OF, task):
        window = frame["timestamp"].to_numpy()[origin - 39 : origin + 11]
        assert len(window) == 50
        assert (np.diff(window) == STEP).all()
    whole = training_origins(rows(400), AS_OF, task)
    broken = training_origins(frame, AS_OF, task)
    assert len(whole) - len(broken) == 30 + 49


@pytest.mark.parametrize(("before", "after"), [(0, 0), (3, 0), (0, 3), (4, 4), (20, 20)])
def test_contiguous_is_what_a_plain_loop_gives(before: int, after: int) -> None:
    segment = np.repeat([0, 1, 2], [5, 9, 3])
    plain = [
        at - before >= 0 and at + after < len(segment) and len(set(segment[at - before : at + after + 1])) == 1
        for at in range(len(segment))
    ]
    assert contiguous(segment, before, after).tolist() == plain


def live(since_training: int = 0) -> Fold:
    """The live fold, so many bars after its training."""
    return FoldScheme(1, 200, 0, 0.2).fold("live", AS_OF - since_training * STEP, STEP, AS_OF)


def test_live_origin_is_the_bar_that_closes_at_as_of() -> None:
    frame = rows(100)
    (origin,) = live_origins(frame, live(), TASK, 7, "BTCUSDT")
    assert frame["timestamp"][origin] == AS_OF - STEP


def test_live_origins_since_training_are_those_of_a_test_fold() -> None:
    frame, stride = rows(1000, gap=(880, 890)), 7
    fold = live(200)
    found = live_origins(frame, fold, TASK, stride, "BTCUSDT")
    tested = test_origins(frame, fold, TASK, stride)
    assert found[-1] == len(frame) - 1
    # the others' outcomes are not over yet
    np.testing.assert_array_equal(found[: len(tested)], tested)
    later = frame["timestamp"].to_numpy()[found[len(tested) : -1]]
    assert (later + TASK.horizon * STEP >= AS_OF).all()
    assert ((later - fold.test_start) % (stride * STEP) == 0).all()
    assert len(later) == 1


@pytest.mark.parametrize("frame", [rows(100).iloc[:-1], rows(100, gap=(80, 90)), rows(40)])
def test_a_live_origin_without_a_lookback_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="as_of: BTCUSDT has no 50 contiguous bars before "):
        live_origins(frame, live(), TASK, 7, "BTCUSDT")


def test_the_origins_of_a_fold_are_those_of_its_kind() -> None:
    frames = [rows(1000), rows(1000, gap=(880, 890)), rows(59)]
    names, test = ["A", "B", "C"], FoldScheme(1, 200, 10, 0.2).fold("0", AS_OF, STEP)
    found = fold_origins(frames, names, test, TASK, stride=7)
    for origins, frame in zip(found, frames, strict=True):
        np.testing.assert_array_equal(origins, test_origins(frame, test, TASK, stride=7))
    assert len(found[0]) > len(found[1]) > len(found[2]) == 0
    assert [origins.tolist() for origins in fold_origins(frames, names, live(), TASK, 7)] == [[999], [989], [58]]
    with pytest.raises(UserError, match="as_of: C has no 70 contiguous bars before "):
        fold_origins(frames, names, live(), replace(TASK, lookback=70), stride=7)


def test_a_fold_without_origins_is_refused() -> None:
    fold = FoldScheme(1, 200, 10, 0.2).fold("0", AS_OF, STEP)
    message = r"fold 0: no symbol has training windows and an origin with 50 \+ 10 contiguous bars"
    with pytest.raises(UserError, match=message):
        fold_origins([rows(40), rows(59)], ["A", "B"], fold, TASK, 7)
