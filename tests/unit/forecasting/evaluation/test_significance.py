"""Tests of difference: against direct computations, by hand, and on losses whose truth is known."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from forecasting.evaluation.significance import (
    LossPanel,
    bootstrap_losses,
    confidence_set,
    diebold_mariano,
    make_panel,
    skill_interval,
)
from forecasting.evaluation.verdict import compare
from forecasting.hac import hac_lags, hac_sum
from support.workflow import ROOT

NAMES = ["one", "other"]
RIVALS = ["random_walk", "ewma", "ewma_fhs", "ewma_drift"]


def of_gap(gap: np.ndarray, symbols: int = 1) -> LossPanel:
    """Every symbol's losses: 1 + gap for one, 1 for the other."""
    origin = np.tile(np.arange(len(gap)) * 60_000, symbols)
    frame = pd.DataFrame({"fold": 0, "origin": origin, "one": 1 + np.tile(gap, symbols), "other": 1.0})
    return make_panel(frame, NAMES, 60_000)


def test_panel_adds_symbols_and_keeps_the_grid() -> None:
    frame = pd.DataFrame(
        {"fold": [1, 0, 0, 0], "origin": [900, 40, 10, 10], "one": [5.0, 4, 1, 2], "other": [1.0, 1, 3, 3]}
    )
    made = make_panel(frame, NAMES, 10)
    assert made.fold.tolist() == [0, 0, 0, 0, 1]
    assert made.origins.tolist() == [2, 0, 0, 1, 1]
    assert made.of("one").tolist() == [3, 0, 0, 4, 5]
    assert made.origin_times() == 3


def test_hac_sum_by_hand() -> None:
    series = np.array([1.0, 2.0, -3.0])
    assert hac_sum(series, 0) == pytest.approx(14)
    # 14 + 2 (2/3 · (2 − 6) + 1/3 · (−3))
    assert hac_sum(series, 2) == pytest.approx(14 - 16 / 3 - 2)
    assert hac_sum(series, 9) >= 0


FIGURES = """
import sys
sys.path.insert(0, {scripts!r})
import numpy as np
import pandas as pd
from forecasting.evaluation.significance import bootstrap_losses, make_panel
from forecasting.hac import hac_sum
from forecasting.losses import crps

losses = np.random.default_rng(1).random((1001, 7))
frame = pd.DataFrame(losses, columns=list("abcdefg")).assign(fold=0, origin=1000 * np.arange(1001))
totals = bootstrap_losses(make_panel(frame, list("abcdefg"), 1000), 5)
scores = crps(losses, [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
print(hac_sum(losses[:, 0], 5).hex(), scores.tobytes().hex(), totals.tobytes().hex())
"""


def test_a_figure_s_last_bits_do_not_depend_on_the_machine_s_blas() -> None:
    """A kernel for each processor adds up in another order, and a run's files should be the same on all."""
    code = FIGURES.format(scripts=str(ROOT / "scripts"))
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"OPENBLAS_CORETYPE": kernel},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for kernel in ("Nehalem", "Haswell")
    }
    assert len(printed) == 1


def test_hac_sum_sees_overlap() -> None:
    noise = np.random.default_rng(5).standard_normal((4000, 103))
    means = np.lib.stride_tricks.sliding_window_view(noise, 4, axis=1).mean(axis=2)
    true = means.sum(axis=1).var()
    naive = np.mean([hac_sum(row, 0) for row in means])
    honest = np.mean([hac_sum(row, 12) for row in means])
    assert naive < 0.3 * true
    assert honest == pytest.approx(true, rel=0.15)


@pytest.mark.parametrize(
    "horizon, stride, times, lags", [(60, 15, 100, 8), (60, 15, 1, 8), (2, 1, 100, 4), (60, 60, 1, 2)]
)
def test_hac_lags(horizon: int, stride: int, times: int, lags: int) -> None:
    assert hac_lags(horizon, stride, times) == lags


@pytest.mark.parametrize("lags", [0, 6])
def test_diebold_mariano_is_the_regression_on_a_constant(lags: int) -> None:
    """The gap regressed on 1 with Newey and West's covariance, by statsmodels."""
    import statsmodels.api as sm

    gap = 0.1 + np.convolve(np.random.default_rng(4).standard_normal(306), np.ones(7) / 7, mode="valid")
    mean, error, p = diebold_mariano(of_gap(gap), "one", "other", lags)
    fitted = sm.OLS(gap, np.ones(300)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}, use_t=True
    )
    assert mean == pytest.approx(fitted.params[0])
    assert error == pytest.approx(fitted.bse[0])
    assert p == pytest.approx(fitted.pvalues[0])


def test_diebold_mariano_by_hand() -> None:
    mean, error, p = diebold_mariano(of_gap(np.array([1.0, 2.0, 0.0, 3.0])), "one", "other", 0)
    assert mean == pytest.approx(1.5)
    assert error == pytest.approx(np.sqrt(5) / 4)  # squares of ±0.5 and ±1.5
    assert p == pytest.approx(2 * student.sf(1.5 / error, 3))


def test_members_of_equal_losses_do_not_differ() -> None:
    assert diebold_mariano(of_gap(np.zeros(50)), "one", "other", 4) == (0, 0, 1)


def test_symbols_that_move_together_add_no_certainty() -> None:
    gap = np.random.default_rng(4).standard_normal(500)
    five, one = (diebold_mariano(of_gap(gap, symbols), "one", "other", 14) for symbols in (5, 1))
    assert five == pytest.approx(one)


def test_folds_are_not_neighbours() -> None:
    gap = np.random.default_rng(4).standard_normal(40).cumsum()
    frame = pd.DataFrame({"fold": np.arange(40) // 20, "origin": np.arange(40), "one": gap, "other": 0.0})
    centred = gap - gap.mean()
    expected = np.sqrt(hac_sum(centred[:20], 3) + hac_sum(centred[20:], 3)) / 40
    assert diebold_mariano(make_panel(frame, NAMES, 1), "one", "other", 3)[1] == pytest.approx(expected)


def test_false_positives_are_about_as_rare_as_p_says() -> None:
    """Losses of windows that overlap fourfold and do not differ: p below 0.05 about as often as it says."""
    noise = np.random.default_rng(6).standard_normal((400, 604))
    gaps = np.lib.stride_tricks.sliding_window_view(noise, 5, axis=1).mean(axis=2)
    p = np.array([diebold_mariano(of_gap(gap), "one", "other", hac_lags(61, 15, 600))[2] for gap in gaps])
    assert 0.03 < (p < 0.05).mean() < 0.1


@pytest.mark.parametrize("times, lags, sufficient", [(45, 8, True), (44, 8, False)])
def test_a_standard_error_needs_five_independent_blocks(times: int, lags: int, sufficient: bool) -> None:
    assert of_gap(np.zeros(times)).suffices(lags) == sufficient


def test_p_values_are_corrected_by_holm_s_method() -> None:
    """By hand: the k-th smallest of n times n − k + 1, none below a smaller one's, none above 1."""
    random = np.random.default_rng(8)
    losses = pd.DataFrame(1 + 0.1 * random.standard_normal((200, 5)), columns=["tft", *RIVALS])
    losses["tft"] -= 0.02
    panel = make_panel(losses.assign(fold=0, origin=np.arange(200)), ["tft", *RIVALS], 1)
    against = compare(panel, 4)["comparisons"]["tft"]
    p = {name: test["p"] or 0.0 for name, test in against.items()}
    order = sorted(p, key=lambda name: p[name])
    raised = [(len(p) - k) * p[name] for k, name in enumerate(order)]
    expected = dict(zip(order, np.minimum(np.maximum.accumulate(raised), 1), strict=True))
    assert {name: test["p_holm"] for name, test in against.items()} == pytest.approx(expected, rel=1e-12)
    assert len(set(expected.values())) > 1


def test_confidence_intervals_cover_the_true_skill() -> None:
    """In 95 of 100 worlds, or nearly: the losses of windows that overlap fourfold, of a member 10 % better."""
    covered = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).standard_normal((2, 404))
        smooth = np.lib.stride_tricks.sliding_window_view(noise, 5, axis=1).mean(axis=2)
        frame = pd.DataFrame({"fold": 0, "origin": np.arange(400), "one": 0.9 + 0.2 * smooth[0]})
        made = make_panel(frame.assign(other=1 + 0.2 * smooth[1]), NAMES, 1)
        drawn = bootstrap_losses(made, 9)
        low, high = skill_interval(drawn[:, 0], drawn[:, 1])
        assert 0.02 < high - low < 0.15
        covered += low < 0.1 < high
    assert covered >= 34


def test_an_origin_time_is_drawn_whole() -> None:
    """Losses as noisy as can be, but shared by both members: their ratio is certain."""
    frame = pd.DataFrame({"fold": 0, "origin": np.arange(60), "other": np.random.default_rng(1).exponential(size=60)})
    drawn = bootstrap_losses(make_panel(frame.assign(one=0.8 * frame["other"]), NAMES, 1), 5)
    assert skill_interval(drawn[:, 0], drawn[:, 1]) == pytest.approx([0.2, 0.2])


def test_draws_are_the_same_each_time() -> None:
    made = of_gap(np.random.default_rng(1).standard_normal(60))
    np.testing.assert_array_equal(bootstrap_losses(made, 5), bootstrap_losses(made, 5))
    assert bootstrap_losses(made, 5).std() > 0


def test_confidence_set_holds_equals_and_excludes_the_worse() -> None:
    noise = np.random.default_rng(2).standard_normal((300, 3))
    losses = pd.DataFrame(1 + 0.1 * noise, columns=["good", "worse", "alike"]).assign(fold=0, origin=np.arange(300))
    losses["worse"] += 0.2
    losses["twin"] = losses["good"]
    names = ["twin", "worse", "alike", "good"]
    assert confidence_set(make_panel(losses, names, 1), names, 5) == ["twin", "alike", "good"]
    assert confidence_set(make_panel(losses, names, 1), ["good", "twin"], 5) == ["good", "twin"]
