"""benchmarks/power.py: its sums, bands and settlement; a small market as a whole; what is kept is not made again."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.files import read_json, write_csv
from common.job import quiet
from dag.settings import resolve_all
from forecasting.baselines.har import Season
from forecasting.folds import Fold
from forecasting.paths.history import History
from forecasting.quantiles import Forecasts
from forecasting.task import Task
from market.intervals import MINUTE
from support.decisions import FREE, decided_on, path_to
from support.workflow import ROOT
from trading.documents import plan_of

SCRIPT = ROOT / "benchmarks/power.py"


@pytest.fixture(scope="module")
def power() -> ModuleType:
    spec = spec_from_file_location("power", SCRIPT)
    assert spec and spec.loader
    module = module_from_spec(spec)
    sys.modules["power"] = module
    spec.loader.exec_module(module)
    return module


def decisions(trend: float, seed: int, net: dict[str, list[float]], held: int = 2) -> pd.DataFrame:
    """A market's table: of each trader BUYs that left `net` [n], and so many HOLDs whose plan would have won 9 %."""
    rows: list[dict[str, Any]] = []
    for trader, profits in net.items():
        for place, profit in enumerate([*profits, *[9.0] * held]):
            bought = place < len(profits)
            row = {"trend": trend, "seed": seed, "trader": trader, "symbol": "BTCUSDT", "origin": str(place)}
            row |= {"bought": bought, "qualifies": True, "levels": False, "exit_step": 60, "median_pct": 0.4}
            row |= {"expected_pct": 0.2, "probability": 0.6, "true_expected_pct": 0.1, "true_probability": 0.5}
            rows.append(row | {"gross_pct": profit + 0.24, "net_pct": profit})
    return pd.DataFrame(rows)


def figure(table: pd.DataFrame, trader: str, name: str, trend: float) -> tuple[float, ...]:
    """A figure with its band."""
    row = table[(table["trader"] == trader) & (table["figure"] == name) & (table["trend"] == trend)]
    return tuple(row[["value", "low", "high"]].to_numpy()[0]) if len(row) else ()


def test_figures_are_sums_over_all_markets(power: ModuleType) -> None:
    nets = [[1.0, -0.5], [0.5], []]
    rows = pd.concat(
        decisions(0.2, seed, {power.OURS: net, power.ORACLE: [1.0, 1.0]}) for seed, net in enumerate(nets, start=1)
    )
    table = power.summary(rows)

    assert figure(table, power.OURS, power.BUYS, 0.2)[0] == pytest.approx(100 * 3 / 9)
    assert figure(table, power.OURS, "profit after costs, % a BUY", 0.2)[0] == pytest.approx(1 / 3)
    assert figure(table, power.OURS, "profit before costs, % a BUY", 0.2)[0] == pytest.approx(1 / 3 + 0.24)
    assert figure(table, power.OURS, "won, % of BUYs", 0.2)[0] == pytest.approx(100 * 2 / 3)
    assert figure(table, power.OURS, "stated probability, %", 0.2) == pytest.approx((60, 60, 60))
    assert figure(table, power.OURS, power.PROFIT, 0.2)[0] == pytest.approx(100 / 9)
    value, low, high = figure(table, power.OURS, power.SHARE, 0.2)
    assert value == pytest.approx(100 / 6) and 0 <= low < value < high <= 100
    # what a HOLD's plan was to leave in truth, two in each market, counts where the gate is left out alone
    assert figure(table, power.OURS, power.TRUE_SHARE, 0.2)[0] == pytest.approx(100 * 3 / 6)
    assert figure(table, power.OURS, "the same but for the skill gate, %", 0.2)[0] == pytest.approx(100 * 9 / 6)


def test_no_share_is_told_where_the_oracle_trader_does_not_earn(power: ModuleType) -> None:
    markets = [
        decisions(trend, seed, {power.OURS: [0.3], power.ORACLE: [profit]})
        for trend, profits in ((0.02, (0.4, -0.5, 0.2)), (0.2, (0.4, 0.5, 0.2)))
        for seed, profit in enumerate(profits)
    ]
    table = power.summary(pd.concat(markets))

    assert not figure(table, power.OURS, power.SHARE, 0.02)
    assert figure(table, power.OURS, power.SHARE, 0.2)
    assert "-" in power.as_text(table)


def test_a_band_is_over_markets_not_over_what_is_correlated_within_them(power: ModuleType) -> None:
    random = np.random.default_rng(3)
    markets = random.standard_normal(40)
    few, many = (power.ratio(count * markets, np.full(40, float(count))) for count in (1, 100))
    assert few == pytest.approx(many)
    assert few.low < few.value < few.high
    # the width of a mean's 95 % interval
    assert few.high - few.low == pytest.approx(2 * 1.96 * markets.std() / np.sqrt(40), rel=0.1)
    assert np.isnan(power.ratio(np.zeros(3), np.zeros(3)).value)


@pytest.mark.parametrize(
    ("closes", "price"),
    [
        ([100.5, 101.0, 100.2], 100.2),
        ([100.5, 103.0, 99.0], 102.0),
        ([98.5, 97.0, 105.0], 97.0),
    ],
)
def test_a_plan_is_settled_at_its_exit_its_take_profit_or_below_its_stop(
    power: ModuleType, closes: list[float], price: float
) -> None:
    plan = {"exit_step": 3, "take_profit_price": 102.0, "stop_price": 98.0}
    assert power.settled(plan, np.array(closes), 100.0).price == price
    bare = {"exit_step": 2, "take_profit_price": None, "stop_price": None}
    assert power.settled(bare, np.array(closes), 100.0).price == closes[1]


def test_an_outcome_holds_what_was_decided_what_it_left_and_what_is_true(power: ModuleType) -> None:
    config = {**FREE, "commission_pct": 0.1}
    decided, _ = decided_on(path_to(101, 102, 103), commission_pct=0.1, take_profit=[], stop=[])
    truth = power.Marginals([0.05, 0.25, 0.5, 0.75, 0.95], path_to(100, spread=0.005))
    found = power.outcome(decided, np.array([100.0, 101.0, 99.0]), truth, config)

    assert found["bought"] and found["qualifies"] and not found["levels"] and found["exit_step"] == 3
    assert found["expected_pct"] == plan_of(decided)["expected_return_pct"]
    assert found["gross_pct"] == pytest.approx(-1)
    assert found["net_pct"] == pytest.approx(100 * (0.99 * 0.999 / 1.001 - 1), abs=1e-6)
    # a forecast of no change loses the costs, but for half its variance
    assert found["true_expected_pct"] == pytest.approx(-0.2, abs=0.02)
    assert 0.2 < found["true_probability"] < 0.5


def test_decisions_are_a_horizon_apart_and_their_paths_joint(power: ModuleType) -> None:
    task = Task("1m", 1, 2, [0.05, 0.5, 0.95])
    start = 1_717_200_000_000
    origins = np.tile(start + MINUTE * np.arange(5), 2)
    symbols = np.repeat(np.array(["BTC", "ETH"], dtype=object), 5)
    forecasts = Forecasts(symbols, origins, np.ones(10), np.tile([-0.02, 0, 0.02], (10, 2, 1)), 0)
    moves = np.random.default_rng(1).standard_normal((1, 500, 2)).astype(np.float32)
    season = Season(np.ones(96), np.ones(7))
    history = History(["BTC", "ETH"], [season, season], np.tile(moves, (2, 1, 1)), np.tile(moves, (2, 1, 1)))
    span = Fold("0", start - 10 * MINUTE, start, start + 7 * MINUTE)
    found = list(power.apart(forecasts, span, history, task, {"count": 300, "seed": 1}))

    assert [row for row, _ in found] == [0, 5, 2, 7, 4, 9]
    paths = {row: one for row, one in found}
    assert paths[0].shape == (2, 300)
    # symbols that always moved alike have the same paths
    np.testing.assert_allclose(paths[0], paths[5])
    assert not np.allclose(paths[0], paths[2])


@pytest.fixture(scope="module")
def run(power: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small market: five days, folds of one day, few members."""
    folder = tmp_path_factory.mktemp("market")
    config = power.config_of(0.2, 1, folder) | {"days": 5, "members": ["random_walk", "har_fhs", "lhar_fhs", "drift"]}
    config["folds"]["test_bars"] = 1440
    config["sample_paths"]["count"] = 100
    made = power.Run(resolve_all(config).runs[""], folder)
    with quiet():
        made.prepare()
    return made


def test_a_market_is_decided_on_by_both_traders_at_the_same_origins(power: ModuleType, run: Any) -> None:
    with quiet():
        rows = run.decisions(1)
    ours, truth = (rows[rows["trader"] == trader] for trader in (power.OURS, power.ORACLE))

    assert list(ours["origin"]) == list(truth["origin"]) and list(ours["symbol"]) == list(truth["symbol"])
    assert set(np.diff(pd.to_datetime(ours["origin"].unique()))) == {np.timedelta64(1, "h")}
    # the skill gate saw the fold before alone
    assert [fold["fold"] for fold in read_json(run.folder / "evaluation.json")["folds"]] == ["0"]
    # who knows the distribution expects what is true, but for the levels and half the variance
    bare = truth[~truth["levels"]]
    assert (bare["true_expected_pct"] - bare["expected_pct"]).abs().max() < 0.05
    np.testing.assert_allclose(bare["true_probability"], bare["probability"], atol=1e-9)
    assert (rows["gross_pct"] - rows["net_pct"]).between(0.2, 0.3).all()


def test_tables_that_are_kept_are_not_made_again(power: ModuleType, tmp_path: Path) -> None:
    for trend in (0.0, 0.2):
        for seed in (1, 2):
            net = {power.OURS: [0.2] * round(10 * trend), power.ORACLE: [0.3] * round(10 * trend)}
            write_csv(tmp_path / f"{trend:g}-{seed}.csv", decisions(trend, seed, net))
    command = [sys.executable, str(SCRIPT), "--seeds", "2", "--trends", "0", "0.2", "--keep", str(tmp_path)]
    done = subprocess.run([*command, "--figure", str(tmp_path / "a.png")], capture_output=True, text=True, timeout=300)

    assert done.returncode == 0 and not done.stderr
    assert "66.7 (66.7 … 66.7)" in done.stdout
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    (tmp_path / "power.yaml").write_text("days: 1\n")
    refused = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert refused.returncode and refused.stderr.count("\n") == 1 and "other settings" in refused.stderr
