"""Every baseline: no look-ahead, order, symmetry, skipping; GARCH's parameters, LightGBM of several symbols."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from forecasting.bars import Bars, typical_variance
from forecasting.baselines import boosting, har_fhs
from forecasting.baselines.boosting import lightgbm_quantiles
from forecasting.baselines.garch import fit_garch, garch_fhs
from forecasting.baselines.har import Har
from forecasting.baselines.har_fhs import lhar_fhs
from forecasting.baselines.interface import BaselineSettings, SymbolSeries, load_baseline
from forecasting.folds import FoldScheme
from forecasting.losses import covered, pinball
from forecasting.members import BASELINES, RANDOM_WALK
from forecasting.quantiles import forecast_table, read_forecasts
from forecasting.split import FoldFiles
from forecasting.task import Task
from market.intervals import DAY, MINUTE, step_ms
from predict_baselines import fitted_blocks, forecast, forecast_blocks, predict_baselines
from support.markets import START, StochasticVolatility, candles, poisoned, write_cutoff, write_symbols

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
HORIZON = 6
# twenty bars of this interval are a season; otherwise baselines take a bar's length from the bars, of a minute
TASK = Task("72m", lookback=1, horizon=HORIZON, quantile_levels=LEVELS)
SETTINGS = BaselineSettings(ewma_halflife=20, drift_halflife=40, refit_bars=None)
MARKET = StochasticVolatility(memory=0.98, noise=0.2)
EVERY = pytest.mark.parametrize("name", BASELINES)
# those that a refit changes, and those that use the history only where a segment starts, and nearly forget it
FITTED_ON_ALL = (
    "random_walk",
    "ewma_fhs",
    "seasonal_ewma_fhs",
    "garch_fhs",
    "har_fhs",
    "lhar_fhs",
    "lightgbm",
    "seasonal_naive",
)
NEARLY_UNFITTED = ("ewma", "ewma_drift")
FITTED, ROWS = 1000, 1300
ORIGINS = np.arange(1010, 1250, 8)


def series_of(frames: list[pd.DataFrame], origins: np.ndarray = ORIGINS) -> list[SymbolSeries]:
    return [SymbolSeries(bars, bars, origins) for bars in (Bars.of(frame, MINUTE) for frame in frames)]


def forecasts(
    name: str, series: list[SymbolSeries], end: int, refit: int | None = None, task: Task = TASK
) -> list[np.ndarray]:
    """A baseline's quantiles, fitted before `end` and refitted every so many bars."""
    return forecast(load_baseline(name), series, end, task, replace(SETTINGS, refit_bars=refit))


def of_one_symbol(name: str, series: SymbolSeries, task: Task = TASK) -> np.ndarray:
    """A baseline's quantiles of one symbol."""
    return load_baseline(name)([series], task, SETTINGS)[0]


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    whole = [MARKET.candles(ROWS, seed) for seed in (1, 2)]
    return [whole[0], whole[1].drop(index=range(400, 420)).reset_index(drop=True)]


def fitted_end(frames: list[pd.DataFrame]) -> int:
    return int(frames[0]["timestamp"][FITTED])


@EVERY
@pytest.mark.parametrize("refit", [None, 60])
def test_what_comes_after_an_origin_changes_no_byte_of_its_forecast(
    name: str, refit: int | None, frames: list[pd.DataFrame]
) -> None:
    end = fitted_end(frames)
    # in the middle of a block: all that a member is refitted on later is poisoned too
    last = int(frames[0]["timestamp"][ORIGINS[18]])
    clean, spoilt = (
        forecasts(name, series_of(given), end, refit) for given in (frames, [poisoned(frame, last) for frame in frames])
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
    end, series = fitted_end(frames), series_of(frames)
    once, refit_often = (forecasts(name, series, end, refit) for refit in (None, 80))
    # the blocks start with the earliest origin of all
    first = min(int(one.bars.timestamp[one.origins[0]]) for one in series)
    blocks = [(one.bars.timestamp[one.origins] - first) // (80 * MINUTE) for one in series]
    for number in (0, 1, 2):
        fit_end = end if number == 0 else first + number * 80 * MINUTE
        parts = [
            SymbolSeries(one.history.before(fit_end), one.bars, one.origins[block == number])
            for one, block in zip(series, blocks, strict=True)
        ]
        by_hand = load_baseline(name)(parts, TASK, SETTINGS)
        for refitted, expected, block in zip(refit_often, by_hand, blocks, strict=True):
            np.testing.assert_array_equal(refitted[block == number], expected)
    assert once[0][blocks[0] == 0].tobytes() == refit_often[0][blocks[0] == 0].tobytes()
    if name in FITTED_ON_ALL:
        assert once[0][blocks[0] == 2].tobytes() != refit_often[0][blocks[0] == 2].tobytes()


@EVERY
def test_order_symmetry_and_median(name: str, frames: list[pd.DataFrame]) -> None:
    for quantiles in forecasts(name, series_of(frames), fitted_end(frames)):
        assert quantiles.shape == (len(ORIGINS), HORIZON, len(LEVELS))
        assert (np.diff(quantiles, axis=2) > 0).all()
        if name in ("ewma_drift", "seasonal_naive"):
            # symmetric around a path
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
    found = fit_garch(moves, mean)
    assert found[0] == mean
    # four standard errors of a sample of that size
    assert found[1] == pytest.approx(alpha, abs=0.03)
    assert found[2] == pytest.approx(beta, abs=0.05)
    assert found[1] + found[2] == pytest.approx(alpha + beta, abs=0.02)


def test_a_garch_is_held_below_a_unit_root_and_its_steps_are_the_recursion_s() -> None:
    bars = Bars.of(StochasticVolatility(memory=0.999, noise=0.1).candles(4000, seed=4), MINUTE)
    moves = np.diff(bars.log_close, prepend=np.nan)
    mean, alpha, beta = fit_garch(moves, typical_variance(moves**2, MINUTE))
    assert 0.9 < alpha + beta <= 0.9999
    origins = np.array([3000, 3500])
    quantiles = garch_fhs(SymbolSeries(bars, bars, origins), TASK, SETTINGS)
    # σ²ₜ₊₁ by the recursion from the mean, then step by step towards it
    variance = np.full(2, mean)
    for lag in range(2000, -1, -1):
        variance = (1 - alpha - beta) * mean + alpha * moves[origins - lag] ** 2 + beta * variance
    ahead = mean + (alpha + beta) ** np.arange(HORIZON) * (variance[:, None] - mean)
    deviation = np.sqrt(np.cumsum(ahead, axis=1))
    ratio = quantiles[..., 4] / deviation
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=1e-6)


@pytest.mark.parametrize("name", ["ewma_fhs", "seasonal_ewma_fhs", "garch_fhs", "har_fhs", "lhar_fhs", "lightgbm"])
def test_volatility_models_beat_the_random_walk_and_are_calibrated(name: str) -> None:
    bars = Bars.of(StochasticVolatility(memory=0.98, noise=0.25).candles(14_000, seed=5), MINUTE)
    origins = np.arange(9000, 13_990, 3)
    series = SymbolSeries(bars.before(int(bars.timestamp[9000])), bars, origins)
    model, walk = (of_one_symbol(member, series) for member in (name, RANDOM_WALK))
    realised = bars.paths(origins, HORIZON)
    assert pinball(realised, model, LEVELS).mean() < 0.96 * pinball(realised, walk, LEVELS).mean()
    assert covered(realised, model[..., 0], model[..., 4]).mean() == pytest.approx(0.9, abs=0.025)
    assert covered(realised, model[..., 1], model[..., 3]).mean() == pytest.approx(0.5, abs=0.035)


def test_lightgbm_corrects_the_har_alone_and_among_others(frames: list[pd.DataFrame]) -> None:
    series = [replace(one, history=one.history.before(fitted_end(frames))) for one in series_of(frames)]
    base = lhar_fhs(series[0], TASK, SETTINGS)
    alone, among = (lightgbm_quantiles(given, TASK, SETTINGS)[0] for given in (series[:1], series))
    for quantiles in (alone, among):
        factor = quantiles[..., [0, 1, 3, 4]] / base[..., [0, 1, 3, 4]]
        assert ((factor >= 0.2) & (factor < 3)).all()
        assert (factor != 1).any()
    assert alone.tobytes() != among.tobytes()
    assert lightgbm_quantiles(series, TASK, SETTINGS)[0].tobytes() == among.tobytes()


def test_lightgbm_is_trained_on_so_many_windows_of_all_symbols(
    frames: list[pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels: list[int] = []
    train = lightgbm.train

    def counted(parameters: dict[str, Any], data: lightgbm.Dataset, rounds: int) -> lightgbm.Booster:
        labels.append(len(np.asarray(data.get_label())) // len(np.unique([1, HORIZON // 4, HORIZON // 2, HORIZON])))
        return train(parameters, data, rounds)

    monkeypatch.setattr(lightgbm, "train", counted)
    monkeypatch.setattr(boosting, "ALL_ROWS", 400)
    series = [replace(one, history=one.history.before(fitted_end(frames))) for one in series_of(frames)]
    lightgbm_quantiles(series, TASK, SETTINGS)
    assert set(labels) == {labels[0]}
    assert 300 < labels[0] <= 400


def test_members_of_one_har_fit_it_once(frames: list[pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[bool] = []
    fit = har_fhs.fit_har_deviation

    def counted(bars: Bars, horizon: int, extended: bool) -> tuple[Har, np.ndarray]:
        fitted.append(extended)
        return fit(bars, horizon, extended)

    monkeypatch.setattr(har_fhs, "fit_har_deviation", counted)
    blocks = fitted_blocks(series_of(frames), fitted_end(frames), replace(SETTINGS, refit_bars=60))
    for name in ("lhar_fhs", "drift", "lightgbm"):
        forecast_blocks(load_baseline(name), blocks, TASK, SETTINGS)
    assert fitted == [True] * sum(len(block.series) for block in blocks)
    forecast_blocks(load_baseline("lhar_fhs"), blocks, replace(TASK, horizon=4), SETTINGS)
    assert len(fitted) == 2 * sum(len(block.series) for block in blocks)


def test_lightgbm_finds_what_the_har_cannot_see() -> None:
    """Wednesdays are eight times as volatile, which the HAR, with its season of weekends alone, does not forecast."""
    hour = 60 * MINUTE
    times = START + hour * np.arange(24 * 7 * 60)
    wednesday = (times // DAY + 3) % 7 == 2
    bars = Bars.of(candles(times, 1e-3 * np.where(wednesday, 8.0, 1.0), seed=6), hour)
    first = 24 * 7 * 45
    series = SymbolSeries(bars.before(int(times[first])), bars, np.arange(first, len(times) - HORIZON, 3))
    trees, base = (of_one_symbol(name, series) for name in ("lightgbm", "lhar_fhs"))
    realised = bars.paths(series.origins, HORIZON)
    volatile = wednesday[series.origins + 1] & wednesday[series.origins + HORIZON]
    assert pinball(realised, trees, LEVELS).mean() < 0.99 * pinball(realised, base, LEVELS).mean()
    # both ways: wider on those days, narrower as they end
    starts = np.flatnonzero(np.diff(volatile.astype(int)) == 1) + 1
    factor = trees[..., 4] / base[..., 4]
    assert np.median(factor[starts]) > 1.1
    assert np.median(factor[~volatile]) < 0.98


def test_lightgbm_with_a_symbol_that_starts_half_way_and_one_without_volume(frames: list[pd.DataFrame]) -> None:
    late = frames[1].iloc[500:].reset_index(drop=True)
    silent = MARKET.candles(ROWS, seed=6).assign(volume=0.0)
    end, times = fitted_end(frames), frames[0]["timestamp"].to_numpy()[ORIGINS]
    every = [Bars.of(frame, MINUTE) for frame in (frames[0], late, silent)]
    series = [SymbolSeries(bars.before(end), bars, np.searchsorted(bars.timestamp, times)) for bars in every]
    for quantiles in lightgbm_quantiles(series, TASK, SETTINGS):
        assert np.isfinite(quantiles).all()
        assert (np.ptp(quantiles, axis=2) > 0).all()


@EVERY
def test_a_price_that_mostly_stands_still_divides_nothing_by_zero(name: str) -> None:
    moving = np.random.default_rng(8).random(ROWS) < 0.05
    bars = Bars.of(candles(START + MINUTE * np.arange(ROWS), 1e-3 * moving, seed=8), MINUTE)
    assert (bars.variance == 0).mean() > 0.9
    series = SymbolSeries(bars.before(int(bars.timestamp[FITTED])), bars, ORIGINS)
    with np.errstate(all="raise", under="ignore"):
        quantiles = of_one_symbol(name, series)
    assert np.isfinite(quantiles).all()
    assert (np.ptp(quantiles[:, -1], axis=1) > 0).all()


@EVERY
def test_the_last_bits_of_prices_make_no_other_file(name: str, frames: list[pd.DataFrame]) -> None:
    """Machines differ in the last bits, and write the same files."""
    prices = ["open", "high", "low", "close"]
    random, other = np.random.default_rng(11), frames[0].copy()
    other[prices] *= 1 + 2.0**-52 * random.integers(-2, 3, (ROWS, 1))
    quantiles = [forecasts(name, series_of([frame], ORIGINS[::4]), fitted_end(frames)) for frame in (frames[0], other)]
    times = frames[0]["timestamp"].to_numpy()[ORIGINS[::4]]
    closes = [frame["close"].to_numpy()[ORIGINS[::4]] for frame in (frames[0], other)]
    one, two = (
        forecast_table(["A"], [times], [close], part, LEVELS) for close, part in zip(closes, quantiles, strict=True)
    )
    assert quantiles[0][0].tobytes() != quantiles[1][0].tobytes()
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@EVERY
@pytest.mark.parametrize("interval", ["4h", "1d", "3d"])
def test_bars_of_hours_and_days(name: str, interval: str) -> None:
    """With weekends, and few slots a day: forecasts are calibrated, and blind to what follows."""
    step, rows, fitted = step_ms(interval), 1400, 1000
    market = StochasticVolatility(memory=0.95, noise=0.3, weekend=0.3 if step <= DAY else 1.0, bar_ms=step)
    frame = market.candles(rows, seed=9)
    task, origins = Task(interval, lookback=1, horizon=5, quantile_levels=LEVELS), np.arange(fitted, rows - 5)
    end, last = int(frame["timestamp"][fitted]), int(frame["timestamp"][1200])
    one, two = (
        forecasts(name, [SymbolSeries(bars, bars, origins)], end, task=task)[0]
        for bars in (Bars.of(candles, step) for candles in (frame, poisoned(frame, last)))
    )
    assert one[origins <= 1200].tobytes() == two[origins <= 1200].tobytes()
    realised = Bars.of(frame, step).paths(origins, 5)
    assert covered(realised, one[..., 0], one[..., 4]).mean() == pytest.approx(0.9, abs=0.07)


RULE: dict[str, Any] = {
    "task": Task("1m", lookback=20, horizon=HORIZON, quantile_levels=LEVELS),
    "scheme": FoldScheme(count=2, test_bars=120, embargo=HORIZON, validation_fraction=0.2),
    "stride": 5,
    "settings": BaselineSettings(ewma_halflife=30, drift_halflife=60, refit_bars=None),
}


def run(
    folder: Path,
    fitted: dict[str, pd.DataFrame],
    live: dict[str, pd.DataFrame] | None = None,
    later: bool = True,
    fold: str = "1",
    **changed: Any,
) -> dict[str, dict[str, str]]:
    """The files that the rule writes of these candles, by kind and member. later: the candles of the fold's cutoff
    continue those of training; else they are the whole history."""
    frames = live or fitted
    trained = write_symbols(folder / "train", fitted)
    now = write_symbols(folder / "live", frames) if live else trained
    ends = [max(int(f["timestamp"].iloc[-1]) for f in given.values()) + MINUTE for given in (frames, fitted)]
    written = {
        kind: {name: str(folder / kind / f"{name}.parquet") for name in BASELINES} for kind in ("output", "validation")
    }
    files = FoldFiles(
        fold=fold,
        features=now["features"],
        train_features=trained["features"],
        candles=trained["candles"] if later else now["candles"],
        live_candles=now["candles"] if live and later else [],
        cutoff=write_cutoff(folder, ends[0]),
        train_cutoff=write_cutoff(folder, ends[1]),
    )
    predict_baselines(written["output"], written["validation"], files, **RULE | changed)
    return written


def assert_same_table(one: str, two: str) -> None:
    """The same forecasts to the last bit; beside them the files say what they were made of."""
    pd.testing.assert_frame_equal(pd.read_parquet(one), pd.read_parquet(two), check_exact=True)


def test_the_rule_s_files_are_blind_to_the_test_span_of_later_folds(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    end = int(frames[0]["timestamp"].iloc[-1]) - 120 * MINUTE
    files = [
        run(tmp_path / name, {"A": given[0], "B": given[1]}, fold="0")
        for name, given in (("clean", frames), ("spoilt", [poisoned(frame, end) for frame in frames]))
    ]
    for name in BASELINES:
        one, two = (Path(written["output"][name]).read_bytes() for written in files)
        assert one == two, name
        assert_same_table(*(written["validation"][name] for written in files))
    test = read_forecasts(files[0]["output"]["lightgbm"], HORIZON, LEVELS)
    past = read_forecasts(files[0]["validation"]["lightgbm"], HORIZON, LEVELS)
    # validation ends before the embargo, and the test starts after it
    assert past.origin.max() + 2 * HORIZON * MINUTE < test.origin.min() + MINUTE
    assert test.origin.max() + HORIZON * MINUTE <= end
    for forecasts in (test, past):
        for name, rows in forecasts.rows().items():
            closes = frames["AB".index(name)].set_index("timestamp")["close"]
            np.testing.assert_allclose(forecasts.close[rows], closes[forecasts.origin[rows]], rtol=1e-11)


def test_the_rule_refits_in_the_test_span_alone(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    market = {"A": frames[0], "B": frames[1]}
    settings = replace(RULE["settings"], refit_bars=40)
    never, refit_often = (run(tmp_path / "never", market), run(tmp_path / "often", market, settings=settings))
    for name in BASELINES:
        assert_same_table(never["validation"][name], refit_often["validation"][name])
        before, after = (read_forecasts(written["output"][name], HORIZON, LEVELS) for written in (never, refit_often))
        block = (before.origin - before.origin.min()) // (40 * MINUTE)
        np.testing.assert_array_equal(before.quantiles[block == 0], after.quantiles[block == 0])
        same = np.allclose(before.quantiles[block > 0], after.quantiles[block > 0], rtol=1e-6, atol=0)
        if name in (*FITTED_ON_ALL, *NEARLY_UNFITTED):
            assert same == (name in NEARLY_UNFITTED), name


def test_validation_origins_are_thinned_evenly_at_the_same_moments(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    market = {"A": frames[0], "B": frames[1]}
    all_of_them = run(tmp_path / "all", market)
    few = run(tmp_path / "few", market, scheme=replace(RULE["scheme"], validation_origins=20))
    for name in ("lhar_fhs", "lightgbm"):
        assert Path(all_of_them["output"][name]).read_bytes() == Path(few["output"][name]).read_bytes()
        every, thinned = (
            read_forecasts(written["validation"][name], HORIZON, LEVELS) for written in (all_of_them, few)
        )
        assert len(every.origin) > 40
        assert 10 <= len(thinned.origin) <= 20
        (spacing,) = set(np.diff(np.unique(thinned.origin)))
        assert spacing % (RULE["stride"] * MINUTE) == 0
        rows = thinned.rows()
        np.testing.assert_array_equal(thinned.origin[rows["A"]], thinned.origin[rows["B"]])
        same = np.isin(every.origin, thinned.origin)
        np.testing.assert_array_equal(every.quantiles[same], thinned.quantiles)
        assert every.quantiles.dtype == np.float32


def test_live_candles_continue_those_of_training(frames: list[pd.DataFrame], tmp_path: Path) -> None:
    """Training candles continued by the live ones give the forecasts of one long history."""
    fitted = {name: frame[frame["timestamp"] < fitted_end(frames)] for name, frame in zip("AB", frames, strict=True)}
    # they overlap, by what warms the first features since training up
    recent = {name: frame.iloc[600:].reset_index(drop=True) for name, frame in zip("AB", frames, strict=True)}
    whole = dict(zip("AB", frames, strict=True))
    joined = run(tmp_path / "joined", fitted, recent, fold="live")
    long = run(tmp_path / "long", fitted, whole, later=False, fold="live")
    for kind in ("output", "validation"):
        for name in BASELINES:
            one, two = (read_forecasts(written[kind][name], HORIZON, LEVELS) for written in (joined, long))
            np.testing.assert_array_equal(one.origin, two.origin)
            np.testing.assert_allclose(one.quantiles, two.quantiles, rtol=1e-12, atol=0, err_msg=name)
    live = read_forecasts(joined["output"]["har_fhs"], HORIZON, LEVELS)
    assert [live.origin[rows][-1] for rows in live.rows().values()] == [START + (ROWS - 1) * MINUTE] * 2


def test_a_member_whose_history_is_too_short_is_skipped_and_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 20 windows of 30 bars before the training ends, fewer before its validation
    short = MARKET.candles(880, seed=7)
    task, scheme = replace(RULE["task"], horizon=30), FoldScheme(1, 150, 30, 0.2)
    written = run(tmp_path, {"A": short}, task=task, scheme=scheme, fold="0")
    validated, tested = capsys.readouterr().err.splitlines()
    rows = {
        kind: {name: len(read_forecasts(path, 30, LEVELS).origin) for name, path in paths.items()}
        for kind, paths in written.items()
    }
    skipped = {"garch_fhs", "har_fhs", "lhar_fhs", "drift", "lightgbm"}
    assert {name for name, count in rows["validation"].items() if not count} == skipped
    assert {name for name, count in rows["output"].items() if not count} == set()
    for name in skipped:
        assert f"{name} skipped (insufficient history: " in validated
    assert "non-overlapping windows of 30 bars, 20 needed)" in validated
    assert "skipped" not in tested


def test_a_history_too_short_for_the_random_walk_is_refused_in_one_line(
    frames: list[pd.DataFrame], tmp_path: Path
) -> None:
    young = frames[0].iloc[FITTED - HORIZON :].reset_index(drop=True)
    fitted = {"A": frames[0].iloc[:FITTED], "B": young.iloc[:HORIZON]}
    message = (
        r"^insufficient history before \S+Z: 0 non-overlapping windows of 6 bars, 1 needed; "
        r"increase days, or use fewer or shorter folds$"
    )
    with pytest.raises(UserError, match=message):
        run(tmp_path, fitted, {"A": frames[0], "B": young}, fold="live")
