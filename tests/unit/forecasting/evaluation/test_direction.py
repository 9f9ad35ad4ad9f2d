"""Direction: figures by hand, the size of the test where windows overlap, a planted sign, medians of no change."""

import numpy as np
import pandas as pd
import pytest

from forecasting.documents import Direction
from forecasting.evaluation.direction import direction_verdict, directions, sign_test

STRIDE, HORIZON = 15, 60


def cases(median: np.ndarray, realised: np.ndarray, symbol: str = "BTC", member: str = "ewma_drift") -> pd.DataFrame:
    keys = {"fold": 0, "symbol": symbol, "member": member, "origin": STRIDE * np.arange(len(median))}
    return pd.DataFrame(keys | {f"median{HORIZON}": median, f"realised{HORIZON}": realised})


def figures(*parts: pd.DataFrame) -> Direction:
    found = directions(pd.concat(parts, ignore_index=True), [HORIZON], STRIDE, 1)["ewma_drift"]
    assert found is not None
    return found[0]


def overlapping(seed: int, n: int, share: float = 0.0) -> np.ndarray:
    """Returns [n] over windows that overlap fourfold; `share` of their common noise is that of seed 0's."""
    noise = np.random.default_rng(seed).standard_normal(n + 3)
    common = np.random.default_rng(10_000 + seed // 2).standard_normal(n + 3)
    mixed = np.sqrt(1 - share) * noise + np.sqrt(share) * common
    return np.lib.stride_tricks.sliding_window_view(mixed, 4).sum(axis=1)


def test_figures_by_hand_with_symbols_in_their_own_units() -> None:
    quiet = cases(np.array([0.1, -0.2, 0.0, 0.1]), np.array([0.3, 0.1, -0.2, 0.0]))
    wild = cases(np.array([10.0, 10, 10, 10]), np.array([20.0, -10, 20, 20]), "ETH")
    found = figures(quiet, wild)
    squares = np.array([0.04, 0.09, 0.04, 0.01]).sum() / 0.14 + np.array([100, 400, 100, 100]).sum() / 1300
    assert found["r2"] == pytest.approx(1 - squares / 2)
    absolutes = np.array([0.2, 0.3, 0.2, 0.1]).sum() / 0.6 + np.array([10, 20, 10, 10]).sum() / 70
    assert found["mae"] == pytest.approx(absolutes / 2)
    assert found["origins"] == 6
    assert found["hit_rate"] == pytest.approx(4 / 6)
    assert found["p"] is None


def test_no_change_is_no_direction() -> None:
    zero = cases(np.zeros(9), np.arange(9.0), member="ewma")
    assert directions(zero, [HORIZON], STRIDE, 1) == {"ewma": None}
    assert direction_verdict("ensemble", None) == (
        "The ensemble forecasts no direction: its median is no change at every origin."
    )


def test_a_forecast_that_knows_the_sign_is_significant() -> None:
    realised = overlapping(1, 300)
    known = figures(cases(np.sign(realised), realised))
    assert known["hit_rate"] == 1 and (known["p"] or 1) < 1e-6
    wrong = figures(cases(-np.sign(realised), realised))
    assert wrong["hit_rate"] == 0 and wrong["p"] == pytest.approx(1)


def test_one_that_knows_a_part_of_it_is_too() -> None:
    random = np.random.default_rng(2)
    realised = overlapping(2, 3000)
    median = np.where(random.random(3000) < 0.1, np.sign(realised), random.choice([-1, 1], 3000))
    found = figures(cases(0.01 * median, realised))
    assert 0.5 < (found["hit_rate"] or 0) < 0.6
    assert (found["p"] or 1) < 0.01


@pytest.mark.parametrize("persistence", [0.0, 0.95])
def test_coin_flips_are_significant_as_rarely_as_p_says(persistence: float) -> None:
    """Two symbols that move together, windows that overlap fourfold, medians whose sign may last."""
    p = []
    for seed in range(400):
        random = np.random.default_rng(50_000 + seed)
        flips = [random.standard_normal(1000) for _ in range(2)]
        medians = [pd.Series(flip).ewm(alpha=1 - persistence).mean().to_numpy() for flip in flips]
        parts = [
            cases(median, overlapping(2 * seed + k, 1000, share=0.7), name)
            for k, (median, name) in enumerate(zip(medians, ("BTC", "ETH"), strict=True))
        ]
        p.append(figures(*parts)["p"] or np.nan)
    assert 0.02 < (np.array(p) < 0.05).mean() < 0.09
    assert 0.4 < np.mean(p) < 0.6


def test_always_up_in_a_market_that_rises_tells_nothing() -> None:
    realised = 0.5 + np.random.default_rng(3).standard_normal(400)
    found = figures(cases(np.full(400, 0.1), realised))
    assert (found["hit_rate"] or 0) > 0.6
    assert found["p"] is None


def test_too_few_origins_have_no_p() -> None:
    signs = pd.DataFrame({"fold": 0, "symbol": "BTC", "origin": STRIDE * np.arange(40), "forecast": True})
    signs["realised"] = signs["forecast"] = np.arange(40) % 3 == 0
    assert sign_test(signs, HORIZON, STRIDE, 1) is None
    assert sign_test(signs.iloc[:0], HORIZON, STRIDE, 1) is None
    assert (sign_test(signs, 1, STRIDE, 1) or 1) < 0.01


@pytest.mark.parametrize(
    "figure, sentence",
    [
        (
            {"r2": 0.005, "hit_rate": 0.53, "p": 0.012},
            "The ensemble's direction: at step 1 R² 0.12 %; at step 60 R² 0.50 %, hit rate 53.0 % (p = 0.012).",
        ),
        (
            {"r2": -0.001, "hit_rate": 0.6, "p": 0.0001},
            "The ensemble's direction: at step 1 R² 0.12 %; at step 60 R² -0.10 %, hit rate 60.0 % (p < 0.001).",
        ),
    ],
)
def test_sentence(figure: dict[str, float], sentence: str) -> None:
    first: Direction = {"step": 1, "r2": 0.0012, "mae": 1, "origins": 0, "hit_rate": None, "p": None}
    last: Direction = {**first, "step": 60, "r2": figure["r2"], "hit_rate": figure["hit_rate"], "p": figure["p"]}
    assert direction_verdict("ensemble", [first, last]) == sentence


def test_a_horizon_of_one_step_is_told_once() -> None:
    only: Direction = {"step": 1, "r2": 0.01, "mae": 1, "origins": 9, "hit_rate": 0.5, "p": None}
    assert direction_verdict("tft", [only]) == "The TFT's direction: at step 1 R² 1.00 %, hit rate 50.0 %."
