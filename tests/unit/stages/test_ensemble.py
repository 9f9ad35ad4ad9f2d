"""Members and weights by validation alone; an ensemble calibrated by what is realised by an origin, and no more."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import read_csv, read_parquet, write_parquet
from ensemble import ensemble
from forecasting.ensemble.conformal import rolling
from forecasting.ensemble.weights import (
    equal_weights,
    exponential_weights,
    identical_members,
    miscovered_members,
    select_members,
    simplex_weights,
)
from forecasting.losses import covered, pinball
from forecasting.quantiles import forecast_table, quantile_columns, read_forecasts
from forecasting.realised import log_closes, realised_of, realised_returns
from forecasting.task import Task
from market.intervals import MINUTE
from support.markets import START, candles, poisoned

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
HORIZON, ROWS = 4, 2400
# a bar's deviation, of each symbol
DEVIATION = {"A": 1e-3, "B": 2e-2}
CLOSES = {"A": 50_000.5, "B": 0.0123}
TASK = Task("1m", lookback=1, horizon=HORIZON, quantile_levels=LEVELS)
EQUAL = {"weights": "equal", "tolerance": 0.002, "rate": 6.0, "halflife": 168.0}
EXPONENTIAL = EQUAL | {"weights": "exponential"}
CALIBRATION = {"method": "rolling", "window": 300, "strength": 0.5}
NONE = CALIBRATION | {"strength": 0.0}


def test_members_within_the_tolerance_of_the_smallest_loss_are_selected() -> None:
    losses = {"walk": 1.0, "b": 0.5, "a": 0.501, "c": 0.5011}
    assert select_members(losses, 0.002) == ["a", "b"]
    assert select_members(losses, 0.0) == ["b"]
    assert select_members(losses, 1.0) == ["a", "b", "c", "walk"]
    assert equal_weights(["a", "b", "c", "d"]) == dict.fromkeys("abcd", 0.25)


def test_exponential_weights_are_those_of_the_discounted_losses() -> None:
    """A loss counts once its horizon is over, for the time since the moment before, at most a horizon."""
    moments = np.array([0, 20, 40, 60, 400])
    losses = np.array([[1.0, 2.0], [1.0, 1.5], [3.0, 1.0], [np.nan, np.nan], [1.0, 1.0]])
    weights = exponential_weights(losses, moments, horizon_ms=40, rate=0.5, halflife=2)
    # the first moment counts for a horizon, the next for half a one
    leads = [0.0, 0.0, 1.0, 1.0 * 0.5 ** (20 / 80) + 0.5 * 0.5]
    last = sum(gain * 0.5 ** ((360 - time) / 80) for gain, time in ((1, 0), (0.25, 20), (-1, 40)))
    for row, lead in zip(weights, [*leads, last], strict=True):
        np.testing.assert_allclose(row, np.array([1, np.exp(-0.5 * lead)]) / (1 + np.exp(-0.5 * lead)))
    np.testing.assert_array_equal(exponential_weights(losses, moments, 40, rate=1000, halflife=2)[2], [1, 0])


def test_exponential_weights_do_not_depend_on_the_spacing_of_origins() -> None:
    """Four times as many overlapping forecasts are not four times as much evidence."""
    rare = np.tile([1.0, 1.01], (50, 1))
    often = np.tile([1.0, 1.01], (200, 1))
    one = exponential_weights(rare, 40 * np.arange(50), 40, rate=6, halflife=1000)[-1]
    two = exponential_weights(often, 10 * np.arange(200), 40, rate=6, halflife=1000)[-1]
    np.testing.assert_allclose(one, two, atol=0.01)
    assert 0.9 < one[0] < 1


def test_identical_members_are_found_by_their_forecasts() -> None:
    one, two = np.arange(6.0), np.arange(6.0) + 1
    members = {"lhar_fhs": (one, two), "ewma": (two, two), "tft": (one.copy(), two.copy()), "tft_raw": (one, one)}
    assert identical_members(members) == {"tft": "lhar_fhs"}


def test_members_whose_latest_coverage_is_far_off_are_left_out() -> None:
    """Of 100 origins the last quarter counts; where all are far off the nearest stays."""
    realised = np.ones((100, HORIZON))
    origin = np.arange(100)
    wide, narrow = np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], (100, HORIZON, 1)), np.zeros((100, HORIZON, 5))
    early = np.where(origin[:, None, None] < 75, wide, narrow)
    assert miscovered_members({"wide": wide, "early": early}, realised, origin, LEVELS) == {"early": 0.0}
    assert miscovered_members({"narrow": narrow, "early": early}, realised, origin, LEVELS) == {}


def spread(scale: float, rows: int) -> np.ndarray:
    """Gaussian quantiles [rows, horizon, levels] of deviation `scale` · √h."""
    return np.tile(scale * np.sqrt(np.arange(1, HORIZON + 1))[:, None] * NORMAL, (rows, 1, 1))


def test_simplex_weights_meet_the_known_optimum() -> None:
    """The best weights are those whose mean width is 1; where all are too wide, the narrowest forecast is alone."""
    rows = 20_000
    realised = np.random.default_rng(1).standard_normal((rows, HORIZON)) * np.sqrt(np.arange(1, HORIZON + 1))
    for narrow, wide in ((0.5, 1.5), (0.5, 3.0), (0.9, 1.9)):
        forecasts = {"narrow": spread(narrow, rows), "wide": spread(wide, rows)}
        weights = simplex_weights(forecasts, realised, np.ones(rows), LEVELS)
        assert weights["wide"] == pytest.approx((1 - narrow) / (wide - narrow), abs=0.05)
        assert sum(weights.values()) == pytest.approx(1)
    # where all are too wide the narrowest is alone
    forecasts = {"a": spread(3.0, rows), "b": spread(2.0, rows)}
    assert simplex_weights(forecasts, realised, np.ones(rows), LEVELS) == {"b": 1.0}


def test_simplex_weights_do_not_depend_on_a_symbol_s_unit() -> None:
    realised = np.random.default_rng(2).standard_normal((500, HORIZON))
    forecasts = {"a": spread(0.4, 500), "b": spread(1.2, 500)}
    unit = np.where(np.arange(500) % 2, 1.0, 100.0)
    scaled = {name: quantiles * unit[:, None, None] for name, quantiles in forecasts.items()}
    one = simplex_weights(forecasts, realised, np.ones(500), LEVELS)
    two = simplex_weights(scaled, realised * unit[:, None], unit, LEVELS)
    assert one == pytest.approx(two, abs=2e-3)


def test_simplex_weights_are_no_worse_than_any_others() -> None:
    random = np.random.default_rng(3)
    realised = random.standard_normal((800, HORIZON))
    forecasts = {
        name: np.sort(spread(s, 800) + 0.3 * random.standard_normal((800, 1, 1)))
        for name, s in zip("abc", (0.3, 0.6, 1.5), strict=True)
    }
    weights = simplex_weights(forecasts, realised, np.ones(800), LEVELS)

    def loss(shares: Mapping[str, float]) -> float:
        quantiles = np.sum([share * forecasts[name] for name, share in shares.items()], axis=0)
        return float(pinball(realised, quantiles, LEVELS).mean())

    others = [dict(zip("abc", shares, strict=True)) for shares in random.dirichlet(np.ones(3), 200)]
    assert loss(weights) <= min(map(loss, others)) + 1e-6


@dataclass(frozen=True)
class Run:
    """Members' forecasts on disk, each Gaussian, `members` times as wide as the market."""

    folder: Path

    def write(
        self,
        members: Mapping[str, float | None],
        frames: Mapping[str, pd.DataFrame],
        late: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Arguments of the rule. A member of None is skipped; late: the widths after validation, where they differ."""
        given: dict[str, Any] = {"forecasts": [], "validation": []}
        times = START + MINUTE * np.arange(ROWS)
        # validation, a gap, then the test
        spans = {"validation": times[200:1400:2], "forecasts": times[1500 : ROWS - HORIZON - 20 : 2]}
        for kind, origin in spans.items():
            for name, width in ({**members, **(late or {})} if kind == "forecasts" else members).items():
                path = self.folder / kind / f"{name}.parquet"
                times_of = origin[:0] if width is None else origin
                quantiles = [spread(deviation * (width or 1), len(times_of)) for deviation in DEVIATION.values()]
                closes = [np.full(len(times_of), price) for price in CLOSES.values()]
                write_parquet(path, forecast_table(list(DEVIATION), [times_of] * 2, closes, quantiles, LEVELS))
                given[kind].append(str(path))
        given["candles"] = [str(self.folder / "candles" / f"{name}.parquet") for name in frames]
        for path, frame in zip(given["candles"], frames.values(), strict=True):
            write_parquet(path, frame)
        return given | {
            "output": str(self.folder / "ensemble.parquet"),
            "weights": str(self.folder / "weights.json"),
            "shares": str(self.folder / "weights.csv"),
            "live_candles": [],
            "task": TASK,
            "settings": EQUAL,
            "calibration": CALIBRATION,
        }


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    times = START + MINUTE * np.arange(ROWS)
    return {name: candles(times, np.full(ROWS, d), seed) for seed, (name, d) in enumerate(DEVIATION.items())}


def read_weights(given: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(Path(given["weights"]).read_text())


def forecast_of(given: Mapping[str, Any]) -> np.ndarray:
    return read_forecasts(given["output"], HORIZON, LEVELS).quantiles


def test_the_ensemble_is_the_mean_of_the_selected_members_calibrated_by_symbol(
    frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    widths = {"random_walk": 2.0, "ewma": 0.98, "har_fhs": 1.02, "tft": 0.3}
    given = Run(tmp_path).write(widths, frames)
    ensemble(**given)
    written = read_weights(given)
    assert written["weights"] == {"ewma": 0.5, "har_fhs": 0.5}
    assert written["settings"] == EQUAL | CALIBRATION
    # losses by hand: of each forecast, in units of the walk's mean at its symbol
    closes, relative = log_closes(given["candles"]), []
    past = START + MINUTE * np.arange(200, 1400, 2)
    for symbol, deviation in DEVIATION.items():
        realised = realised_returns(closes[symbol], past, MINUTE, HORIZON)
        loss = {name: pinball(realised, spread(deviation * w, 600), LEVELS).mean() for name, w in widths.items()}
        relative.append({name: value / loss["random_walk"] for name, value in loss.items()})
    assert written["validation_loss"] == pytest.approx(pd.DataFrame(relative).mean().to_dict())
    # calibration continues from validation to test
    forecasts = read_forecasts(given["output"], HORIZON, LEVELS)
    for symbol, rows in forecasts.rows().items():
        assert set(forecasts.close[rows]) == {CLOSES[symbol]}
        origin = np.concatenate([past, forecasts.origin[rows]])
        realised = realised_returns(closes[symbol], origin, MINUTE, HORIZON)
        plain = spread(DEVIATION[symbol], len(origin))
        expected = rolling(plain, realised, origin, TASK, 300, 0.5)[len(past) :]
        np.testing.assert_allclose(forecasts.quantiles[rows], expected, rtol=1e-12, atol=1e-10)
        assert not np.allclose(forecasts.quantiles[rows], plain[len(past) :], rtol=1e-3)


def test_too_wide_an_ensemble_is_narrowed_by_half(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    given = Run(tmp_path).write({"random_walk": 2.0}, frames)
    for strength, factor in ((0.0, 1.0), (0.5, np.sqrt(0.5)), (1.0, 0.5)):
        ensemble(**given | {"calibration": CALIBRATION | {"strength": strength}})
        plain = np.concatenate([spread(2 * d, len(forecast_of(given)) // 2) for d in DEVIATION.values()])
        ratio = forecast_of(given)[..., [0, 4]] / plain[..., [0, 4]]
        assert np.median(ratio) == pytest.approx(factor, rel=0.08)


def test_pid_is_taken_where_it_is_better_in_validation(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """Too wide a forecast: `rolling` at no strength leaves it, `pid` narrows it; of a right one both differ little."""
    given = Run(tmp_path).write({"random_walk": 2.0}, frames)
    made = {}
    for method in ("rolling", "pid", "auto"):
        ensemble(**given | {"calibration": NONE | {"method": method}})
        made[method] = Path(given["output"]).read_bytes()
        assert read_weights(given)["calibration"] == ("rolling" if method == "rolling" else "pid")
        assert read_weights(given)["settings"]["method"] == method
    assert made["auto"] == made["pid"] != made["rolling"]
    ensemble(**given | {"calibration": NONE | {"method": "auto", "strength": 1.0}})
    assert read_weights(given)["calibration"] == "rolling"


def test_the_method_is_chosen_by_validation_alone(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    chosen = []
    for width in (1.0, 5.0):
        given = Run(tmp_path / str(width)).write({"random_walk": 1.0}, frames, {"random_walk": width})
        ensemble(**given | {"calibration": CALIBRATION | {"method": "auto"}})
        chosen.append(read_weights(given)["calibration"])
    assert chosen[0] == chosen[1]


def test_weights_are_by_validation_alone(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """A member that is good in the test span alone is not selected."""
    given = Run(tmp_path).write({"random_walk": 2.0, "ewma": 1.0, "tft": 4.0}, frames, late={"ewma": 9.0, "tft": 1.0})
    ensemble(**given)
    assert read_weights(given)["weights"] == {"ewma": 1.0}


def test_exponential_weights_go_on_with_what_is_realised(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """A member that is good in the test span alone gains weight there, and one that was best in validation loses it."""
    members, late = {"random_walk": 2.0, "ewma": 1.0, "tft": 1.4}, {"ewma": 1.9, "tft": 1.0}
    given = Run(tmp_path).write(members, frames, late) | {"settings": EXPONENTIAL, "calibration": NONE}
    ensemble(**given)
    forecasts = read_forecasts(given["output"], HORIZON, LEVELS)
    for symbol, rows in forecasts.rows().items():
        widths = forecasts.quantiles[rows][:, 0, 4] / spread(DEVIATION[symbol], 1)[0, 0, 4]
        # at first the best in validation, which is too wide now; at last the best here
        assert widths[0] == pytest.approx(1.9, abs=0.02)
        assert widths[-1] == pytest.approx(1.0, abs=0.02)
    weights, shares = read_weights(given)["weights"], read_csv(given["shares"])
    assert sum(weights.values()) == pytest.approx(1, abs=1e-3)
    assert weights["tft"] > weights["ewma"] > 0
    # those at each origin are on record, and their mean is told
    assert shares["origin"].tolist() == np.unique(forecasts.origin).tolist()
    np.testing.assert_allclose(shares.drop(columns="origin").sum(axis=1), 1, atol=2e-4)
    assert shares["ewma"].iloc[0] > 0.9 > 0.1 > shares["ewma"].iloc[-1]
    assert shares["ewma"].mean() == pytest.approx(weights["ewma"], abs=1e-4)
    for symbol, rows in forecasts.rows().items():
        widths = forecasts.quantiles[rows][:, 0, 4] / spread(DEVIATION[symbol], 1)[0, 0, 4]
        mixed = shares[["random_walk", "ewma", "tft"]].to_numpy() @ [2.0, 1.9, 1.0]
        np.testing.assert_allclose(widths, mixed, rtol=0.02)


def test_of_the_live_fold_the_weights_at_the_live_origin_are_told(
    frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    members, late = {"random_walk": 2.0, "ewma": 1.0, "tft": 1.4}, {"ewma": 1.9, "tft": 1.0}
    given = Run(tmp_path).write(members, frames, late) | {"settings": EXPONENTIAL, "calibration": NONE}
    ensemble(**given | {"live_candles": given["candles"]})
    last = read_csv(given["shares"]).iloc[-1].drop("origin")
    assert read_weights(given)["weights"] == last[last > 0].to_dict()
    assert last["ewma"] < 0.1


def test_a_member_counts_once(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """A TFT whose correction was rejected is what it corrects; where it differs in the test alone it is another."""
    members = {"random_walk": 2.0, "ewma": 1.01, "lhar_fhs": 1.0, "tft": 1.0}
    given = Run(tmp_path / "same").write(members, frames)
    ensemble(**given)
    written = read_weights(given)
    assert (written["weights"], written["identical"]) == ({"ewma": 0.5, "lhar_fhs": 0.5}, {"tft": "lhar_fhs"})
    other = Run(tmp_path / "other").write(members, frames, {"tft": 1.3})
    ensemble(**other)
    assert read_weights(other)["identical"] == {}
    assert set(read_weights(other)["weights"]) == {"ewma", "lhar_fhs", "tft"}


@pytest.mark.parametrize("settings", [EQUAL, EXPONENTIAL], ids=["equal", "exponential"])
def test_no_weight_for_a_member_that_a_break_left_behind(
    settings: dict[str, Any], frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    """The market breaks in the last quarter of validation: a member that was the best before, and did not widen, is
    left out, whatever its mean loss."""
    broken = START + MINUTE * 1150
    market = {}
    for number, (name, deviation) in enumerate(DEVIATION.items()):
        times = START + MINUTE * np.arange(ROWS)
        market[name] = candles(times, np.where(times < broken, deviation / 40, deviation), 7 + number)
    members = {"random_walk": 1.2, "ewma": 1.0, "garch_fhs": 1 / 40}
    given = Run(tmp_path).write(members, market) | {"settings": settings}
    ensemble(**given)
    written = read_weights(given)
    assert "garch_fhs" not in written["weights"]
    assert written["miscovered"]["garch_fhs"] < 0.3
    forecast, closes = read_forecasts(given["output"], HORIZON, LEVELS), log_closes(given["candles"])
    realised = realised_of(forecast, closes, MINUTE)
    coverage = covered(realised, forecast.quantiles[..., 0], forecast.quantiles[..., -1]).mean()
    assert coverage == pytest.approx(0.9, abs=0.06)


def test_simplex_weights_of_the_rule(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    given = Run(tmp_path).write({"random_walk": 1.6, "ewma": 0.6, "tft": 3.0}, frames)
    ensemble(**given | {"settings": EQUAL | {"weights": "simplex", "tolerance": 9.0}})
    weights = read_weights(given)["weights"]
    assert sum(weights.values()) == pytest.approx(1)
    widths = {"random_walk": 1.6, "ewma": 0.6, "tft": 3.0}
    assert sum(widths[name] * weight for name, weight in weights.items()) == pytest.approx(1, abs=0.07)


@pytest.mark.parametrize("settings", [EQUAL, EXPONENTIAL], ids=["equal", "exponential"])
def test_what_is_realised_after_an_origin_changes_no_byte(
    settings: dict[str, Any], frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    # half-way through the test
    last = START + MINUTE * 1900
    files = []
    for name, market in (("clean", frames), ("spoilt", {s: poisoned(f, last) for s, f in frames.items()})):
        given = Run(tmp_path / name).write({"random_walk": 1.5, "ewma": 1.45}, market)
        ensemble(**given | {"settings": settings})
        files.append(given)
    clean, spoilt = (read_parquet(given["output"]) for given in files)
    early = clean["origin"] <= last
    pd.testing.assert_frame_equal(clean[early], spoilt[early], check_exact=True)
    assert not clean[~early].equals(spoilt[~early])
    # exponential weights go on with the test; their mean is on record
    same = Path(files[0]["weights"]).read_bytes() == Path(files[1]["weights"]).read_bytes()
    assert same == (settings is EQUAL)


def test_live_candles_continue_those_of_training(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    whole = Run(tmp_path / "whole").write({"random_walk": 1.5}, frames)
    parts = Run(tmp_path / "parts").write({"random_walk": 1.5}, {s: f.iloc[:1800] for s, f in frames.items()})
    parts["live_candles"] = [str(tmp_path / "live" / f"{s}.parquet") for s in frames]
    for path, frame in zip(parts["live_candles"], frames.values(), strict=True):
        write_parquet(path, frame.iloc[1700:])
    for given in (whole, parts):
        ensemble(**given)
    assert Path(whole["output"]).read_bytes() == Path(parts["output"]).read_bytes()


@pytest.mark.parametrize("late", [{}, {"har_fhs": 1.0}, {"ewma": None}])
def test_a_skipped_member_is_not_selected(
    late: dict[str, Any], frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    """Skipped in validation, in the test or in both."""
    members: dict[str, float | None] = {"random_walk": 1.1, "har_fhs": None, "ewma": 1.0, "tft": 1.01}
    given = Run(tmp_path).write(members, frames, late)
    ensemble(**given)
    written = read_weights(given)
    expected = ["tft"] if "ewma" in late else ["ewma", "tft"]
    assert written["weights"] == dict.fromkeys(expected, 1 / len(expected))
    assert sorted(written["validation_loss"]) == sorted([*expected, "random_walk"])


@pytest.mark.parametrize("kind", ["forecasts", "validation"])
def test_members_of_other_origins_are_refused(kind: str, frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    given = Run(tmp_path).write({"random_walk": 1.1, "ewma": 1.0}, frames)
    path = tmp_path / kind / "ewma.parquet"
    write_parquet(path, read_parquet(path).iloc[HORIZON:])
    message = r"^ewma: has other origins than random_walk; delete its forecasts and run again$"
    with pytest.raises(UserError, match=message):
        ensemble(**given)
    assert not Path(given["output"]).exists()


def test_a_constant_price_is_refused(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """Where no change is forecast for sure, and realised, there is no loss to divide by."""
    still = frames["B"].assign(**dict.fromkeys(["open", "high", "low", "close"], 100.0))
    given = Run(tmp_path).write({"random_walk": 1.1, "ewma": 1.0}, frames | {"B": still})
    for path in given["validation"]:
        table = read_parquet(path)
        table.loc[table["symbol"] == "B", quantile_columns(LEVELS)] = 0.0
        write_parquet(path, table)
    with pytest.raises(UserError, match=r"^the price of B never changes in validation; remove it from symbols$"):
        ensemble(**given)
    assert not Path(given["output"]).exists()


def shift_of(given: Mapping[str, Any], kind: str, member: str, shift: float) -> None:
    """Shift a member's forecasts, in deviations of the step."""
    (path,) = (path for path in given[kind] if Path(path).stem == member)
    table = read_parquet(path)
    deviation = table["symbol"].map(DEVIATION) * np.sqrt(table["step"])
    columns = quantile_columns(LEVELS)
    write_parquet(path, table.assign(**{name: table[name] + shift * deviation for name in columns}))


def test_members_without_a_direction_take_that_of_drift(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """`drift` has no weight of its own; a member with a direction keeps it."""
    members = {"random_walk": 1.1, "ewma": 1.0, "drift": 3.0, "ewma_drift": 1.0}
    given = Run(tmp_path).write(members, frames) | {
        "settings": EQUAL | {"tolerance": 9.0},
        "calibration": NONE,
    }
    for kind in ("forecasts", "validation"):
        shift_of(given, kind, "drift", 0.3)
        shift_of(given, kind, "ewma_drift", -0.1)
    ensemble(**given)
    assert set(read_weights(given)["weights"]) == {"random_walk", "ewma", "ewma_drift"}
    plain = spread(1.0, 1)[0]
    for deviation, rows in zip(
        DEVIATION.values(), read_forecasts(given["output"], HORIZON, LEVELS).rows().values(), strict=True
    ):
        unit = forecast_of(given)[rows] / deviation
        shift = (0.3 + 0.3 - 0.1) / 3 * np.sqrt(np.arange(1, HORIZON + 1))[:, None]
        np.testing.assert_allclose(unit, np.tile(plain * 3.1 / 3 + shift, (len(unit), 1, 1)), rtol=1e-6, atol=1e-6)


def test_a_drift_without_a_shift_changes_no_byte(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    files = []
    for extra in ({}, {"drift": 3.0}):
        given = Run(tmp_path / f"{len(extra)}").write({"random_walk": 1.1, "ewma": 1.0, **extra}, frames)
        ensemble(**given)
        files.append([Path(given[name]).read_bytes() for name in ("output", "weights")])
    assert files[0] == files[1]


def start_from(market: Mapping[str, pd.DataFrame], given: Mapping[str, Any]) -> None:
    """Let the one member's forecasts of the test start from the market's closes."""
    (path,) = given["forecasts"]
    table = read_parquet(path)
    bar = (table["origin"] - START) // MINUTE
    prices = [market[symbol]["close"][at] for symbol, at in zip(table["symbol"], bar, strict=True)]
    write_parquet(path, table.assign(close=prices))


def test_forecasts_are_at_prices_that_can_occur(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """A symbol of a tick of 0.1, and one without."""
    columns = ["open", "high", "low", "close"]
    market = {"A": frames["A"], "B": frames["B"].assign(**frames["B"][columns].div(5).round(1).clip(lower=0.1) * 5)}
    given = Run(tmp_path).write({"random_walk": 1.1}, market)
    start_from(market, given)
    ensemble(**given)
    forecasts, closes = read_forecasts(given["output"], HORIZON, LEVELS), log_closes(given["candles"])
    for symbol, rows in forecasts.rows().items():
        start = np.exp(closes[symbol].loc[forecasts.origin[rows]].to_numpy())
        ticks = start[:, None, None] * np.exp(forecasts.quantiles[rows]) / 0.5
        on_grid = np.abs(ticks - np.rint(ticks)) < 1e-6
        assert on_grid.all() == (symbol == "B")


def test_the_tick_is_that_of_the_closes_before(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """A tick that is refined after the first forecast does not change it."""
    columns = ["open", "high", "low", "close"]
    coarse = frames["B"].assign(**frames["B"][columns].div(5).round(1).clip(lower=0.1) * 5)
    fine = coarse.assign(
        close=coarse["close"].where(coarse["timestamp"] <= START + MINUTE * 1500, coarse["close"] + 0.1)
    )
    first = []
    for name, frame in (("coarse", coarse), ("fine", fine)):
        market = {"A": frames["A"], "B": frame}
        given = Run(tmp_path / name).write({"random_walk": 1.1}, market)
        start_from(market, given)
        ensemble(**given)
        table = read_parquet(given["output"])
        first.append(table[table["origin"] == START + MINUTE * 1500])
    assert len(first[0]) == 2 * HORIZON
    pd.testing.assert_frame_equal(first[0], first[1], check_exact=True)
