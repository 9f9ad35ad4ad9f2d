"""Every baseline: no look-ahead, order, symmetry, sitting out; GARCH's parameters, LightGBM's panels, live candles."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from forecasting.bars import Bars
from forecasting.baselines import simple as baselines
from forecasting.baselines.boosting import lightgbm_quantiles
from forecasting.baselines.garch import fit_garch, garch_fhs
from forecasting.baselines.interface import Settings, Track
from forecasting.losses import covered, pinball
from forecasting.members import BASELINES, RANDOM_WALK
from forecasting.quantiles import forecast_table, read_forecasts
from market.intervals import DAY, MINUTE, season_bars, step_ms
from predict_baselines import forecast, members, predict_baselines
from support.markets import START, StochasticVolatility, candles, poisoned, write_cutoff, write_symbols

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
HORIZON = 6
SETTINGS = Settings(HORIZON, LEVELS, season=20, ewma_halflife=20, drift_halflife=40)
MARKET = StochasticVolatility(memory=0.98, noise=0.2)
EVERY = pytest.mark.parametrize("name", BASELINES)
FITTED, ROWS = 1000, 1300
ORIGINS = np.arange(1010, 1250, 8)


def tracks_of(frames: list[pd.DataFrame]) -> list[Track]:
    return [Track(bars, bars, ORIGINS) for bars in (Bars.of(frame, MINUTE) for frame in frames)]


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    whole = [MARKET.candles(ROWS, seed) for seed in (1, 2)]
    return [whole[0], whole[1].drop(index=range(400, 420)).reset_index(drop=True)]


def fitted_end(frames: list[pd.DataFrame]) -> int:
    return int(frames[0]["timestamp"][FITTED])


def test_members_are_those_that_the_config_may_name() -> None:
    assert sorted(members()) == sorted(BASELINES)


@EVERY
@pytest.mark.parametrize("refit", [None, 60])
def test_what_comes_after_an_origin_changes_no_byte_of_its_forecast(
    name: str, refit: int | None, frames: list[pd.DataFrame]
) -> None:
    member, end = members()[name], fitted_end(frames)
    # in the middle of a block: all that a member is fitted on anew later is poisoned too
    last = int(frames[0]["timestamp"][ORIGINS[18]])
    clean, spoilt = (
        forecast(member, tracks_of(own), end, refit, SETTINGS)
        for own in (frames, [poisoned(frame, last) for frame in frames])
    )
    for frame, one, two in zip(frames, clean, spoilt, strict=True):
        early = frame["timestamp"].to_numpy()[ORIGINS] <= last
        assert 0 < early.sum() < len(early)
        assert one[early].tobytes() == two[early].tobytes()
        assert (one[~early].tobytes() == two[~early].tobytes()) == (name == RANDOM_WALK and refit is None)


@EVERY
def test_a_fit_ends_where_the_training_does_or_with_the_block_s_first_origin(
    name: str, frames: list[pd.DataFrame]
) -> None:
    member, end, tracks = members()[name], fitted_end(frames), tracks_of(frames)
    once, anew = (forecast(member, tracks, end, refit, SETTINGS) for refit in (None, 80))
    # the blocks begin with the earliest origin of all
    first = min(int(track.bars.timestamp[track.origins[0]]) for track in tracks)
    block = [(track.bars.timestamp[track.origins] - first) // (80 * MINUTE) for track in tracks]
    for number in (0, 1, 2):
        known = end if number == 0 else first + number * 80 * MINUTE
        parts = [
            Track(track.history.before(known), track.bars, track.origins[own == number])
            for track, own in zip(tracks, block, strict=True)
        ]
        by_hand = member(parts, SETTINGS)
        for own, expected, place in zip(anew, by_hand, block, strict=True):
            np.testing.assert_array_equal(own[place == number], expected)
    assert once[0][block[0] == 0].tobytes() == anew[0][block[0] == 0].tobytes()
    assert once[0][block[0] == 2].tobytes() != anew[0][block[0] == 2].tobytes() or name in ("ewma", "ewma_drift")


@EVERY
def test_order_symmetry_and_median(name: str, frames: list[pd.DataFrame]) -> None:
    for quantiles in forecast(members()[name], tracks_of(frames), fitted_end(frames), None, SETTINGS):
        assert quantiles.shape == (len(ORIGINS), HORIZON, len(LEVELS))
        assert (np.diff(quantiles, axis=2) > 0).all()
        if name in ("ewma_drift", "seasonal_naive"):
            # symmetric around a path of its own
            assert (quantiles[..., 2] != 0).any()
            np.testing.assert_allclose(quantiles - quantiles[..., [2]], quantiles[..., [2]] - quantiles[..., ::-1])
        else:
            assert (quantiles[..., 2] == 0).all()
            np.testing.assert_allclose(quantiles, -quantiles[..., ::-1])


def test_a_garch_s_parameters_are_found() -> None:
    alpha, beta, mean = 0.1, 0.85, 4e-6
    shocks = np.random.default_rng(3).standard_t(6, 20_000) * np.sqrt(4 / 6)
    moves, variance = np.empty(20_000), mean
    for row, shock in enumerate(shocks):
        moves[row] = np.sqrt(variance) * shock
        variance = (1 - alpha - beta) * mean + alpha * moves[row] ** 2 + beta * variance
    moves[5000] = np.nan
    found = fit_garch(moves)
    assert found[0] == pytest.approx(np.nanvar(moves))
    # four standard errors of a sample of that size
    assert found[1] == pytest.approx(alpha, abs=0.03)
    assert found[2] == pytest.approx(beta, abs=0.05)
    assert found[1] + found[2] == pytest.approx(alpha + beta, abs=0.02)


def test_a_garch_is_held_below_a_unit_root_and_its_steps_are_the_recursion_s() -> None:
    bars = Bars.of(StochasticVolatility(memory=0.999, noise=0.1).candles(4000, seed=4), MINUTE)
    moves = np.diff(bars.log_close, prepend=np.nan)
    mean, alpha, beta = fit_garch(moves)
    assert 0.9 < alpha + beta <= 0.9999
    origins = np.array([3000, 3500])
    forecast = garch_fhs(bars, bars, origins, SETTINGS)
    # σ²ₜ₊₁ by the recursion from the mean, then step by step towards it
    variance = np.full(2, mean)
    for lag in range(2000, -1, -1):
        variance = (1 - alpha - beta) * mean + alpha * moves[origins - lag] ** 2 + beta * variance
    ahead = mean + (alpha + beta) ** np.arange(HORIZON) * (variance[:, None] - mean)
    deviation = np.sqrt(np.cumsum(ahead, axis=1))
    ratio = forecast[..., 4] / deviation
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=1e-6)


@pytest.mark.parametrize("name", ["ewma_fhs", "seasonal_ewma_fhs", "garch_fhs", "har_fhs", "lhar_fhs", "lightgbm"])
def test_members_of_volatility_beat_the_random_walk_and_cover_what_they_say(name: str) -> None:
    bars = Bars.of(StochasticVolatility(memory=0.98, noise=0.25).candles(14_000, seed=5), MINUTE)
    origins = np.arange(9000, 13_990, 3)
    track = Track(bars.before(int(bars.timestamp[9000])), bars, origins)
    own, walk = (members()[member]([track], SETTINGS)[0] for member in (name, RANDOM_WALK))
    came = bars.paths(origins, HORIZON)
    assert pinball(came, own, LEVELS).mean() < 0.96 * pinball(came, walk, LEVELS).mean()
    assert covered(came, own[..., 0], own[..., 4]).mean() == pytest.approx(0.9, abs=0.025)
    assert covered(came, own[..., 1], own[..., 3]).mean() == pytest.approx(0.5, abs=0.035)


def test_lightgbm_corrects_the_har_alone_and_among_others(frames: list[pd.DataFrame]) -> None:
    tracks = [Track(t.history.before(fitted_end(frames)), t.bars, t.origins) for t in tracks_of(frames)]
    base = baselines.lhar_fhs(*tracks[0], SETTINGS)
    alone, among = lightgbm_quantiles(tracks[:1], SETTINGS)[0], lightgbm_quantiles(tracks, SETTINGS)[0]
    for said in (alone, among):
        factor = said[..., [0, 1, 3, 4]] / base[..., [0, 1, 3, 4]]
        assert ((factor >= 0.2) & (factor < 3)).all()
        assert (factor != 1).any()
    assert alone.tobytes() != among.tobytes()
    assert lightgbm_quantiles(tracks, SETTINGS)[0].tobytes() == among.tobytes()


def test_lightgbm_finds_what_the_har_cannot_see() -> None:
    """Wednesdays are four times as wild: to the HAR, whose season knows weekends alone, they come unforeseen."""
    hour = 60 * MINUTE
    times = START + hour * np.arange(24 * 7 * 60)
    wednesday = (times // DAY + 3) % 7 == 2
    bars = Bars.of(candles(times, 1e-3 * np.where(wednesday, 4.0, 1.0), seed=6), hour)
    first = 24 * 7 * 45
    track = Track(bars.before(int(times[first])), bars, np.arange(first, len(times) - HORIZON, 3))
    own, base = (members()[name]([track], SETTINGS)[0] for name in ("lightgbm", "lhar_fhs"))
    came = bars.paths(track.origins, HORIZON)
    wild = wednesday[track.origins + 1] & wednesday[track.origins + HORIZON]
    assert pinball(came, own, LEVELS).mean() < 0.99 * pinball(came, base, LEVELS).mean()
    # both ways: wider on those days, narrower as they end
    begins = np.flatnonzero(np.diff(wild.astype(int)) == 1) + 1
    factor = own[..., 4] / base[..., 4]
    assert np.median(factor[begins]) > 1.1
    assert np.median(factor[~wild]) < 0.98


def test_lightgbm_with_a_symbol_that_begins_half_way_and_one_without_volume(frames: list[pd.DataFrame]) -> None:
    late = frames[1].iloc[500:].reset_index(drop=True)
    silent = MARKET.candles(ROWS, seed=6).assign(volume=0.0)
    end, bars = fitted_end(frames), [Bars.of(frame, MINUTE) for frame in (frames[0], late, silent)]
    times = frames[0]["timestamp"].to_numpy()[ORIGINS]
    tracks = [Track(own.before(end), own, np.searchsorted(own.timestamp, times)) for own in bars]
    for said in lightgbm_quantiles(tracks, SETTINGS):
        assert np.isfinite(said).all()
        assert (np.ptp(said, axis=2) > 0).all()


@EVERY
def test_a_price_that_mostly_stands_still_divides_nothing_by_zero(name: str) -> None:
    moving = np.random.default_rng(8).random(ROWS) < 0.05
    bars = Bars.of(candles(START + MINUTE * np.arange(ROWS), 1e-3 * moving, seed=8), MINUTE)
    assert (bars.variance == 0).mean() > 0.9
    track = Track(bars.before(int(bars.timestamp[FITTED])), bars, ORIGINS)
    with np.errstate(all="raise", under="ignore"):
        said = members()[name]([track], SETTINGS)[0]
    assert np.isfinite(said).all()
    assert (np.ptp(said[:, -1], axis=1) > 0).all()


@EVERY
def test_the_last_bits_of_prices_make_no_other_file(name: str, frames: list[pd.DataFrame]) -> None:
    """Other machines round otherwise: what is written is the same."""
    prices = ["open", "high", "low", "close"]
    random, other = np.random.default_rng(11), frames[0].copy()
    other[prices] *= 1 + 2.0**-52 * random.integers(-2, 3, (ROWS, 1))
    told = []
    for frame in (frames[0], other):
        bars = Bars.of(frame, MINUTE)
        tracks = [Track(bars, bars, ORIGINS[::4])]
        told.append(forecast(members()[name], tracks, fitted_end(frames), None, SETTINGS))
    times = frames[0]["timestamp"].to_numpy()[ORIGINS[::4]]
    one, two = (forecast_table(["A"], [times], own, LEVELS) for own in told)
    assert told[0][0].tobytes() != told[1][0].tobytes()
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@EVERY
@pytest.mark.parametrize("interval", ["4h", "1d", "3d"])
def test_bars_of_hours_and_days(name: str, interval: str) -> None:
    """Weekends within, and slots of a day that are few: what is said covers what comes, blind to what follows."""
    step, rows, fitted = step_ms(interval), 1400, 1000
    market = StochasticVolatility(memory=0.95, noise=0.3, weekend=0.3 if step <= DAY else 1.0, bar_ms=step)
    frame = market.candles(rows, seed=9)
    settings = Settings(5, LEVELS, season_bars(step), ewma_halflife=20, drift_halflife=60)
    origins = np.arange(fitted, rows - 5)
    end, last = int(frame["timestamp"][fitted]), int(frame["timestamp"][1200])
    one, two = (
        forecast(members()[name], [Track(bars, bars, origins)], end, None, settings)[0]
        for bars in (Bars.of(own, step) for own in (frame, poisoned(frame, last)))
    )
    assert one[origins <= 1200].tobytes() == two[origins <= 1200].tobytes()
    came = Bars.of(frame, step).paths(origins, 5)
    assert covered(came, one[..., 0], one[..., 4]).mean() == pytest.approx(0.9, abs=0.07)


RULE: dict[str, Any] = {
    "interval": "1m",
    "lookback": 20,
    "horizon": HORIZON,
    "quantile_levels": LEVELS,
    "folds": {"count": 2, "test_bars": 120, "embargo": HORIZON},
    "stride": 5,
    "share": 0.2,
    "settings": {"ewma_halflife": 30, "drift_halflife": 60, "refit_bars": None},
}


def run(
    folder: Path,
    fitted: dict[str, pd.DataFrame],
    live: dict[str, pd.DataFrame] | None = None,
    later: bool = True,
    fold: str = "1",
    **changed: Any,
) -> dict[str, dict[str, str]]:
    """The files that the rule writes of these candles, by kind and member. later: the candles of the fold's own cutoff
    go on with those of training; else they are the whole history."""
    frames = live or fitted
    trained = write_symbols(folder / "train", fitted)
    now = write_symbols(folder / "live", frames) if live else trained
    ends = [max(int(f["timestamp"].iloc[-1]) for f in own.values()) + MINUTE for own in (frames, fitted)]
    written = {
        kind: {name: str(folder / kind / f"{name}.parquet") for name in BASELINES} for kind in ("output", "validation")
    }
    rule = RULE | changed
    predict_baselines(
        output=written["output"],
        validation=written["validation"],
        features=now["features"],
        train_features=trained["features"],
        candles=trained["candles"] if later else now["candles"],
        live_candles=now["candles"] if live and later else [],
        cutoff=write_cutoff(folder, ends[0]),
        train_cutoff=write_cutoff(folder, ends[1]),
        fold=fold,
        symbols=list(fitted),
        **rule,
    )
    return written


def test_the_rule_s_files_are_blind_to_the_test_span_of_later_folds(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    end = int(frames[0]["timestamp"].iloc[-1]) - 120 * MINUTE
    files = [
        run(tmp_path / name, {"A": own[0], "B": own[1]}, fold="0")
        for name, own in (("clean", frames), ("spoilt", [poisoned(frame, end) for frame in frames]))
    ]
    for kind in ("output", "validation"):
        for name in BASELINES:
            one, two = (Path(written[kind][name]).read_bytes() for written in files)
            assert one == two, name
    said = read_forecasts(files[0]["output"]["lightgbm"], HORIZON, LEVELS)
    past = read_forecasts(files[0]["validation"]["lightgbm"], HORIZON, LEVELS)
    # validation ends before the embargo, and the test begins after it
    assert past.origin.max() + 2 * HORIZON * MINUTE < said.origin.min() + MINUTE
    assert said.origin.max() + HORIZON * MINUTE <= end


def test_the_rule_fits_anew_in_the_test_span_alone(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    own = {"A": frames[0], "B": frames[1]}
    settings = RULE["settings"] | {"refit_bars": 40}
    never, anew = (run(tmp_path / "never", own), run(tmp_path / "anew", own, settings=settings))
    for name in BASELINES:
        one, two = (Path(written["validation"][name]).read_bytes() for written in (never, anew))
        assert one == two, name
        before, after = (read_forecasts(written["output"][name], HORIZON, LEVELS) for written in (never, anew))
        block = (before.origin - before.origin.min()) // (40 * MINUTE)
        np.testing.assert_array_equal(before.quantiles[block == 0], after.quantiles[block == 0])
        # those two look at the history only where a run of bars begins, and all but forget it
        same = np.allclose(before.quantiles[block > 0], after.quantiles[block > 0], rtol=1e-6, atol=0)
        assert same == (name in ("ewma", "ewma_drift")), name


def test_live_candles_go_on_with_those_of_training(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    """What is told from the training's candles and the last ones is what one long history tells."""
    fitted = {name: frame[frame["timestamp"] < fitted_end(frames)] for name, frame in zip("AB", frames, strict=True)}
    # they overlap
    recent = {name: frame.iloc[900:].reset_index(drop=True) for name, frame in zip("AB", frames, strict=True)}
    whole = dict(zip("AB", frames, strict=True))
    joined = run(tmp_path / "joined", fitted, recent, fold="live")
    long = run(tmp_path / "long", fitted, whole, later=False, fold="live")
    for kind in ("output", "validation"):
        for name in BASELINES:
            one, two = (read_forecasts(written[kind][name], HORIZON, LEVELS) for written in (joined, long))
            np.testing.assert_array_equal(one.origin, two.origin)
            np.testing.assert_allclose(one.quantiles, two.quantiles, rtol=1e-12, atol=0, err_msg=name)
    live = read_forecasts(joined["output"]["har_fhs"], HORIZON, LEVELS)
    assert live.origin.tolist() == [START + (ROWS - 1) * MINUTE] * 2


def test_a_member_whose_history_is_too_short_sits_out_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 20 windows of 30 bars before the training ends, fewer before its validation
    short = MARKET.candles(880, seed=7)
    written = run(tmp_path, {"A": short}, horizon=30, folds={"count": 1, "test_bars": 150, "embargo": 30}, fold="0")
    told = capsys.readouterr().err
    rows = {
        kind: {name: len(read_forecasts(path, 30, LEVELS).origin) for name, path in paths.items()}
        for kind, paths in written.items()
    }
    away = {"garch_fhs", "har_fhs", "lhar_fhs", "lightgbm"}
    assert {name for name, count in rows["validation"].items() if not count} == away
    assert {name for name, count in rows["output"].items() if not count} == set()
    validated, tested = told.splitlines()
    for name in away:
        assert f"{name} sits out: " in validated
    assert "windows of 30 bars, of 20 needed" in validated
    assert "sits out" not in tested


def test_a_symbol_too_young_for_the_random_walk_is_told_in_one_line(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    young = frames[0].iloc[FITTED - HORIZON :].reset_index(drop=True)
    fitted = {"A": frames[0].iloc[:FITTED], "B": young.iloc[:HORIZON]}
    said = (
        r"^predict_baselines: before \S+Z 0 windows of 6 bars, of 1 needed; give more days, or fewer or shorter folds$"
    )
    with pytest.raises(UserError, match=said):
        run(tmp_path, fitted, {"A": frames[0], "B": young}, fold="live")
