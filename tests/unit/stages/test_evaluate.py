"""The evaluation, end to end on small files: figures by hand, the verdict, and what it refuses."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import write_parquet
from forecasting.documents import Difference
from forecasting.evaluation.scores import naive_mae
from forecasting.evaluation.utility import Investor
from forecasting.evaluation.verdict import verdict
from forecasting.quantiles import quantile_columns
from forecasting.regimes import REGIMES
from support.evaluations import LEVELS, NORMAL, START, WIDTHS, Inputs

HORIZON = 2
COLUMNS = ["member", "pinball", "skill %", "95 % CI", "p", "in 50", "in 90", "mae", "oracle", "set"]


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path)


def test_table_by_hand(inputs: Inputs) -> None:
    inputs.run()
    table = pd.read_csv(inputs.folder / "evaluation.csv")
    assert list(table.columns) == [
        *["fold", "symbol", "member", "origins", "pinball", "crps"],
        *["coverage50", "coverage80", "coverage90", "coverage95", "width50", "width90", "winkler50", "winkler90"],
        *["mae", "rmse", "mase", "mape"],
        *[f"skill_{name}" for name in ("random_walk", "ewma", "ewma_drift", "seasonal_naive")],
        "oracle_share",
    ]
    assert len(table) == 2 * 2 * 6
    assert table.equals(table.sort_values(["fold", "symbol", "member"], ignore_index=True))
    row = table[(table["fold"] == 1) & (table["symbol"] == "ETH")].set_index("member").loc["ewma"]

    # the same by plain loops
    moves, width = inputs.returns("ETH"), 1.5 * inputs.returns("ETH").std()
    realised = [(h, moves[o + 1 : o + 1 + h].sum()) for o in range(300, 398, 2) for h in (1, 2)]
    loss, inside, errors, off, wide, interval = [], [], [], [], [], []
    for h, real in realised:
        for level, z in zip(LEVELS, NORMAL, strict=True):
            error = real - width * np.sqrt(h) * z
            loss.append(level * error if error >= 0 else (level - 1) * error)
        inside.append(abs(real) <= width * np.sqrt(h) * NORMAL[3])
        ends = width * np.sqrt(h) * NORMAL[4]
        wide.append(2 * ends)
        interval.append(2 * ends + 20 * max(abs(real) - ends, 0))
        errors.append(real)
        off.append(100 * abs(1 / np.exp(real) - 1))
    assert row["origins"] == 49
    assert row["pinball"] == pytest.approx(np.mean(loss), rel=1e-6)
    assert row["coverage50"] == pytest.approx(np.mean(inside))
    assert row["mae"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-6)
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-6)
    assert row["mape"] == pytest.approx(np.mean(off), rel=1e-6)
    assert row["width90"] == pytest.approx(np.mean(wide), rel=1e-6)
    assert row["winkler90"] == pytest.approx(np.mean(interval), rel=1e-6)
    # the first fold's training ends two bars of embargo before its test span, at bar 198
    assert row["mase"] == pytest.approx(np.mean(np.abs(errors)) / np.abs(moves[1:198]).mean(), rel=1e-6)
    # ends that are no levels: on the normal's own line between levels, and on an exponential tail beyond them
    tail = 0.05 * np.log(0.05 / 0.025) / (np.exp(-(NORMAL[4] ** 2) / 2) / np.sqrt(2 * np.pi))
    for percent, z in ((80, 1.2815516), (95, NORMAL[4] + tail)):
        expected = np.mean([abs(real) <= width * np.sqrt(h) * z for h, real in realised])
        assert row[f"coverage{percent}"] == pytest.approx(expected)


def test_skill_and_oracle_share_follow_from_the_losses(inputs: Inputs) -> None:
    inputs.run()
    table = pd.read_csv(inputs.folder / "evaluation.csv")
    cell = table[(table["fold"] == 0) & (table["symbol"] == "BTC")].set_index("member")
    of = cell["pinball"]
    assert cell["skill_ewma"]["tft"] == pytest.approx(1 - of["tft"] / of["ewma"])
    assert cell["skill_ewma"]["ewma"] == 0
    share = (of["random_walk"] - of["tft"]) / (of["random_walk"] - of["oracle"])
    assert cell["oracle_share"]["tft"] == pytest.approx(share)
    assert cell["oracle_share"]["oracle"] == 1
    assert cell["oracle_share"]["random_walk"] == 0


def test_steps_average_to_the_table(inputs: Inputs) -> None:
    inputs.run()
    table, steps = (pd.read_csv(inputs.folder / f"{name}.csv") for name in ("evaluation", "evaluation_steps"))
    assert len(steps) == HORIZON * len(table)
    means = steps.groupby(["fold", "symbol", "member"])[["pinball", "crps", "coverage90", "mae", "mape"]].mean()
    np.testing.assert_allclose(means, table[means.columns], rtol=1e-8)


def test_summary_weighs_symbols_alike(inputs: Inputs) -> None:
    """In plain means ETH, ten times as volatile, would decide alone."""
    summary = inputs.run()
    table = pd.read_csv(inputs.folder / "evaluation.csv").groupby(["symbol", "member"])["pinball"].mean().unstack()
    expected = (table["tft"] / table["random_walk"]).mean()
    assert summary["members"]["tft"]["pinball"] == pytest.approx(expected, rel=1e-8)
    assert summary["members"]["random_walk"]["pinball"] == pytest.approx(1)
    assert summary["members"]["random_walk"]["rmse"] == pytest.approx(1)
    assert summary["members"]["tft"]["crossings"] == 3


def test_summary_and_verdict(inputs: Inputs) -> None:
    summary = inputs.run()
    assert summary["simulated"] is True
    assert summary["best_baseline"] == "ewma"
    assert [fold["origins"] for fold in summary["folds"]] == [98, 98]
    assert summary["folds"][1]["test_end_iso"] == "2023-11-15T04:54:00Z"
    assert summary["folds"][1]["train_end_iso"] == "2023-11-15T03:12:00Z"
    members = summary["members"]
    skill = members["tft"]["skill"]["ewma"]
    assert (
        summary["evaluated_model"] == "tft"
        and summary["oracle"] == "data-generating process"
        and summary["skipped"] == {}
    )
    assert summary["skill_vs_best_baseline"] == pytest.approx(skill)
    assert skill == pytest.approx(1 - members["tft"]["pinball"] / members["ewma"]["pinball"])
    gap = summary["difference"]
    assert gap and gap["standard_error"] and skill
    assert gap["mean"] == pytest.approx(-skill)
    assert gap["origin_times"] == 98 and gap["origins"] == 196
    assert gap["significant"]
    assert summary["verdict"] == (
        f"The TFT beats the best baseline (ewma) by {100 * skill:.2f} % ± {200 * gap['standard_error']:.2f} "
        "in pinball loss, p < 0.001."
    )
    assert summary["verdict_tft"] is None
    # a calibrated fan covers what it says
    assert members["oracle"]["coverage90"] == pytest.approx(0.9, abs=0.06)
    assert members["random_walk"]["coverage90"] > 0.97


def test_real_market_has_no_oracle_share(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, widths={name: width for name, width in WIDTHS.items() if name != "oracle"})
    summary = inputs.run()
    assert summary["simulated"] is False and summary["oracle"] is None
    assert all(member["oracle_share"] is None for member in summary["members"].values())
    assert pd.read_csv(tmp_path / "evaluation.csv")["oracle_share"].isna().all()


def test_worse_model_is_called_worse(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, widths=WIDTHS | {"tft": 4.0})
    summary = inputs.run()
    assert (summary["skill_vs_best_baseline"] or 0) < 0
    assert summary["verdict"].startswith("The TFT does not beat the best baseline (ewma): ")
    assert summary["verdict"].endswith("worse in pinball loss, p < 0.001. Use the baseline.")
    assert summary["confidence_set"] == ["ewma"]


def test_same_inputs_same_bytes_in_any_order(inputs: Inputs) -> None:
    inputs.run()
    names = ["evaluation.csv", "evaluation_steps.csv", "evaluation_pooled.csv", "evaluation.json"]
    first = [(inputs.folder / name).read_bytes() for name in names]
    inputs.run(forecasts=inputs.forecasts[::-1], candles=inputs.candles[::-1])
    assert [(inputs.folder / name).read_bytes() for name in names] == first


def test_every_model_is_compared_with_every_baseline(tmp_path: Path) -> None:
    """The ensemble stands first; the TFT has a sentence of its own."""
    widths = WIDTHS | {"ensemble": 1.05, "tft": 1.45, "tft_raw": 2.2, "ewma_fhs": 1.6}
    summary = Inputs(tmp_path, widths=widths).run()
    assert summary["evaluated_model"] == "ensemble" and summary["best_baseline"] == "ewma"
    assert summary["verdict"].startswith("The ensemble beats the best baseline (ewma) by ")
    assert str(summary["verdict_tft"]).startswith("The TFT beats the best baseline (ewma) by ")
    comparisons = summary["comparisons"]
    assert list(comparisons) == ["ensemble", "tft", "tft_raw"]
    for model, against in comparisons.items():
        assert set(against) == {"random_walk", "ewma", "ewma_fhs", "ewma_drift", "seasonal_naive"}
        for baseline, figures in against.items():
            assert figures["skill"] == pytest.approx(summary["members"][model]["skill"][baseline])
            interval, p, p_holm = figures["confidence_interval"], figures["p"], figures["p_holm"]
            assert interval and interval[0] < figures["skill"] < interval[1]
            assert p is not None and p_holm is not None and p <= p_holm <= 1
    assert (comparisons["ensemble"]["ewma"]["p_holm"] or 0.0) < 0.001
    assert comparisons["tft_raw"]["ewma"]["skill"] < 0
    assert summary["difference"] and summary["difference"]["mean"] == -comparisons["ensemble"]["ewma"]["skill"]
    assert summary["confidence_set"] == ["ensemble"]  # the oracle is no candidate


def test_pooled_table_is_ranked(inputs: Inputs) -> None:
    summary = inputs.run()
    table = pd.read_csv(inputs.folder / "evaluation_pooled.csv")
    assert table["member"].tolist() == ["oracle", "tft", "ewma", "random_walk", "ewma_drift", "seasonal_naive"]
    row = table.set_index("member")
    assert row["skill_vs_best_baseline"]["ewma"] == row["skill_ci_lower"]["ewma"] == row["skill_ci_upper"]["ewma"] == 0
    assert row["skill_ci_lower"]["tft"] < row["skill_vs_best_baseline"]["tft"] < row["skill_ci_upper"]["tft"]
    assert summary["difference"] and row["p"]["tft"] == pytest.approx(summary["difference"]["p_holm"])
    assert row["p"].notna().sum() == 1
    assert row["in_confidence_set"]["tft"] and pd.isna(row["in_confidence_set"]["oracle"])
    assert row["width90"]["random_walk"] == pytest.approx(1)
    assert row["width90"]["tft"] == pytest.approx(1.1 / 2)


def test_terminal_table(inputs: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    summary = inputs.run()
    lines = capsys.readouterr().err.splitlines()
    assert re.split("  +", lines[0]) == COLUMNS
    assert [line.split()[0] for line in lines[1:7]][:3] == ["oracle", "tft", "ewma"]
    assert len({len(line) for line in lines[:7]}) == 1
    assert lines[-2:] == [summary["verdict"], summary["verdict_direction"]]


def test_pit_of_the_true_distribution_is_nominal(inputs: Inputs) -> None:
    pit = inputs.run()["pit"]
    assert pit["nominal"] == pytest.approx([0.05, 0.2, 0.25, 0.25, 0.2, 0.05])
    assert pit["members"]["oracle"] == pytest.approx(pit["nominal"], abs=0.06)
    walk = pit["members"]["random_walk"]  # twice too wide: nothing falls outside
    assert sum(walk) == pytest.approx(1) and walk[0] + walk[-1] < 0.02


def test_a_skipped_member_is_scored_where_it_forecast_and_compared_with_none(
    inputs: Inputs, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = inputs.run()
    inputs.skip(0, "ewma")
    summary = inputs.run()
    assert summary["skipped"] == {"ewma": ["0"]}
    assert "ewma was skipped in fold 0: it is not compared." in capsys.readouterr().err
    assert summary["best_baseline"] == "random_walk"
    assert set(summary["comparisons"]["tft"]) == {"random_walk", "ewma_drift", "seasonal_naive"}
    assert "ewma" not in summary["vs_best_baseline"] and "ewma" not in (summary["confidence_set"] or ["ewma"])
    table = pd.read_csv(inputs.folder / "evaluation.csv")
    assert table.loc[table["member"] == "ewma", "fold"].unique().tolist() == [1]
    assert table["skill_ewma"].isna().equals(table["fold"] == 0)
    # in units of the random walk's loss in the same fold
    losses = table[table["fold"] == 1].pivot(index="symbol", columns="member", values="pinball")
    expected = (losses["ewma"] / losses["random_walk"]).mean()
    assert summary["members"]["ewma"]["pinball"] == pytest.approx(expected)
    assert summary["members"]["tft"]["skill"]["ewma"] is None
    for member in ("tft", "random_walk", "oracle"):
        assert summary["members"][member]["pinball"] == pytest.approx(whole["members"][member]["pinball"])
    assert pd.read_csv(inputs.folder / "evaluation_pooled.csv")["member"].iloc[-1] == "ewma"


def test_a_model_that_was_skipped_is_not_evaluated(inputs: Inputs) -> None:
    inputs.skip(1, "tft")
    summary = inputs.run()
    assert (
        summary["evaluated_model"] is None
        and summary["skill_vs_best_baseline"] is None
        and summary["difference"] is None
    )
    assert (
        summary["verdict"] == "No model has forecasts in every fold, so none is evaluated; the best baseline is ewma."
    )
    assert summary["members"]["tft"]["pinball"] < 1


def test_baselines_alone_are_measured(tmp_path: Path) -> None:
    summary = Inputs(tmp_path, widths={name: width for name, width in WIDTHS.items() if name != "tft"}).run()
    assert summary["evaluated_model"] is None and summary["comparisons"] == {}
    assert summary["confidence_set"] == ["ewma"]


def test_too_few_origins_are_not_significant(inputs: Inputs) -> None:
    for fold in (0, 1):
        for member, width in WIDTHS.items():
            inputs.write(fold, member, width, first=45)
    summary = inputs.run()
    gap = summary["difference"]
    assert gap and gap["origin_times"] == 8
    assert gap["standard_error"] is None and not gap["significant"]
    assert summary["confidence_set"] is None
    assert summary["comparisons"]["tft"]["random_walk"].keys() == {
        "skill",
        "confidence_interval",
        "standard_error",
        "p",
        "p_holm",
    }
    assert summary["comparisons"]["tft"]["random_walk"]["p_holm"] is None
    assert summary["verdict"].endswith(" in pinball loss (too few origins for a significance test).")


@pytest.mark.parametrize(
    "mean, p, sentence",
    [
        (
            -0.002,
            0.5,
            "The TFT may or may not beat the best baseline (ewma): 0.20 % ± 0.60 better in pinball loss, p = 0.5 "
            "(not significant).",
        ),
        (0, 1, "The TFT does not beat the best baseline (ewma): their losses are equal. Use the baseline."),
        (-0.009, 0.0034, "The TFT beats the best baseline (ewma) by 0.90 % ± 0.60 in pinball loss, p = 0.0034."),
        (
            0.002,
            0.5,
            "The TFT does not beat the best baseline (ewma): 0.20 % ± 0.60 worse in pinball loss, p = 0.5 "
            "(not significant). Use the baseline.",
        ),
    ],
)
def test_verdict(mean: float, p: float, sentence: str) -> None:
    difference: Difference = {
        "model": "tft",
        "baseline": "ewma",
        "mean": mean,
        "standard_error": 0.003,
        "p": p / 2,
        "p_holm": p,
        "significant": p < 0.05,
        "lags": 8,
        "origin_times": 90,
        "origins": 180,
    }
    assert verdict(difference) == sentence


def test_naive_mae_leaves_out_gaps_and_what_comes_later() -> None:
    closes = pd.Series([1.0, 1.5, 1.0, 9.0, 8.0, 0.0], index=[0, 10, 20, 40, 50, 60])
    assert naive_mae(closes, 60, 10) == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert np.isnan(naive_mae(closes, 10, 10))
    assert np.isnan(naive_mae(closes * 0, 60, 10))


def refused(inputs: Inputs, message: str, **changed: Any) -> None:
    with pytest.raises(UserError, match=message) as caught:
        inputs.run(**changed)
    assert "\n" not in str(caught.value)
    assert not list(inputs.folder.glob("evaluation*"))


def test_members_with_other_origins_are_refused(inputs: Inputs) -> None:
    inputs.write(1, "tft", 1.0, first=1)
    refused(inputs, r"1/tft\.parquet: has other origins than .*1/random_walk\.parquet")


def test_a_missing_realised_bar_is_refused(inputs: Inputs) -> None:
    inputs.write_candles("ETH", dropped=301)
    refused(inputs, "^ETH: the candles lack the bar at 2023-11-15T03:15:00Z")


def test_missing_candles_are_refused(inputs: Inputs) -> None:
    refused(inputs, "^ETH: has forecasts but no candles", candles=inputs.candles[:1])


def test_missing_member_is_refused(inputs: Inputs) -> None:
    refused(
        inputs, "fold 1 lacks the forecasts of ewma", forecasts=[p for p in inputs.forecasts if "1/ewma.p" not in p]
    )


def test_random_walk_without_forecast_is_refused(inputs: Inputs) -> None:
    inputs.skip(1, "random_walk")
    refused(inputs, r"1/random_walk\.parquet: holds no forecast")


def test_symbol_without_origins_is_refused(inputs: Inputs) -> None:
    refused(inputs, "no test origin of SOL", symbols=["BTC", "ETH", "SOL"])


def test_other_horizon_is_refused(inputs: Inputs) -> None:
    refused(inputs, "does not hold sorted steps 1 to 3", task=replace(inputs.task, horizon=3))


def test_damaged_forecast_is_refused(inputs: Inputs) -> None:
    Path(inputs.forecasts[0]).write_bytes(b"PAR1 no more")
    refused(inputs, "missing or damaged")


def test_constant_price_is_refused(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, symbols=("BTC",), widths={name: 0.0 for name in WIDTHS})
    frame = pd.read_parquet(inputs.candles[0]).assign(close=1.0)
    write_parquet(inputs.candles[0], frame)
    refused(inputs, "the price of BTC is constant in the test spans")


def test_what_the_width_is_worth(inputs: Inputs) -> None:
    values = inputs.run()["economic_value"]
    assert all(0.02 < (value["utility"] or 0) < 0.04 for value in values.values())
    assert values["ewma"]["gain"] == 0 and values["ewma"]["confidence_interval"] == [0, 0]
    for name, value in values.items():
        lower, upper = value["confidence_interval"] or [1, 0]
        assert lower <= (value["gain"] or 0) <= upper
        # the squared returns of two bars, of a forecast so many times as wide as it should be
        assert value["variance_ratio"] == pytest.approx(1 / WIDTHS[name] ** 2, rel=0.2)
    assert values["random_walk"]["qlike"] == 0


def test_an_investor_s_utility_goes_by_the_settings(inputs: Inputs) -> None:
    usual = inputs.run()["economic_value"]["tft"]["utility"]
    bold = inputs.run(investor=Investor(0.8, 1))["economic_value"]["tft"]["utility"]
    assert usual and bold == pytest.approx(8 * usual)


def test_medians_of_no_change_forecast_no_direction(inputs: Inputs) -> None:
    summary = inputs.run()
    assert summary["direction"] == dict.fromkeys(WIDTHS)
    assert summary["verdict_direction"] == "The TFT forecasts no direction: its median is no change at every origin."


def test_a_median_that_knows_the_sign_is_called_so(inputs: Inputs) -> None:
    for fold in (0, 1):
        path = inputs.folder / "forecasts" / str(fold) / "tft.parquet"
        table = pd.read_parquet(path)
        for symbol in inputs.symbols:
            rows = table["symbol"] == symbol
            close = np.log(pd.read_parquet(inputs.folder / "candles" / f"{symbol}.parquet")["close"].to_numpy())
            at = ((table["origin"][rows] - START) // inputs.task.bar_ms).to_numpy()
            realised = close[at + table["step"][rows].to_numpy()] - close[at]
            table.loc[rows, quantile_columns(inputs.task.quantile_levels)] += 0.1 * realised[:, None]
        write_parquet(path, table)
    summary = inputs.run()
    first, last = summary["direction"]["tft"] or []
    assert [first["step"], last["step"]] == [1, 2]
    assert last["hit_rate"] == 1 and (last["p"] or 1) < 0.001
    assert last["r2"] == pytest.approx(1 - 0.9**2) and last["mae"] == pytest.approx(0.9)
    assert summary["verdict_direction"].endswith("; at step 2 R² 19.00 %, hit rate 100.0 % (p < 0.001).")


def test_coverage_by_state_is_of_all_origins(inputs: Inputs) -> None:
    summary = inputs.run()
    for member, states in summary["by_condition"].items():
        assert states["low"]["origins"] + states["medium"]["origins"] + states["high"]["origins"] == 196
        assert states["after_jump"]["origins"] + states["no_jump"]["origins"] == 196
        pooled = sum(states[name]["origins"] * (states[name]["coverage90"] or 0) for name in REGIMES) / 196
        assert pooled == pytest.approx(summary["members"][member]["coverage90"])
    # 49 origins a fold, 2 bars apart
    assert {test["origins"] for test in summary["coverage_tests"].values()} == {196}
    assert (summary["coverage_tests"]["random_walk"]["kupiec"] or 1) < 0.01
    assert (summary["coverage_tests"]["oracle"]["kupiec"] or 0) > 0.05
