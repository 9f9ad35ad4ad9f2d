"""The evaluation, end to end on small files: figures by hand, the verdict, and what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import write_json, write_parquet
from evaluate import evaluate
from forecasting.evaluation.scores import naive_scale
from forecasting.evaluation.verdict import verdict
from forecasting.quantiles import forecast_table
from market.intervals import MINUTE

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
START = 1_700_000_040_000 // MINUTE * MINUTE
HORIZON, STRIDE, ROWS = 2, 2, 400
FOLDS = {"count": 2, "test_bars": 100, "embargo": 2}
# how wide each member's fan is, in true deviations; the oracle's is right
WIDTHS = {"tft": 1.1, "random_walk": 2.0, "ewma": 1.5, "ewma_drift": 2.5, "seasonal_naive": 3.0, "oracle": 1.0}
NORMAL = np.array([-1.6448536, -0.6744898, 0.0, 0.6744898, 1.6448536])
COLUMNS = ["member", "pinball", "skill %", "95 % band", "p", "in 50", "in 90", "mae", "oracle", "set"]


def returns(symbol: str) -> np.ndarray:
    """One-bar log returns: ETH is ten times as wild as BTC."""
    seed, size = {"BTC": (1, 0.001), "ETH": (2, 0.01)}[symbol]
    return np.random.default_rng(seed).standard_normal(ROWS) * size


class World:
    """A folder with the inputs of the rule, made so that every figure is known."""

    def __init__(
        self, folder: Path, symbols: tuple[str, ...] = ("BTC", "ETH"), widths: dict[str, float] = WIDTHS
    ) -> None:
        self.folder, self.symbols = folder, list(symbols)
        self.cutoff = folder / "cutoff.json"
        write_json(self.cutoff, {"as_of": START + ROWS * MINUTE, "simulated": "oracle" in widths})
        self.candles = [self.write_candles(symbol) for symbol in symbols]
        self.forecasts = [self.write(fold, member, width) for fold in (0, 1) for member, width in widths.items()]

    def write_candles(self, symbol: str, dropped: int | None = None) -> str:
        times = START + MINUTE * np.arange(ROWS)
        frame = pd.DataFrame({"timestamp": times, "close": np.exp(returns(symbol).cumsum())})
        path = self.folder / "candles" / f"{symbol}.parquet"
        write_parquet(path, frame if dropped is None else frame.drop(index=dropped))
        return str(path)

    def write(self, fold: int, member: str, width: float, first: int = 0) -> str:
        rows = np.arange(200 + 100 * fold, 298 + 100 * fold, STRIDE)[first:]
        sizes = [returns(symbol).std() for symbol in self.symbols]
        fan = np.sqrt(np.arange(1, HORIZON + 1))[:, None] * NORMAL
        paths = [np.tile(width * size * fan, (len(rows), 1, 1)) for size in sizes]
        table = forecast_table(self.symbols, [START + MINUTE * rows] * len(sizes), paths, LEVELS)
        table.attrs["crossings"] = fold + 1
        path = self.folder / "forecasts" / str(fold) / f"{member}.parquet"
        write_parquet(path, table)
        return str(path)

    def sit_out(self, fold: int, member: str) -> None:
        path = self.folder / "forecasts" / str(fold) / f"{member}.parquet"
        write_parquet(path, pd.read_parquet(path).iloc[:0])

    def run(self, **changed: Any) -> dict[str, Any]:
        given: dict[str, Any] = {
            "table": self.folder / "evaluation.csv",
            "steps": self.folder / "evaluation_steps.csv",
            "leaderboard": self.folder / "evaluation_pooled.csv",
            "summary": self.folder / "evaluation.json",
            "forecasts": self.forecasts,
            "candles": self.candles,
            "cutoff": self.cutoff,
            "exchange": "simulated",
            "interval": "1m",
            "symbols": self.symbols,
            "horizon": HORIZON,
            "quantile_levels": LEVELS,
            "folds": FOLDS,
            "stride": STRIDE,
        }
        evaluate(**given | changed)
        return json.loads((self.folder / "evaluation.json").read_text())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_table_by_hand(world: World) -> None:
    world.run()
    table = pd.read_csv(world.folder / "evaluation.csv")
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
    moves, width = returns("ETH"), 1.5 * returns("ETH").std()
    came = [(h, moves[o + 1 : o + 1 + h].sum()) for o in range(300, 398, 2) for h in (1, 2)]
    loss, inside, errors, off, wide, interval = [], [], [], [], [], []
    for h, real in came:
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
        expected = np.mean([abs(real) <= width * np.sqrt(h) * z for h, real in came])
        assert row[f"coverage{percent}"] == pytest.approx(expected)


def test_skill_and_oracle_share_follow_from_the_losses(world: World) -> None:
    world.run()
    table = pd.read_csv(world.folder / "evaluation.csv")
    cell = table[(table["fold"] == 0) & (table["symbol"] == "BTC")].set_index("member")
    of = cell["pinball"]
    assert cell["skill_ewma"]["tft"] == pytest.approx(1 - of["tft"] / of["ewma"])
    assert cell["skill_ewma"]["ewma"] == 0
    share = (of["random_walk"] - of["tft"]) / (of["random_walk"] - of["oracle"])
    assert cell["oracle_share"]["tft"] == pytest.approx(share)
    assert cell["oracle_share"]["oracle"] == 1
    assert cell["oracle_share"]["random_walk"] == 0


def test_steps_average_to_the_table(world: World) -> None:
    world.run()
    table, steps = (pd.read_csv(world.folder / f"{name}.csv") for name in ("evaluation", "evaluation_steps"))
    assert len(steps) == HORIZON * len(table)
    means = steps.groupby(["fold", "symbol", "member"])[["pinball", "crps", "coverage90", "mae", "mape"]].mean()
    np.testing.assert_allclose(means, table[means.columns], rtol=1e-8)


def test_summary_weighs_symbols_alike(world: World) -> None:
    """In plain means ETH, ten times as wild, would decide alone."""
    summary = world.run()
    table = pd.read_csv(world.folder / "evaluation.csv").groupby(["symbol", "member"])["pinball"].mean().unstack()
    expected = (table["tft"] / table["random_walk"]).mean()
    assert summary["members"]["tft"]["pinball"] == pytest.approx(expected, rel=1e-8)
    assert summary["members"]["random_walk"]["pinball"] == pytest.approx(1)
    assert summary["members"]["random_walk"]["rmse"] == pytest.approx(1)
    assert summary["members"]["tft"]["crossings"] == 3


def test_summary_and_verdict(world: World) -> None:
    summary = world.run()
    assert summary["simulated"] is True
    assert summary["best_baseline"] == "ewma"
    assert [fold["origins"] for fold in summary["folds"]] == [98, 98]
    assert summary["folds"][1]["test_end_iso"] == "2023-11-15T04:54:00Z"
    assert summary["folds"][1]["train_end_iso"] == "2023-11-15T03:12:00Z"
    members = summary["members"]
    skill = members["tft"]["skill"]["ewma"]
    assert summary["evaluated_model"] == "tft" and summary["oracle"] == "law" and summary["sat_out"] == {}
    assert summary["skill_vs_best_baseline"] == pytest.approx(skill)
    assert skill == pytest.approx(1 - members["tft"]["pinball"] / members["ewma"]["pinball"])
    gap = summary["difference"]
    assert gap["mean"] == pytest.approx(-skill)
    assert gap["moments"] == 98 and gap["origins"] == 196
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
    world = World(tmp_path, widths={name: width for name, width in WIDTHS.items() if name != "oracle"})
    summary = world.run()
    assert summary["simulated"] is False and summary["oracle"] is None
    assert all(member["oracle_share"] is None for member in summary["members"].values())
    assert pd.read_csv(tmp_path / "evaluation.csv")["oracle_share"].isna().all()


def test_worse_model_is_called_worse(tmp_path: Path) -> None:
    world = World(tmp_path, widths=WIDTHS | {"tft": 4.0})
    summary = world.run()
    assert summary["skill_vs_best_baseline"] < 0
    assert summary["verdict"].startswith("The TFT does not beat the best baseline (ewma): ")
    assert summary["verdict"].endswith("worse in pinball loss, p < 0.001. Use the baseline.")
    assert "tft" not in summary["confidence_set"]


def test_same_inputs_same_bytes_in_any_order(world: World) -> None:
    world.run()
    names = ["evaluation.csv", "evaluation_steps.csv", "evaluation_pooled.csv", "evaluation.json"]
    first = [(world.folder / name).read_bytes() for name in names]
    world.run(forecasts=world.forecasts[::-1], candles=world.candles[::-1])
    assert [(world.folder / name).read_bytes() for name in names] == first


def test_every_model_is_compared_with_every_baseline(tmp_path: Path) -> None:
    """The ensemble stands first; the TFT has a sentence of its own."""
    widths = WIDTHS | {"ensemble": 1.05, "tft": 1.45, "tft_raw": 2.2, "ewma_fhs": 1.6}
    summary = World(tmp_path, widths=widths).run()
    assert summary["evaluated_model"] == "ensemble" and summary["best_baseline"] == "ewma"
    assert summary["verdict"].startswith("The ensemble beats the best baseline (ewma) by ")
    assert summary["verdict_tft"].startswith("The TFT beats the best baseline (ewma) by ")
    told = summary["comparisons"]
    assert list(told) == ["ensemble", "tft", "tft_raw"]
    for model, against in told.items():
        assert set(against) == {"random_walk", "ewma", "ewma_fhs", "ewma_drift", "seasonal_naive"}
        for baseline, figures in against.items():
            assert figures["skill"] == pytest.approx(summary["members"][model]["skill"][baseline])
            assert figures["confidence_interval"][0] < figures["skill"] < figures["confidence_interval"][1]
            assert figures["p"] <= figures["p_holm"] <= 1
    assert told["ensemble"]["ewma"]["p_holm"] < 0.001
    assert told["tft_raw"]["ewma"]["skill"] < 0
    assert summary["difference"]["mean"] == -told["ensemble"]["ewma"]["skill"]
    assert summary["confidence_set"] == ["ensemble"]  # the oracle is no candidate


def test_pooled_table_is_ranked(world: World) -> None:
    summary = world.run()
    table = pd.read_csv(world.folder / "evaluation_pooled.csv")
    assert table["member"].tolist() == ["oracle", "tft", "ewma", "random_walk", "ewma_drift", "seasonal_naive"]
    row = table.set_index("member")
    assert row["skill_vs_best_baseline"]["ewma"] == row["skill_low"]["ewma"] == row["skill_high"]["ewma"] == 0
    assert row["skill_low"]["tft"] < row["skill_vs_best_baseline"]["tft"] < row["skill_high"]["tft"]
    assert row["p"]["tft"] == pytest.approx(summary["difference"]["p_holm"])
    assert row["p"].notna().sum() == 1
    assert row["in_confidence_set"]["tft"] and pd.isna(row["in_confidence_set"]["oracle"])
    assert row["width90"]["random_walk"] == pytest.approx(1)
    assert row["width90"]["tft"] == pytest.approx(1.1 / 2)


def test_terminal_table(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    summary = world.run()
    lines = capsys.readouterr().err.splitlines()
    assert re.split("  +", lines[0]) == COLUMNS
    assert [line.split()[0] for line in lines[1:7]][:3] == ["oracle", "tft", "ewma"]
    assert len({len(line) for line in lines[:7]}) == 1
    assert lines[-1] == summary["verdict"]


def test_pit_of_the_true_law_is_as_it_should_be(world: World) -> None:
    pit = world.run()["pit"]
    assert pit["nominal"] == pytest.approx([0.05, 0.2, 0.25, 0.25, 0.2, 0.05])
    assert pit["members"]["oracle"] == pytest.approx(pit["nominal"], abs=0.06)
    walk = pit["members"]["random_walk"]  # twice too wide: nothing falls outside
    assert sum(walk) == pytest.approx(1) and walk[0] + walk[-1] < 0.02


def test_who_sits_out_is_scored_where_it_forecast_and_compared_with_nobody(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = world.run()
    world.sit_out(0, "ewma")
    summary = world.run()
    assert summary["sat_out"] == {"ewma": ["0"]}
    assert "ewma sat out fold 0: it is not compared." in capsys.readouterr().err
    assert summary["best_baseline"] == "random_walk"
    assert set(summary["comparisons"]["tft"]) == {"random_walk", "ewma_drift", "seasonal_naive"}
    assert "ewma" not in summary["against_best"] and "ewma" not in summary["confidence_set"]
    table = pd.read_csv(world.folder / "evaluation.csv")
    assert table.loc[table["member"] == "ewma", "fold"].unique().tolist() == [1]
    assert table["skill_ewma"].isna().equals(table["fold"] == 0)
    # in units of the random walk's loss in the same fold
    losses = table[table["fold"] == 1].pivot(index="symbol", columns="member", values="pinball")
    expected = (losses["ewma"] / losses["random_walk"]).mean()
    assert summary["members"]["ewma"]["pinball"] == pytest.approx(expected)
    assert summary["members"]["tft"]["skill"]["ewma"] is None
    for member in ("tft", "random_walk", "oracle"):
        assert summary["members"][member]["pinball"] == pytest.approx(whole["members"][member]["pinball"])
    assert pd.read_csv(world.folder / "evaluation_pooled.csv")["member"].iloc[-1] == "ewma"


def test_a_model_that_sits_out_is_not_judged(world: World) -> None:
    world.sit_out(1, "tft")
    summary = world.run()
    assert (
        summary["evaluated_model"] is None
        and summary["skill_vs_best_baseline"] is None
        and summary["difference"] is None
    )
    assert summary["verdict"] == "There is no model to judge: the best baseline is ewma."
    assert summary["members"]["tft"]["pinball"] < 1


def test_baselines_alone_are_measured(tmp_path: Path) -> None:
    summary = World(tmp_path, widths={name: width for name, width in WIDTHS.items() if name != "tft"}).run()
    assert summary["evaluated_model"] is None and summary["comparisons"] == {}
    assert summary["confidence_set"] == ["ewma"]


def test_too_few_origins_are_not_significant(world: World) -> None:
    for fold in (0, 1):
        for member, width in WIDTHS.items():
            world.write(fold, member, width, first=45)
    summary = world.run()
    assert summary["difference"]["moments"] == 8
    assert summary["difference"]["standard_error"] is None and not summary["difference"]["significant"]
    assert summary["confidence_set"] is None
    assert summary["comparisons"]["tft"]["random_walk"].keys() == {
        "skill",
        "confidence_interval",
        "standard_error",
        "p",
        "p_holm",
    }
    assert summary["comparisons"]["tft"]["random_walk"]["p_holm"] is None
    assert summary["verdict"].endswith(" in pinball loss (too few origins to be sure).")


@pytest.mark.parametrize(
    "mean, p, sentence",
    [
        (
            -0.002,
            0.5,
            "The TFT may or may not beat the best baseline (ewma): 0.20 % ± 0.60 better in pinball loss, p = 0.5 "
            "(not significant).",
        ),
        (0, 1, "The TFT does not beat the best baseline (ewma): it says the same. Use the baseline."),
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
    gap = {"model": "tft", "baseline": "ewma", "mean": mean, "standard_error": 0.003, "p_holm": p}
    assert verdict(gap | {"significant": p < 0.05}) == sentence


def test_naive_scale_leaves_out_gaps_and_what_comes_later() -> None:
    closes = pd.Series([1.0, 1.5, 1.0, 9.0, 8.0, 0.0], index=[0, 10, 20, 40, 50, 60])
    assert naive_scale(closes, 60, 10) == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert np.isnan(naive_scale(closes, 10, 10))
    assert np.isnan(naive_scale(closes * 0, 60, 10))


def refused(world: World, message: str, **changed: Any) -> None:
    with pytest.raises(UserError, match=message) as caught:
        world.run(**changed)
    assert "\n" not in str(caught.value)
    assert not list(world.folder.glob("evaluation*"))


def test_members_with_other_origins_are_refused(world: World) -> None:
    world.write(1, "tft", 1.0, first=1)
    refused(world, r"1/tft\.parquet: has other origins than .*1/random_walk\.parquet")


def test_missing_outcome_is_refused(world: World) -> None:
    world.write_candles("ETH", dropped=301)
    refused(world, "candles of ETH lack the bar at 2023-11-15T03:15:00Z")


def test_missing_candles_are_refused(world: World) -> None:
    refused(world, "ETH is forecast, but has no candles", candles=world.candles[:1])


def test_missing_member_is_refused(world: World) -> None:
    refused(world, "fold 1 lacks the forecasts of ewma", forecasts=[p for p in world.forecasts if "1/ewma.p" not in p])


def test_random_walk_without_forecast_is_refused(world: World) -> None:
    world.sit_out(1, "random_walk")
    refused(world, r"1/random_walk\.parquet: holds no forecast")


def test_symbol_without_origins_is_refused(world: World) -> None:
    refused(world, "no test origin of SOL", symbols=["BTC", "ETH", "SOL"])


def test_other_horizon_is_refused(world: World) -> None:
    refused(world, "does not hold sorted steps 1 to 3", horizon=3)


def test_damaged_forecast_is_refused(world: World) -> None:
    Path(world.forecasts[0]).write_bytes(b"PAR1 no more")
    refused(world, "missing or damaged")


def test_frozen_price_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, symbols=("BTC",), widths={name: 0.0 for name in WIDTHS})
    frame = pd.read_parquet(world.candles[0]).assign(close=1.0)
    write_parquet(world.candles[0], frame)
    refused(world, "the price of BTC stands still")
