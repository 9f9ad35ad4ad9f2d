"""The economic value of the width: utility and QLIKE by hand, its maximum, bounce, intervals, a width of zero."""

import numpy as np
import pandas as pd
import pytest

from forecasting.evaluation.utility import Investor, economic_values, expected_deviation

INVESTOR = Investor(sharpe=0.4, risk_aversion=2)


def cases(n: int = 300, **widths: float) -> pd.DataFrame:
    """Realised variances [n], and members that know their expectation, times the square of their `widths`."""
    random = np.random.default_rng(1)
    expected = np.exp(pd.Series(random.standard_normal(n)).ewm(alpha=0.05).mean().to_numpy())
    variance = expected * random.chisquare(30, n) / 30
    keys = {"fold": 0, "symbol": "BTC", "origin": 15 * np.arange(n), "variance": variance}
    parts = [pd.DataFrame(keys | {"member": m, "deviation": w * np.sqrt(expected)}) for m, w in widths.items()]
    return pd.concat(parts, ignore_index=True)


def test_utility_by_hand() -> None:
    assert INVESTOR.utility(np.array([4.0]), np.array([1.0])) == pytest.approx(0.08 * (2 - 2))
    assert INVESTOR.utility(np.array([1.0]), np.array([2.0])) == pytest.approx(0.08 * (0.5 - 0.125))
    assert Investor(1, 5).utility(np.array([1.0]), np.array([1.0])) == pytest.approx(0.1)
    assert np.isnan(INVESTOR.utility(np.array([1.0]), np.array([0.0]))).all()


def test_the_perfect_forecast_has_the_largest_utility() -> None:
    variance = np.random.default_rng(2).exponential(size=1000)
    perfect = INVESTOR.utility(variance, np.sqrt(variance))
    np.testing.assert_allclose(perfect, 0.4**2 / (2 * 2))
    for factor in (0.9, 1.1):
        assert (INVESTOR.utility(variance, factor * np.sqrt(variance)) < perfect).all()


def test_utility_is_that_of_the_mean_variance_investor_of_that_position() -> None:
    """x = SR / (γ σ): the expected return x SR √RV less γ / 2 times the variance x² RV."""
    variance, deviation = np.array([0.3, 2.0, 0.9]), np.array([0.7, 1.1, 2.0])
    position = 0.4 / (2 * deviation)
    expected = position * 0.4 * np.sqrt(variance) - 2 / 2 * position**2 * variance
    np.testing.assert_allclose(INVESTOR.utility(variance, deviation), expected)


def test_values_by_hand() -> None:
    made = cases(random_walk=1.5, ewma=1.0)
    values = economic_values(made, INVESTOR, "random_walk", 15, 4)
    variance = made.loc[made["member"] == "ewma", "variance"].to_numpy()
    right, wide = (made.loc[made["member"] == name, "deviation"].to_numpy() for name in ("ewma", "random_walk"))
    utility = [0.08 * (np.sqrt(variance) / one - variance / one**2 / 2).mean() for one in (right, wide)]
    assert values["ewma"]["utility"] == pytest.approx(utility[0])
    assert values["ewma"]["gain"] == pytest.approx(utility[0] - utility[1])
    assert values["ewma"]["variance_ratio"] == pytest.approx((variance / right**2).mean())
    loss = [np.log(one**2) + variance / one**2 for one in (right, wide)]
    assert values["ewma"]["qlike"] == pytest.approx((loss[0] - loss[1]).mean())
    assert values["random_walk"]["qlike"] == 0 and values["random_walk"]["gain"] == 0
    lower, upper = values["ewma"]["confidence_interval"] or (0, 0)
    assert 0 < lower < utility[0] - utility[1] < upper


def test_the_interval_covers_the_true_gain() -> None:
    """In 95 of 100 worlds, or nearly: one member knows a constant deviation, the other's is a quarter too large."""
    # √RV is 0.9 or 1.1: its mean is 1, that of RV 1.01
    true = 0.08 * ((1 - 1.01 / 2) - (1 / 1.25 - 1.01 / 2 / 1.25**2))
    covered = 0
    for seed in range(40):
        variance = np.random.default_rng(seed).choice([0.81, 1.21], 400)
        keys = {"fold": 0, "symbol": "BTC", "origin": range(400), "variance": variance}
        widths = {"random_walk": 1.25, "ewma": 1.0}
        made = pd.concat(pd.DataFrame(keys | {"member": m, "deviation": w}) for m, w in widths.items())
        lower, upper = economic_values(made, INVESTOR, "random_walk", 1, 4)["ewma"]["confidence_interval"] or (0, 0)
        covered += lower < true < upper
    assert covered >= 34


def test_too_few_origins_have_no_interval() -> None:
    values = economic_values(cases(40, random_walk=1.5, ewma=1.0), INVESTOR, "random_walk", 15, 8)
    assert values["ewma"]["confidence_interval"] is None
    assert values["ewma"]["gain"] is not None


def test_a_width_of_zero_somewhere_has_no_value() -> None:
    made = cases(random_walk=1.5, ewma=1.0, har_fhs=1.1)
    made.loc[made.index[made["member"] == "ewma"][7], "deviation"] = 0.0
    values = economic_values(made, INVESTOR, "random_walk", 15, 4)
    assert set(values["ewma"].values()) == {None}
    assert None not in values["har_fhs"].values()
    best = economic_values(made, INVESTOR, "ewma", 15, 4)
    assert best["har_fhs"]["gain"] is None and best["har_fhs"]["utility"] == values["har_fhs"]["utility"]


def test_a_member_that_was_skipped_in_a_fold_has_no_gain() -> None:
    made = cases(random_walk=1.5, ewma=1.0, har_fhs=1.1).assign(fold=lambda rows: (rows["origin"] > 2000).astype(int))
    values = economic_values(made[(made["member"] != "har_fhs") | (made["fold"] == 1)], INVESTOR, "random_walk", 15, 4)
    assert values["har_fhs"]["gain"] is None and values["har_fhs"]["utility"] is not None
    assert values["ewma"]["gain"] is not None


def with_bounce(size: float) -> dict[str, pd.Series]:
    random = np.random.default_rng(3)
    walk = random.standard_normal(20_000).cumsum()
    return {"BTC": pd.Series(walk + size * random.standard_normal(20_000), index=np.arange(20_000))}


@pytest.mark.parametrize("size, factor", [(0.0, 1.0), (1.0, 3 / 1.2)])
def test_the_bars_variance_of_a_market_that_bounces_is_larger(size: float, factor: float) -> None:
    """Over 10 bars: 10 (1 + 2 size²) of the bars, 10 + 2 size² of the return."""
    made = pd.DataFrame({"fold": 0, "symbol": "BTC", "deviation": [1.0, 2.0]})
    found = expected_deviation(made, with_bounce(size), {0: 20_000}, 1, 10)
    np.testing.assert_allclose(found, np.sqrt(factor) * np.array([1, 2]), rtol=0.05)


def test_it_is_that_of_training() -> None:
    made = pd.DataFrame({"fold": 0, "symbol": "BTC", "deviation": [1.0, 2.0]})
    closes = with_bounce(0.5)
    before = expected_deviation(made, closes, {0: 9_000}, 1, 10)
    closes["BTC"].iloc[9_000:] *= 7
    np.testing.assert_array_equal(expected_deviation(made, closes, {0: 9_000}, 1, 10), before)
    assert (expected_deviation(made, closes, {0: 9_001}, 1, 10) != before).all()
