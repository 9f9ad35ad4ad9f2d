"""Sample paths by the real stages: live ones and their file, scores of the test origins, docs, figure, wrong input."""

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from common.errors import UserError
from common.files import read_document, read_json, write_json, write_parquet
from forecasting.folds import FoldScheme
from forecasting.members import ENSEMBLE
from forecasting.paths.distribution import read_paths
from forecasting.paths.documents import PathScores
from forecasting.quantiles import forecast_table
from forecasting.task import Task
from market.intervals import DAY, MINUTE
from plot_paths import plot_paths
from sample_paths import live_paths
from score_paths import score_all
from support.markets import START, candles, poisoned
from support.pictures import has_badge
from support.workflow import ROOT

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
HORIZON, ROWS, STRIDE = 12, 4 * 1440, 12
TASK = Task("1m", lookback=24, horizon=HORIZON, quantile_levels=LEVELS)
SCHEME = FoldScheme(count=2, test_bars=720, embargo=HORIZON, validation_fraction=0.2)
AS_OF = START + ROWS * MINUTE
COUNT, SEED = 200, 3


@dataclass
class Run:
    """Candles of two symbols that move alike, and the ensemble's forecasts of their true width."""

    folder: Path

    def __post_init__(self) -> None:
        times = START + MINUTE * np.arange(ROWS + HORIZON)
        shocks = np.random.default_rng(2).standard_normal(ROWS + HORIZON)
        volatility = 1e-3 * np.exp(lfilter([0.05], [1, -0.99], shocks))
        frames = {name: candles(times, volatility, seed) for seed, name in enumerate(("BTCUSDT", "ETHUSDT"))}
        # half of the second symbol's moves are the first's
        mixed = (frames["BTCUSDT"]["close"] * frames["ETHUSDT"]["close"]) ** 0.5
        frames["ETHUSDT"] = frames["ETHUSDT"].assign(open=mixed, high=mixed, low=mixed, close=mixed)
        self.volatility, self.frames = volatility, frames
        self.write(frames)
        self.cutoff = self.folder / "as_of/train.json"
        write_json(self.cutoff, {"as_of": AS_OF, "simulated": True})
        for fold in range(SCHEME.count):
            first = ROWS - (SCHEME.count - fold) * SCHEME.test_bars
            self.write_forecasts(str(fold), np.arange(first, first + SCHEME.test_bars - HORIZON, STRIDE))
        self.write_forecasts("live", np.array([ROWS - 1]))

    def write(self, frames: dict[str, pd.DataFrame]) -> None:
        for name, frame in frames.items():
            write_parquet(self.file(f"candles/{name}"), frame.iloc[:ROWS])

    def write_forecasts(self, fold: str, rows: np.ndarray, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")) -> None:
        width = self.volatility[rows, None] * np.sqrt(TASK.steps)
        widths = {"BTCUSDT": 1.0, "ETHUSDT": 0.7}
        quantiles = [widths[name] * width[:, :, None] * NORMAL for name in symbols]
        origins = [START + MINUTE * rows] * len(symbols)
        closes = [self.frames[name]["close"].to_numpy()[rows] for name in symbols]
        table = forecast_table(list(symbols), origins, closes, quantiles, LEVELS)
        write_parquet(self.file(f"forecasts/{fold}/{ENSEMBLE}"), table)

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    @property
    def candles(self) -> list[str]:
        return [str(self.file(f"candles/{name}")) for name in self.frames]

    def score(self, **changed: Any) -> PathScores:
        arguments: dict[str, Any] = {
            "table": self.folder / "path_scores.csv",
            "summary": self.folder / "path_scores.json",
            "forecasts": [str(self.file(f"forecasts/{fold}/{ENSEMBLE}")) for fold in range(SCHEME.count)],
            "candles": self.candles,
            "cutoff": str(self.cutoff),
            "task": TASK,
            "scheme": SCHEME,
            "stride": STRIDE,
            "count": COUNT,
            "seed": SEED,
            "most": 1000,
        }
        score_all(**arguments | changed)
        return read_document(self.folder / "path_scores.json", PathScores)

    def live(self, **changed: Any) -> Path:
        arguments: dict[str, Any] = {
            "output": str(self.folder / "artifacts/forecasts/live/paths.parquet"),
            "forecasts": str(self.file(f"forecasts/live/{ENSEMBLE}")),
            "candles": self.candles,
            "train_cutoff": str(self.cutoff),
            "task": TASK,
            "count": COUNT,
            "seed": SEED,
        }
        live_paths(**arguments | changed)
        return Path(arguments["output"])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_paths_are_of_the_live_origin_alone(run: Run) -> None:
    alone = run.live().read_bytes()
    run.write_forecasts("live", np.array([ROWS - 13, ROWS - 1]))
    assert run.live().read_bytes() == alone


def test_the_live_file_holds_the_forecast_s_marginals_and_says_where_it_starts(run: Run) -> None:
    table = pd.read_parquet(run.live())
    assert list(table.columns) == ["symbol", "origin", "close", "path", "step", "log_return"]
    assert table["log_return"].dtype == np.float32 and len(table) == 2 * COUNT * HORIZON
    assert set(table["origin"]) == {AS_OF - MINUTE}
    closes = table.groupby("symbol")["close"].unique()
    for name, frame in run.frames.items():
        assert closes[name] == pytest.approx(frame["close"][ROWS - 1], rel=1e-10)
        width = run.volatility[ROWS - 1] * np.sqrt(HORIZON) * {"BTCUSDT": 1.0, "ETHUSDT": 0.7}[name]
        paths = read_paths(run.live())[name]
        assert paths.paths.shape == (HORIZON, COUNT)
        assert paths.quantile(0.75) == pytest.approx(width * NORMAL[3], rel=0.03)
    last = table[table["step"] == HORIZON].pivot(index="path", columns="symbol", values="log_return")
    assert last.corr(method="spearman").iloc[0, 1] == pytest.approx(0.69, abs=0.12)


def test_the_same_run_gives_the_same_bytes_and_another_seed_does_not(run: Run) -> None:
    first = run.live().read_bytes()
    assert run.live(candles=run.candles[::-1]).read_bytes() == first
    assert run.live(seed=4).read_bytes() != first
    run.score()
    names = ["path_scores.csv", "path_scores.json"]
    scores = [(run.folder / name).read_bytes() for name in names]
    run.score(candles=run.candles[::-1])
    assert [(run.folder / name).read_bytes() for name in names] == scores


def test_candles_after_training_do_not_change_live_paths(run: Run) -> None:
    """Of candles beyond the training cutoff none counts."""
    earlier = AS_OF - 300 * MINUTE
    write_json(run.cutoff, {"as_of": earlier, "simulated": True})
    first = read_paths(run.live())
    later = {name: poisoned(frame.iloc[:ROWS], earlier) for name, frame in run.frames.items()}
    run.write(later)
    second = read_paths(run.live())
    for name, paths in first.items():
        np.testing.assert_array_equal(paths.paths, second[name].paths)


def test_candles_after_an_origin_do_not_change_its_paths(run: Run) -> None:
    """What is realised later enters the scores alone: probabilities and losses of the first origin stay."""
    whole = run.score(most=1)
    spoilt = {
        name: poisoned(frame.iloc[:ROWS], AS_OF - (SCHEME.test_bars - HORIZON) * MINUTE)
        for name, frame in run.frames.items()
    }
    run.write(spoilt)
    changed = run.score(most=1)
    assert whole["origin_times"] == changed["origin_times"] == 2
    for method, losses in whole["losses"]["energy"].items():
        assert changed["losses"]["energy"][method] == losses, method


def test_scores_of_the_test_origins(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    document = run.score()
    assert document["origin_times"] == 2 * 59 and document["stride"] == STRIDE and document["count"] == COUNT
    assert document["simulated"] and document["symbols"] == ["BTCUSDT", "ETHUSDT"]
    methods = [ENSEMBLE, "independent", "gaussian_walk", "correlated_walk", "garch_fhs", "block_bootstrap"]
    assert all(list(losses) == sorted(methods) for losses in document["losses"].values())
    energy, variogram = document["tests"]["energy"], document["tests"]["variogram"]
    assert (energy["independent"]["skill"] or 0) > 0.01 and (energy["independent"]["p_holm"] or 1) < 0.001
    assert (variogram["gaussian_walk"]["skill"] or 0) > 0.02 and (variogram["gaussian_walk"]["p_holm"] or 1) < 0.05
    table = pd.read_csv(run.folder / "path_scores.csv").set_index(["score", "method"])
    assert table.loc[("energy", "independent"), "skill"] == pytest.approx(energy["independent"]["skill"])
    assert sorted(set(table.index.get_level_values("method")[table["skill"].isna()])) == [ENSEMBLE]
    assert len(table) == len(document["losses"]) * len(methods)
    said = capsys.readouterr().err
    assert "independent" in said and "118 origin times, 200 paths" in said


def test_a_grid_of_fewer_origin_times(run: Run) -> None:
    document = run.score(most=20)
    assert document["origin_times"] == 2 * 20 and document["stride"] == 3 * STRIDE


def test_symbols_may_differ_in_their_origins(run: Run) -> None:
    first = ROWS - SCHEME.test_bars
    run.write_forecasts("1", np.arange(first, first + 600, STRIDE), ("ETHUSDT",))
    assert run.score()["origin_times"] == 59 + 50


def test_one_symbol_and_one_step(run: Run) -> None:
    run.write_forecasts("0", np.arange(ROWS - 1440, ROWS - 800, STRIDE), ("BTCUSDT",))
    origins, quantiles = [START + MINUTE * np.arange(5000, 5600, STRIDE)], [np.tile(NORMAL, (50, 1, 1))]
    short = forecast_table(["BTCUSDT"], origins, [np.ones(50)], quantiles, LEVELS)
    path = run.file(f"forecasts/0/{ENSEMBLE}")
    write_parquet(path, short)
    task = Task("1m", lookback=24, horizon=1, quantile_levels=LEVELS)
    document = run.score(forecasts=[str(path)], task=task, count=1)
    assert document["losses"]["variogram"][ENSEMBLE] == 0
    assert document["tests"]["variogram"]["independent"]["skill"] is None


def test_wrong_input_is_one_line(run: Run) -> None:
    late = run.frames["ETHUSDT"].assign(timestamp=run.frames["ETHUSDT"]["timestamp"] + 365 * DAY)
    write_parquet(run.file("candles/ETHUSDT"), late)
    refused("ETHUSDT: its training has 0 windows of 12 bars without a gap", run.live)
    refused("ETHUSDT: has forecasts but no candles", lambda: run.score(candles=run.candles[:1]))
    run.write_forecasts("live", np.array([ROWS - 1]), ("BTCUSDT",))
    run.write(run.frames)
    refused("does not hold the live origin of each symbol", run.live)
    run.write_forecasts("1", np.array([], dtype=int))
    refused(f"1/{ENSEMBLE}.parquet: holds no forecast", run.score)


def refused(message: str, stage: Any) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        stage()
    assert "\n" not in str(caught.value)


def test_the_five_lines_of_the_docs(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run.live()
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/paths.md").read_text(), flags=re.DOTALL)
    monkeypatch.chdir(run.folder)
    answers: dict[str, Any] = {}
    exec(code.replace("step=60", f"step={HORIZON}").replace("step=30", "step=6"), answers)
    paths = read_paths("artifacts/forecasts/live/paths.parquet")["BTCUSDT"]
    assert answers["touched"] == paths.probability_of_touching(0.002, step=6)
    assert answers["shortfall"] == paths.expected_shortfall(0.05)
    assert 0 < answers["stayed"] < 1 and len(answers["drawdowns"]) == COUNT and answers["low"] < 0


def test_the_figure(run: Run) -> None:
    run.live()
    run.score(most=20)
    write_json(run.folder / "live.json", {"as_of": AS_OF, "simulated": True})
    pictures = {kind: str(run.folder / f"paths.{kind}") for kind in ("png", "pdf")}
    arguments: dict[str, Any] = {
        "paths": str(run.folder / "artifacts/forecasts/live/paths.parquet"),
        "candles": run.candles[0],
        "summary": str(run.folder / "path_scores.json"),
        "cutoff": str(run.folder / "live.json"),
        "symbol": "BTCUSDT",
        "interval": "1m",
        "timefmt": "%H:%M",
    }
    plot_paths(**pictures, **arguments)
    first = Path(pictures["png"]).read_bytes()
    assert has_badge(Path(pictures["png"])) and Path(pictures["pdf"]).read_bytes().startswith(b"%PDF-")
    plot_paths(**pictures, **arguments)
    assert Path(pictures["png"]).read_bytes() == first
    # nothing to test, nothing touched
    document = read_json(run.folder / "path_scores.json")
    for tests in document["tests"].values():
        for test in tests.values():
            test |= {"skill": None, "standard_error": None, "p": None, "p_holm": None}
    for tenths in document["touching"].values():
        for tenth in tenths:
            tenth |= {"events": 0, "forecast": None, "observed": None, "standard_error": None}
    write_json(run.folder / "path_scores.json", document)
    plot_paths(**pictures, **arguments)
    assert Path(pictures["png"]).read_bytes() != first
