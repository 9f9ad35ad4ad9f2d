"""The economic value of the width: utility and QLIKE by hand, its maximum, the correction of bias, intervals, nulls."""

import numpy as np
import pandas as pd
import pytest

from forecasting.documents import EconomicValue
from forecasting.evaluation.utility import Investor, economic_values

INVESTOR = Investor(sharpe=0.4, risk_aversion=2)


def cases(n: int = 300, **power: float) -> pd.DataFrame:
    """Realised variances [n]; a member forecasts their expectation to a power: 1 is right, 0 constant."""
    random = np.random.default_rng(1)
    expected = np.exp(3 * pd.Series(random.standard_normal(n)).ewm(alpha=0.05).mean().to_numpy())
    variance = expected * random.chisquare(30, n) / 30
    keys = {"fold": 0, "symbol": "BTC", "origin": 15 * np.arange(n), "variance": variance}
    parts = [pd.DataFrame(keys | {"member": m, "deviation": expected ** (p / 2)}) for m, p in power.items()]
    return pd.concat(parts, ignore_index=True)


def value(made: pd.DataFrame, member: str = "ewma", lags: int = 4) -> EconomicValue:
    return economic_values(made, INVESTOR, "random_walk", 15, lags)[member]


def test_a_perfect_forecast_is_worth_four_percent_a_year() -> None:
    made = cases(random_walk=0.0, ewma=1.0)
    known = made["member"] == "ewma"
    made.loc[known, "deviation"] = np.sqrt(made.loc[known, "variance"])
    assert value(made)["utility"] == pytest.approx(0.4**2 / (2 * 2))
    assert value(made)["variance_ratio"] == pytest.approx(1)
    assert (value(made)["gain"] or 0) > 0.001


def test_utility_is_that_of_the_mean_variance_investor_of_that_position() -> None:
    """x = SR / (γ σ): the expected return x SR √RV less γ / 2 times the variance x² RV, σ² unbiased."""
    made = cases(random_walk=0.0, ewma=0.7)
    rows = made[made["member"] == "ewma"]
    unbiased = rows["deviation"] * np.sqrt((rows["variance"] / rows["deviation"] ** 2).mean())
    position = 0.4 / (2 * unbiased)
    expected = position * 0.4 * np.sqrt(rows["variance"]) - 2 / 2 * position**2 * rows["variance"]
    assert value(made)["utility"] == pytest.approx(expected.mean())


def test_values_by_hand() -> None:
    made = cases(random_walk=0.0, ewma=0.8)
    rows = {name: made[made["member"] == name] for name in ("ewma", "random_walk")}
    ratio = {name: (one["variance"] / one["deviation"] ** 2).to_numpy() for name, one in rows.items()}
    utility = {name: 0.08 * (np.sqrt(one).mean() / np.sqrt(one.mean()) - 0.5) for name, one in ratio.items()}
    found = value(made)
    assert found["utility"] == pytest.approx(utility["ewma"])
    assert found["gain"] == pytest.approx(utility["ewma"] - utility["random_walk"])
    assert found["variance_ratio"] == pytest.approx(ratio["ewma"].mean())
    loss = {}
    for name, one in rows.items():
        variance = one["deviation"].to_numpy() ** 2 * ratio[name].mean()
        loss[name] = (np.log(variance) + one["variance"].to_numpy() / variance).mean()
    assert found["qlike"] == pytest.approx(loss["ewma"] - loss["random_walk"])
    lower, upper = found["confidence_interval"] or (0, 0)
    assert 0 < lower < (found["gain"] or 0) < upper
    walk = value(made, "random_walk")
    assert walk["qlike"] == 0 and walk["gain"] == 0 and walk["confidence_interval"] == [0, 0]


def test_a_constant_factor_of_the_width_is_of_no_matter() -> None:
    made = cases(random_walk=0.0, ewma=0.8)
    wide = made.assign(deviation=made["deviation"].where(made["member"] != "ewma", 3 * made["deviation"]))
    one, other = value(made), value(wide)
    assert other["variance_ratio"] == pytest.approx((one["variance_ratio"] or 0) / 9)
    for key in ("utility", "gain", "qlike"):
        assert dict(other)[key] == pytest.approx(dict(one)[key])


def test_the_better_the_volatility_is_known_the_more_it_is_worth() -> None:
    made = cases(random_walk=0.0, ewma=0.5, har_fhs=1.0, garch_fhs=-0.5)
    found = economic_values(made, INVESTOR, "random_walk", 15, 4)
    by_utility = sorted(found, key=lambda name: found[name]["utility"] or 0)
    assert by_utility == ["garch_fhs", "random_walk", "ewma", "har_fhs"]
    assert sorted(found, key=lambda name: -(found[name]["qlike"] or 0)) == by_utility


def test_the_interval_covers_the_true_gain() -> None:
    """In 95 of 100 worlds, or nearly: volatility is 0.5 or 1.5, lasts for 10 origins, and one member knows it."""
    # √RV ÷ σ: 1 for the one; 0.5 and 1.5 over the root of 1.25 for the other
    true, ends = 0.04 - 0.08 * (1 / np.sqrt(1.25) - 0.5), []
    for seed in range(40):
        random = np.random.default_rng(seed)
        state = np.repeat(random.choice([0.5, 1.5], 100), 10)
        variance = state**2 * random.choice([0.99**2, 1.01**2], 1000)
        keys = {"fold": 0, "symbol": "BTC", "origin": 15 * np.arange(1000), "variance": variance}
        widths = {"random_walk": np.full(1000, 7.0), "ewma": state}
        made = pd.concat(pd.DataFrame(keys | {"member": m, "deviation": w}) for m, w in widths.items())
        ends.append(value(made, lags=20)["confidence_interval"] or [0, 0])
    assert sum(lower < true < upper for lower, upper in ends) >= 34
    assert 0 < np.diff(ends).max() < true


def test_too_few_origins_have_no_interval() -> None:
    found = value(cases(40, random_walk=0.0, ewma=1.0), lags=8)
    assert found["confidence_interval"] is None and found["gain"] is not None


def test_a_width_of_zero_somewhere_has_no_value() -> None:
    made = cases(random_walk=0.0, ewma=1.0, har_fhs=0.9)
    made.loc[made.index[made["member"] == "ewma"][7], "deviation"] = 0.0
    values = economic_values(made, INVESTOR, "random_walk", 15, 4)
    assert set(values["ewma"].values()) == {None}
    # where EWMA has none there is no gain over it either
    over_ewma = {"gain_over_ewma", "interval_over_ewma"}
    assert {name for name, value in values["har_fhs"].items() if value is None} == over_ewma
    whole = economic_values(cases(random_walk=0.0, ewma=1.0, har_fhs=0.9), INVESTOR, "ewma", 15, 4)["har_fhs"]
    assert whole["gain_over_ewma"] == whole["gain"] and whole["interval_over_ewma"] == whole["confidence_interval"]
    best = economic_values(made, INVESTOR, "ewma", 15, 4)
    assert best["har_fhs"]["gain"] is None and best["har_fhs"]["utility"] == values["har_fhs"]["utility"]


def test_a_member_that_was_skipped_in_a_fold_has_no_gain() -> None:
    made = cases(random_walk=0.0, ewma=1.0, har_fhs=0.9)
    made["fold"] = (made["origin"] > 2000).astype(int)
    kept = made[(made["member"] != "har_fhs") | (made["fold"] == 1)]
    values = economic_values(kept, INVESTOR, "random_walk", 15, 4)
    assert values["har_fhs"]["gain"] is None and values["har_fhs"]["utility"] is not None
    assert values["ewma"]["gain"] is not None
