"""The leak trial: planted leaks are named by member, origin and step, and members without one pass; its report."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import write_parquet
from common.plug_ins import PlugIn
from forecasting.baselines.interface import BaselineSettings
from forecasting.folds import FoldScheme
from forecasting.leaks import Trial, changed, check_passed, find_leak, spread_cuts
from forecasting.members import BASELINES
from forecasting.task import Task
from leak_report import leak_report
from leak_trial import leak_trial
from market.features import compute_features
from market.intervals import MINUTE, iso
from market.plug_in_features import load_features
from support.markets import SPANS, START, StochasticVolatility, write_cutoff, write_symbols
from trial_features import trial_features
from trial_member import trial_member

TASK = Task("1m", lookback=1, horizon=4, quantile_levels=(0.05, 0.25, 0.5, 0.75, 0.95))
SCHEME = FoldScheme(count=2, test_bars=60, embargo=4, validation_fraction=0.1)
STRIDE, CUTS, ROWS = 5, 6, 1500
AS_OF = START + ROWS * MINUTE
FIRST = AS_OF - SCHEME.count * SCHEME.test_bars * MINUTE
LEAKS = """
import time
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.baselines.interface import all_symbols

CALLS = []


def spread(deviation, task):
    normal = np.array([-1.64, -0.67, 0, 0.67, 1.64])
    return deviation[:, None, None] * np.sqrt(task.steps)[:, None] * normal


def squares(series):
    return np.diff(series.bars.log_close, prepend=series.bars.log_close[0]) ** 2


def honest(series, task, settings):
    return spread(np.sqrt(pd.Series(squares(series)).rolling(30).mean().to_numpy()[series.origins]), task)


def centred_window(series, task, settings):
    mean = pd.Series(squares(series)).rolling(31, center=True, min_periods=1).mean()
    return spread(np.sqrt(mean.to_numpy()[series.origins]), task)


def scaler_over_all(series, task, settings):
    return spread(np.full(len(series.origins), np.sqrt(squares(series).mean())), task)


def future_return(series, task, settings):
    ahead = np.minimum(series.origins[:, None] + task.steps, len(series.bars.log_close) - 1)
    path = series.bars.log_close[ahead] - series.bars.log_close[series.origins, None]
    # from the third step on
    path[:, :2] = 0
    return honest(series, task, settings) + 0.01 * path[:, :, None]


def off_by_one(series, task, settings):
    mean = pd.Series(squares(series)).ewm(halflife=20).mean().to_numpy()
    return spread(np.sqrt(mean[series.origins + 1]), task)


def rank_among_origins(series, task, settings):
    # over the origins that are asked for together, later ones too
    quantiles = honest(series, task, settings)
    return quantiles / np.abs(quantiles).max()


@all_symbols
def other_symbol(series, task, settings):
    # the other symbol's next bar
    return [spread(np.sqrt(squares(other)[one.origins + 1] + 1e-8), task) for one, other in zip(series, series[::-1])]


def clock(series, task, settings):
    return honest(series, task, settings) * (1 + time.time_ns() % 1_000_003 * 1e-9)


def changing_file(series, task, settings):
    with Path("{folder}/calls").open("a") as file:
        file.write("one call more")
    return honest(series, task, settings) * (1 + 0.01 * len(Path("{folder}/calls").read_text()))


def reads_features(series, task, settings):
    # the last bars of a history have no feature, and none of these is an origin
    return honest(series, task, settings) * np.exp(series.features[series.origins, :1, None])


def later_feature(segment):
    return np.append(segment.close[1:] / segment.close[:-1] - 1, 0.0)


def scaled_feature(segment):
    return (segment.volume - segment.volume.mean()) / segment.volume.std()


def causal_feature(segment):
    return segment.close / segment.open - 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaks")
    (folder / "leaks.py").write_text(LEAKS.replace("{folder}", str(folder)))
    return folder


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, Any]:
    market = StochasticVolatility(memory=0.98, noise=0.2)
    frames = {symbol: market.candles(ROWS, seed) for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT"), 1)}
    return {**write_symbols(folder, frames), "cutoff": write_cutoff(folder, AS_OF)}


RULE: dict[str, Any] = {"task": TASK, "scheme": SCHEME, "stride": STRIDE, "cuts": CUTS}


def tried(
    member: str, folder: Path, files: dict[str, Any], refit: int | None = None, extra: Sequence[PlugIn] = ()
) -> Trial:
    """The result of a member of the registry, or of the file with leaks."""
    plug_in = None if member in BASELINES else PlugIn(str(folder / "leaks.py"), member)
    settings = BaselineSettings(ewma_halflife=20, drift_halflife=40, refit_bars=refit)
    output = folder / "trials" / f"{member}.json"
    trial_member(str(output), member, plug_in, **files, settings=settings, spans=SPANS, extra=extra, **RULE)
    (trial,) = json.loads(output.read_text())["trials"]
    assert (trial["kind"], trial["name"]) == ("member", member)
    return trial


@pytest.mark.parametrize("member", BASELINES)
def test_our_baselines_pass(member: str, folder: Path, files: dict[str, Any]) -> None:
    assert tried(member, folder, files) == {"kind": "member", "name": member, "cuts": CUTS, "leak": None}


@pytest.mark.parametrize("member", ["ewma_fhs", "lhar_fhs"])
def test_they_pass_where_they_are_refitted(member: str, folder: Path, files: dict[str, Any]) -> None:
    assert tried(member, folder, files, refit=20)["leak"] is None


def test_an_honest_member_passes(folder: Path, files: dict[str, Any]) -> None:
    assert tried("honest", folder, files)["leak"] is None


AFTER = f"where the candles after {iso(FIRST)} do"
VALIDATION = "in validation, where the test candles do"
# validation ends one embargo before the first test span; its origins are five bars apart
TRAIN_END = FIRST - SCHEME.embargo * MINUTE


@pytest.mark.parametrize(
    ("member", "origin", "step", "cause"),
    [
        ("future_return", FIRST, 3, AFTER),
        ("off_by_one", FIRST, 1, AFTER),
        ("other_symbol", FIRST, 1, AFTER),
        # the window reaches 15 bars on: that of the first of three origins at the end sees the first test candle
        ("centred_window", TRAIN_END - 13 * MINUTE, 1, VALIDATION),
        ("scaler_over_all", TRAIN_END - 138 * MINUTE, 1, VALIDATION),
    ],
)
def test_a_planted_leak_is_named_by_origin_and_step(
    member: str, origin: int, step: int, cause: str, folder: Path, files: dict[str, Any]
) -> None:
    """The first cut is at the first test origin, so each is found there, if not in validation before."""
    leak = tried(member, folder, files)["leak"]
    assert leak == {"symbol": "BTCUSDT", "origin_iso": iso(origin), "step": step, "cause": cause}


def test_so_is_one_that_reads_the_other_origins_of_its_call(folder: Path, files: dict[str, Any]) -> None:
    leak = tried("rank_among_origins", folder, files)["leak"]
    assert leak is not None
    assert leak["step"] == 1 and leak["cause"].startswith("where the candles after ")


@pytest.mark.parametrize("member", ["clock", "changing_file"])
def test_a_clock_and_a_changing_file_are_found_by_two_calls(member: str, folder: Path, files: dict[str, Any]) -> None:
    leak = tried(member, folder, files)["leak"]
    assert leak == {"symbol": "BTCUSDT", "origin_iso": iso(FIRST), "step": 1, "cause": "between two calls"}


@pytest.mark.parametrize("member", ["reads_features", "lightgbm"])
@pytest.mark.parametrize("feature", ["causal_feature", "later_feature"])
def test_a_member_that_reads_a_feature_leaks_where_that_does(
    member: str, feature: str, folder: Path, files: dict[str, Any]
) -> None:
    extra = [PlugIn(str(folder / "leaks.py"), feature)]
    own = folder / feature
    paths = [own / Path(path).name for path in files["candles"]]
    for path, candles in zip(paths, files["candles"], strict=True):
        write_parquet(path, compute_features(pd.read_parquet(candles), None, SPANS, MINUTE, load_features(extra)))
    leak = tried(member, folder, {**files, "features": list(map(str, paths))}, extra=extra)["leak"]
    if feature == "causal_feature":
        assert leak is None
    else:
        assert leak is not None and leak["cause"].startswith("where the candles after ")


def test_features_pass_and_planted_leaks_in_features_are_named(folder: Path, files: dict[str, Any]) -> None:
    extra = [PlugIn(str(folder / "leaks.py"), name) for name in ("causal_feature", "later_feature")]
    output = str(folder / "features.json")
    given = {"candles": files["candles"], "cutoff": files["cutoff"], "spans": SPANS, "extra": extra}
    trial_features(output, **given, **RULE)
    trials = {trial["name"]: trial for trial in json.loads(Path(output).read_text())["trials"]}
    assert {"return_1", "volatility_12", "rsi", "others_return", "day_sin", "causal_feature"} <= set(trials)
    assert [name for name, trial in trials.items() if trial["leak"]] == ["later_feature"]
    first = iso(FIRST)
    assert trials["later_feature"] == {
        "kind": "feature",
        "name": "later_feature",
        "cuts": 1,
        "leak": {
            "symbol": "BTCUSDT",
            "origin_iso": first,
            "step": None,
            "cause": f"where the candles after {first} do",
        },
    }
    assert trials["rsi"]["cuts"] == CUTS
    # one over all data is refused before: it uses more bars than the warm-up
    with pytest.raises(UserError, match="it may use the last 280 bars at most"):
        trial_features(output, **given | {"extra": [PlugIn(str(folder / "leaks.py"), "scaled_feature")]}, **RULE)


def test_cuts_are_spread_over_the_test_spans() -> None:
    cuts = spread_cuts(SCHEME, AS_OF, TASK, STRIDE, 50)
    grid = (SCHEME.test_bars - TASK.horizon) // STRIDE + 1
    assert [len(times) for times in cuts.values()] == [grid, grid]
    assert cuts["0"][0] == FIRST
    few = spread_cuts(SCHEME, AS_OF, TASK, STRIDE, 3)
    assert [len(times) for times in few.values()] == [1, 2] and few["1"][-1] == cuts["1"][-1]


def test_every_candle_after_a_cut_is_changed_and_none_before() -> None:
    frame = StochasticVolatility().candles(200, 3)
    cut = int(frame["timestamp"][120])
    other = changed(frame, cut)
    values = ["open", "high", "low", "close", "volume"]
    assert other["timestamp"].equals(frame["timestamp"])
    assert other.iloc[:121].equals(frame.iloc[:121])
    assert (other.loc[121:, values] != frame.loc[121:, values]).all(axis=None)
    assert (other["low"] <= other[["open", "close"]].min(axis=1)).all() and (other[values] > 0).all(axis=None)


def test_a_difference_in_the_last_bit_or_a_missing_row_is_one() -> None:
    times = np.repeat([10, 20], 2)
    one = pd.DataFrame({"symbol": "A", "origin": times, "step": [1, 2, 1, 2], "q0.5": [0.1, 0.2, 0.3, 0.4]})
    assert find_leak(one, one.copy(), 20, "x") is None
    other = one.assign(**{"q0.5": [0.1, 0.2, 0.3, np.nextafter(0.4, 1)]})
    assert find_leak(one, other, 10, "x") is None
    found = find_leak(one, other, 20, "x")
    assert found is not None and (found["step"], found["origin_iso"]) == (2, iso(20))
    missing = find_leak(one, one.iloc[1:], 20, "x")
    assert missing is not None and (missing["step"], missing["origin_iso"]) == (1, iso(10))


def written(path: Path, name: str, leak: bool) -> str:
    found = {"symbol": "BTCUSDT", "origin_iso": "2024-05-31T12:00:00Z", "step": 3, "cause": "between two calls"}
    trial = {"kind": "member", "name": name, "cuts": 50, "leak": found if leak else None}
    path.write_text(json.dumps({"trials": [trial]}))
    return str(path)


LINE = "member mine: leak: its forecast from step 3 on of BTCUSDT at 2024-05-31T12:00:00Z changes between two calls"


def test_the_report_has_a_line_each_and_the_trial_fails_at_a_leak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [written(tmp_path / f"{name}.json", name, name == "mine") for name in ("ewma", "mine")]
    document, passed = tmp_path / "leak_trial.json", tmp_path / "passed.txt"
    leak_report(str(document), str(tmp_path / "leak_trial.txt"), files)
    assert (tmp_path / "leak_trial.txt").read_text().splitlines() == [LINE, "member ewma: passed, 50 cuts"]
    with pytest.raises(UserError, match="^1 of 2 leak: mine; correct them, or select others"):
        leak_trial(str(passed), str(document))
    assert LINE in capsys.readouterr().err and not passed.exists()
    leak_report(str(document), str(tmp_path / "leak_trial.txt"), files[:1])
    leak_trial(str(passed), str(document))
    assert passed.read_text() == "all 1 members and features passed\n"


def test_where_it_is_required_a_leak_refuses_the_plug_in_and_no_other(tmp_path: Path) -> None:
    files = [written(tmp_path / f"{name}.json", name, name == "mine") for name in ("ewma", "mine")]
    check_passed(files, ["ewma", "another"])
    check_passed([], ["mine"])
    with pytest.raises(UserError) as error:
        check_passed(files, ["mine"])
    assert str(error.value) == f"{LINE}; it is refused, since leak_trial.required is true"
