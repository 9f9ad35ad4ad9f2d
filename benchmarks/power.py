"""What can be earned where a direction can be forecast: the whole pipeline on many simulated markets.

    python benchmarks/power.py [--cores 2] [--seeds 30] [--trends 0 0.02 0.05 0.1 0.2] [--keep FOLDER] [--figure FILE]

For each `exchange.trend` and seed: a market of 36 days of minutes, two folds of six days, every member of the default
config but the TFT. In the second fold, at origins a horizon apart, it is decided as the live decision is
(`trading.decision.decide`); the skill gate sees the evaluation of the first fold alone. Beside it a trader decides by
the same policy on the oracle's true distribution, without gates. Trades are settled as the audit does.

Bands are over seeds, whose markets are independent: a market is one observation, whatever is correlated within it.
--keep holds a table a market; those that are there are not made again, so an interrupted run goes on. A market takes
some 20 s of CPU time.
"""

import argparse
import os
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

# a market a core
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from as_of import as_of  # noqa: E402
from common.files import read_csv, read_document, read_json, write_atomic, write_csv, write_text  # noqa: E402
from common.job import quiet  # noqa: E402
from dag.settings import Settings, parse, resolve_all  # noqa: E402
from ensemble import ensemble  # noqa: E402
from evaluate import evaluate  # noqa: E402
from fetch_candles import fetch_candles  # noqa: E402
from forecasting.bars import read_bars  # noqa: E402
from forecasting.baselines.interface import BaselineSettings  # noqa: E402
from forecasting.documents import Evaluation  # noqa: E402
from forecasting.evaluation.utility import Investor  # noqa: E402
from forecasting.folds import Fold, FoldScheme  # noqa: E402
from forecasting.members import ENSEMBLE, ORACLE, RANDOM_WALK, TFT  # noqa: E402
from forecasting.paths.history import History, read_history  # noqa: E402
from forecasting.paths.sampling import paths_from  # noqa: E402
from forecasting.quantiles import Forecasts, read_forecasts  # noqa: E402
from forecasting.split import FoldFiles  # noqa: E402
from forecasting.task import Task  # noqa: E402
from make_features import make_features  # noqa: E402
from market.candles import read_candles  # noqa: E402
from market.intervals import DAY, iso, step_ms  # noqa: E402
from market.symbols import slug  # noqa: E402
from plotting.style import BLUE, GREY, ORANGE, new_figure  # noqa: E402
from predict_baselines import predict_baselines  # noqa: E402
from predict_oracle import predict_oracle  # noqa: E402
from trading.costs import costs_of  # noqa: E402
from trading.decision import decide  # noqa: E402
from trading.documents import BUY, EDGE, PROBABILITY, Decided, PlanFigures, TradeConfig, plan_of  # noqa: E402
from trading.entry import EnsembleForecast, Entry, MemberForecast  # noqa: E402
from trading.gates import skill_gate  # noqa: E402
from trading.orders import UNLIMITED  # noqa: E402
from trading.outlook import Marginals  # noqa: E402
from trading.plans import Plans  # noqa: E402
from trading.settlement import closes_from  # noqa: E402
from trading.trade_settlement import Sale, sales  # noqa: E402

TRENDS = (0.0, 0.02, 0.05, 0.1, 0.2)
DAYS, FOLDS, TEST_DAYS = 36, 2, 6
DATA_END = "2021-02-07T00:00:00Z"
OURS = "pipeline"
TRADERS = {OURS: "pipeline", ORACLE: "oracle trader"}
BUYS, UNGATED_BUYS = "BUYs, % of decisions", "BUYs but for the skill gate, %"
PROFIT = "profit after costs, % of the cash in 100 decisions"
TRUE_PROFIT = "the same by true expectations"
SHARE, TRUE_SHARE = "share of the oracle trader's profit, %", "share by true expectations, %"
BAND, RESAMPLES = 0.95, 9999


def main() -> None:
    """Measure what is not kept yet, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trends", type=float, nargs="+", default=list(TRENDS))
    parser.add_argument("--seeds", type=int, default=30, help="markets a trend, of the seeds 1, 2, …")
    parser.add_argument("--cores", type=int, default=2, help="markets at a time")
    parser.add_argument("--keep", type=Path, help="folder of the tables; none: a temporary one")
    parser.add_argument("--figure", type=Path, help="PNG to draw")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        files = measured(folder, given.trends, given.seeds, given.cores)
        rows = pd.concat([read_csv(path) for path in files], ignore_index=True)
    table = summary(rows)
    of_each = rows.groupby(["trend", "trader"]).size()
    print(f"{given.seeds} markets a trend, {of_each.min()} decisions of each trader on them\n{as_text(table)}")
    if given.figure:
        draw(table, given.figure)


def measured(folder: Path, trends: Sequence[float], seeds: int, cores: int) -> list[Path]:
    """The tables of all markets, <trend>-<seed>.csv, made in parallel where they are not in the folder yet."""
    check_kept(folder, config_of(0.0, 1, folder))
    markets = [(trend, seed) for seed in range(1, seeds + 1) for trend in trends]
    files = {one: folder / f"{one[0]:g}-{one[1]}.csv" for one in markets}
    began = time.monotonic()
    with ProcessPoolExecutor(cores) as pool:
        waiting = [pool.submit(market, *one, file) for one, file in files.items() if not file.is_file()]
        for done, future in enumerate(as_completed(waiting), start=1):
            said = f"{done} of {len(waiting)} markets, {time.monotonic() - began:.0f} s: {future.result()}"
            print(said, file=sys.stderr, flush=True)
    return list(files.values())


def check_kept(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a folder whose tables were made with other settings; else note them in it."""
    noted, path = yaml.safe_dump({**config, "paths": None}), folder / "power.yaml"
    if path.is_file() and path.read_text() != noted:
        raise SystemExit(f"power.py: {folder}: holds tables of other settings; give another folder, or delete it")
    write_text(path, noted)


def config_of(trend: float, seed: int, folder: Path) -> dict[str, Any]:
    """The config of one market: the default one without the TFT, with other folds and half as many origins."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["exchange"] |= {"trend": trend, "seed": seed, "data_end": DATA_END}
    config["members"] = [name for name in config["members"] if name != TFT]
    config["days"] = DAYS
    bars = TEST_DAYS * DAY // step_ms(config["interval"])
    config["folds"] |= {"count": FOLDS, "test_bars": bars, "stride": config["horizon"] // 2}
    config["paths"] = {name: str(folder / name) for name in ("data", "artifacts", "logs", "store")}
    return parse(config).model_dump()


def market(trend: float, seed: int, output: Path) -> str:
    """Write all decisions on one market, with what they left (CSV). Returns a line that says what was bought."""
    with tempfile.TemporaryDirectory() as scratch, quiet():
        run = Run(resolve_all(config_of(trend, seed, Path(scratch))).runs[""], Path(scratch))
        run.prepare()
        rows = run.decisions(FOLDS - 1)
    rows.insert(0, "trend", trend)
    rows.insert(1, "seed", seed)
    write_csv(output, rows)
    bought = rows[rows["bought"]].groupby("trader")["net_pct"].agg(["size", "sum"])
    counts = [f"{name} {row['size']:.0f} BUYs, {row['sum']:+.2f} %" for name, row in bought.iterrows()]
    return f"trend {trend:g}, seed {seed}: {', '.join(counts) or 'no BUY'}"


@dataclass(frozen=True)
class Run:
    """One market's run in a folder: the workflow's stages, called in their order, and decisions at test origins."""

    settings: Settings
    folder: Path

    @cached_property
    def task(self) -> Task:
        keys = ("interval", "lookback", "horizon", "quantiles")
        return Task(*(self.settings[key] for key in keys))

    @cached_property
    def scheme(self) -> FoldScheme:
        return FoldScheme(**{key: value for key, value in self.settings["folds"].items() if key != "stride"})

    @property
    def symbols(self) -> list[str]:
        return sorted(map(slug, self.settings["symbols"]))

    @property
    def cutoff(self) -> str:
        return str(self.folder / "as_of.json")

    def files(self, kind: str) -> list[str]:
        """A file a symbol."""
        return [str(self.folder / kind / f"{symbol}.parquet") for symbol in self.symbols]

    def forecast(self, fold: int, member: str, part: str = "") -> str:
        """The file of a member's forecasts of a fold."""
        return str(self.folder / "forecasts" / str(fold) / part / f"{member}.parquet")

    def prepare(self) -> None:
        """Cutoff, candles, features, and all folds' forecasts."""
        settings, task, exchange = self.settings, self.task, self.settings["exchange"]
        as_of(self.cutoff, exchange, settings["symbols"], task.interval, task.horizon, settings["as_of"], None)
        for symbol, path in zip(sorted(settings["symbols"], key=slug), self.files("candles"), strict=True):
            fetch_candles(
                output=path,
                quality_output=path.replace(".parquet", ".quality.json"),
                cutoff=self.cutoff,
                exchange_settings=exchange,
                store=settings["paths"]["store"],
                symbol=symbol,
                interval=task.interval,
                bars=settings["history_bars"]["train"],
                candles_settings=settings["candles"],
            )
        make_features(self.files("features"), self.files("candles"), settings["features"]["spans"], task.interval)
        for fold in range(FOLDS):
            self.predict(fold)

    def predict(self, fold: int) -> None:
        """The forecasts of the members, of their ensemble and of the oracle."""
        settings, task, candles, members = self.settings, self.task, self.files("candles"), self.settings["members"]
        tested = {name: self.forecast(fold, name) for name in members}
        validated = {name: self.forecast(fold, name, "validation") for name in members}
        features = self.files("features")
        predict_baselines(
            output=tested,
            validation=validated,
            files=FoldFiles(str(fold), features, features, candles, [], self.cutoff, self.cutoff),
            task=task,
            scheme=self.scheme,
            stride=settings["folds"]["stride"],
            settings=BaselineSettings(**settings["baselines"]),
        )
        ensemble(
            output=self.forecast(fold, ENSEMBLE),
            shares=str(Path(self.forecast(fold, ENSEMBLE)).with_name("weights.csv")),
            weights=str(Path(self.forecast(fold, ENSEMBLE)).with_name("weights.json")),
            forecasts=list(tested.values()),
            validation=list(validated.values()),
            candles=candles,
            live_candles=[],
            task=task,
            settings=settings["ensemble"],
            calibration=settings["calibration"],
        )
        predict_oracle(
            output=self.forecast(fold, ORACLE),
            reference=tested[RANDOM_WALK],
            candles=candles,
            cutoff=self.cutoff,
            fold=str(fold),
            exchange=settings["exchange"],
            task=task,
            scheme=self.scheme,
        )

    def evaluation(self, folds: int) -> Evaluation:
        """The evaluation of the first folds alone: what is known as the next one begins."""
        summary, names = str(self.folder / "evaluation.json"), [*self.settings["members"], ENSEMBLE]
        ensembles = [self.forecast(fold, ENSEMBLE) for fold in range(folds)]
        evaluate(
            table=str(self.folder / "evaluation.csv"),
            steps=str(self.folder / "evaluation_steps.csv"),
            leaderboard=str(self.folder / "evaluation_pooled.csv"),
            summary=summary,
            forecasts=[self.forecast(fold, name) for fold in range(folds) for name in names],
            weights=[str(Path(path).with_name("weights.json")) for path in ensembles],
            candles=self.files("candles"),
            cutoff=self.cutoff,
            exchange=self.settings["exchange"]["id"],
            symbols=self.symbols,
            task=self.task,
            scheme=self.scheme,
            stride=self.settings["folds"]["stride"],
            investor=Investor(**self.settings["evaluation"]),
        )
        return read_document(summary, Evaluation)

    def decisions(self, fold: int) -> pd.DataFrame:
        """Both traders' decisions at the fold's test origins, a horizon apart, a row each."""
        task, known = self.task, self.evaluation(fold)
        span = self.scheme.fold(str(fold), read_json(self.cutoff)["as_of"], task.bar_ms)
        history, _ = read_bars(self.files("candles"), [], task.interval)
        past = read_history(
            {name: one.before(span.train_end) for name, one in zip(self.symbols, history, strict=True)}, task.horizon
        )
        candles = {
            name: read_candles(path, task.interval)
            for name, path in zip(self.symbols, self.files("candles"), strict=True)
        }
        told, true = (
            read_forecasts(self.forecast(fold, name), task.horizon, task.quantile_levels) for name in (ENSEMBLE, ORACLE)
        )
        rows = []
        for trader, forecasts in ((OURS, told), (ORACLE, true)):
            gates = [skill_gate(known)] if trader == OURS else []
            for row, paths in apart(forecasts, span, past, task, self.settings["sample_paths"]):
                symbol, origin = str(forecasts.symbol[row]), int(forecasts.origin[row])
                config = self.trade_config(symbol, [gate.name for gate in gates])
                quantiles = forecasts.quantiles[row]
                entry = entry_at(origin, float(forecasts.close[row]), task)
                decided, _ = decide(
                    EnsembleForecast(task.quantile_levels, quantiles, paths),
                    {trader: MemberForecast(quantiles, 1.0)}, known, entry, config, gates,
                )  # fmt: skip
                closes = closes_from(candles[symbol], origin + task.bar_ms, task.bar_ms, task.horizon)
                step = plan_of(decided)["exit_step"] - 1
                truth = Marginals(task.quantile_levels, true.quantiles[row, [step]])
                what = {"trader": trader, "symbol": symbol, "origin": iso(origin)}
                rows.append(what | outcome(decided, closes, truth, config))
        return pd.DataFrame(rows)

    def trade_config(self, symbol: str, require: list[str]) -> TradeConfig:
        """The settings of a decision that requires these gates."""
        sections = self.settings["consensus"] | self.settings["decision"]
        what = {"symbol": symbol, "interval": self.task.interval, "horizon": self.task.horizon, "require": require}
        return cast(TradeConfig, sections | what)


def apart(
    forecasts: Forecasts, span: Fold, history: History, task: Task, settings: Mapping[str, int]
) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of the origins of a fold that are a horizon apart, from the first on, each with its sample paths
    [horizon, count], which are joint for the symbols of an origin. settings: `count` and `seed` of the paths."""
    length = task.horizon * task.bar_ms
    for origin in np.unique(forecasts.origin[(forecasts.origin - span.test_start) % length == 0]).tolist():
        now = forecasts.at(origin)
        past = history.only([str(symbol) for symbol in now.symbol])
        yield from zip(
            np.flatnonzero(forecasts.origin == origin).tolist(),
            paths_from(now, past, task, settings["count"], settings["seed"]),
            strict=True,
        )


def entry_at(origin: int, close: float, task: Task) -> Entry:
    """The purchase at the close of the bar that opens at `origin` (ms)."""
    times = [iso(origin + (1 + int(step)) * task.bar_ms) for step in task.steps]
    return Entry(iso(origin + task.bar_ms), close, times)


def outcome(decided: Decided, closes: np.ndarray, truth: Marginals, config: TradeConfig) -> dict[str, Any]:
    """What was decided, what its best plan was expected to leave and left, and what it was to leave in truth.

    closes [horizon]: realised. truth: the true distribution at the plan's exit [1]; levels have no part in it.
    """
    plan, entry, costs = plan_of(decided), decided["decision"]["entry_price"], costs_of(config, UNLIMITED)
    passed = {gate["name"]: gate["passed"] for gate in decided["gates"]}
    sale = settled(plan, closes, entry)
    breakeven = np.log(costs.ratio_of(config["cash"], 0.0))
    return {
        "bought": decided["decision"]["action"] == BUY,
        "qualifies": passed[EDGE] and passed[PROBABILITY],
        "levels": plan["take_profit_price"] is not None or plan["stop_price"] is not None,
        "exit_step": plan["exit_step"],
        "median_pct": plan["median_return_pct"],
        "expected_pct": plan["expected_return_pct"],
        "probability": plan["probability_of_profit"],
        "true_expected_pct": round(100 * float(costs.net_return(config["cash"], np.exp(truth.log_mean))[0]), 7),
        "true_probability": round(float(1 - truth.distribution.cdf(breakeven)[0]), 9),
        "gross_pct": round(100 * (sale.price / entry - 1), 7),
        "net_pct": round(costs.round_trip(config["cash"], entry, sale.price, sale.place + 1, sale.maker).return_pct, 7),
    }


def settled(plan: PlanFigures, closes: np.ndarray, entry: float) -> Sale:
    """The sale of a plan, as the audit finds it. closes [horizon]: without a gap."""
    profit, stop = plan["take_profit_price"], plan["stop_price"]
    levels = (profit or np.nan, stop or np.nan, profit or np.inf, stop or 0.0)
    (sale,) = sales(Plans(np.array([plan["exit_step"]]), *(np.array([level]) for level in levels)), closes, entry)
    assert sale is not None
    return sale


class Estimate(NamedTuple):
    """A figure and its band; NaN where there is nothing to tell it by."""

    value: float
    low: float
    high: float


def ratio(part: np.ndarray, whole: np.ndarray) -> Estimate:
    """The sum of `part` [markets] over that of `whole` [markets], with its band by resampling whole markets.

    Efron (1979), Bootstrap methods: another look at the jackknife, Annals of Statistics 7(1).
    """
    if not whole.any():
        return Estimate(np.nan, np.nan, np.nan)
    drawn = np.random.default_rng(1).integers(len(whole), size=(RESAMPLES, len(whole)))
    parts, wholes = part[drawn].sum(axis=1), whole[drawn].sum(axis=1)
    # a resample without any tells nothing
    low, high = np.quantile(parts[wholes != 0] / wholes[wholes != 0], [(1 - BAND) / 2, (1 + BAND) / 2])
    return Estimate(float(part.sum() / whole.sum()), float(low), float(high))


def by_market(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Of one trader's decisions of one trend the sums [markets], by seed: how many there were, which were a BUY, and of
    these the profits, how many won, and the probabilities and profits that were stated and true; what plans that
    qualified were to leave in truth, bought or not."""
    bought = rows["bought"]
    columns = {
        "decisions": np.ones(len(rows)),
        "qualified": rows["qualifies"],
        "bought": bought,
        "won": bought & (rows["net_pct"] > 0),
        "ungated_pct": rows["true_expected_pct"].where(rows["qualifies"], 0.0),
    }
    names = ("gross_pct", "net_pct", "expected_pct", "true_expected_pct", "probability", "true_probability")
    columns |= {name: rows[name].where(bought, 0.0) for name in names}
    sums = pd.DataFrame(columns).astype(float).groupby(rows["seed"]).sum().sort_index()
    return {str(name): sums[name].to_numpy() for name in sums}


# figures of a trader: a sum of `by_market` over another, times a factor
FIGURES = {
    BUYS: ("bought", "decisions", 100),
    UNGATED_BUYS: ("qualified", "decisions", 100),
    "profit before costs, % a BUY": ("gross_pct", "bought", 1),
    "profit after costs, % a BUY": ("net_pct", "bought", 1),
    "stated, % a BUY": ("expected_pct", "bought", 1),
    "true expectation, % a BUY": ("true_expected_pct", "bought", 1),
    "won, % of BUYs": ("won", "bought", 100),
    "stated probability, %": ("probability", "bought", 100),
    "true probability, %": ("true_probability", "bought", 100),
    PROFIT: ("net_pct", "decisions", 100),
    TRUE_PROFIT: ("true_expected_pct", "decisions", 100),
}
# of the pipeline alone, over a sum of the oracle trader
SHARES = {
    SHARE: ("net_pct", "net_pct"),
    TRUE_SHARE: ("true_expected_pct", "true_expected_pct"),
    "the same but for the skill gate, %": ("ungated_pct", "true_expected_pct"),
}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Every figure with its band, by trend and trader: `trend, trader, figure, value, low, high`. Shares are told where
    the oracle trader earns, significantly."""
    table: list[tuple[object, ...]] = []
    for trend, part in rows.groupby("trend"):
        ours, truth = (by_market(part[part["trader"] == trader]) for trader in (OURS, ORACLE))
        for trader, own in ((OURS, ours), (ORACLE, truth)):
            for name, (top, below, factor) in FIGURES.items():
                table.append((trend, trader, name, *ratio(factor * own[top], own[below])))
        for name, (column, whole) in SHARES.items():
            if ratio(truth[whole], truth["decisions"]).low > 0:
                table.append((trend, OURS, name, *ratio(100 * ours[column], truth[whole])))
    return pd.DataFrame(table, columns=["trend", "trader", "figure", *Estimate._fields])


def as_text(table: pd.DataFrame) -> str:
    """The figures, a row each, by trend, with their bands."""
    told = table.dropna(subset="value")
    cells = [f"{value:.3g} ({low:.3g} … {high:.3g})" for value, low, high in told[list(Estimate._fields)].to_numpy()]
    wide = told.assign(cell=cells).pivot(index=["trader", "figure"], columns="trend", values="cell")
    order = [(trader, name) for trader in (OURS, ORACLE) for name in [*FIGURES, *SHARES]]
    return wide.reindex([key for key in order if key in wide.index]).fillna("-").to_string()


def draw(table: pd.DataFrame, path: Path) -> None:
    """How often each trader buys, what that leaves, and our share of the oracle trader's profit, by trend (PNG)."""
    trends = sorted(table["trend"].unique())
    lines = (
        f"By how much of a direction can be forecast (exchange.trend), with {BAND:.0%} bands over markets; "
        "dashed: expected in truth, a trade's luck apart"
    )
    figure, axes = new_figure(1, 3, (12.0, 5.0), "The detection limit of the whole pipeline", lines, simulated=True)
    for panel, name, also in zip(axes[0], (BUYS, PROFIT, SHARE), ("", TRUE_PROFIT, TRUE_SHARE), strict=True):
        for trader, color in ((OURS, BLUE), (ORACLE, ORANGE)):
            rows = table[table["trader"] == trader]
            curve(panel, rows[rows["figure"] == name], trends, {"color": color, "label": TRADERS[trader]})
            curve(panel, rows[rows["figure"] == also], trends, {"color": color, "linestyle": "--", "marker": "x"})
        panel.set_xticks(np.arange(len(trends)), [f"{trend:g}" for trend in trends])
        panel.set_xlim(-0.4, len(trends) - 0.6)
        panel.set_xlabel("exchange.trend")
        panel.set_title(textwrap.fill(name, 34))
        panel.axhline(100 if name == SHARE else 0, color=GREY, linewidth=0.8)
    ungated = table[(table["trader"] == OURS) & (table["figure"] == UNGATED_BUYS)]
    style = {"color": BLUE, "linestyle": ":", "marker": "x", "label": f"{TRADERS[OURS]}, but for the skill gate"}
    curve(axes[0, 0], ungated, trends, style)
    axes[0, 2].set_ylim(bottom=0)
    axes[0, 0].legend(loc="upper left")
    write_atomic(path, lambda partial: figure.savefig(partial, format="png", dpi=110, metadata={"Software": None}))


def curve(panel: Axes, rows: pd.DataFrame, trends: Sequence[float], style: Mapping[str, Any]) -> None:
    """Draw a figure of a trader by trend, with its band, where there is one."""
    if not rows["value"].notna().any():
        return
    known = rows.set_index("trend").reindex(list(trends))
    value = known["value"].to_numpy()
    # beside each other, not upon
    place = np.arange(len(trends)) + (0.06 if style["color"] == ORANGE else -0.06)
    reach = np.abs(known[["low", "high"]].to_numpy().T - value)
    panel.errorbar(place, value, reach, capsize=3, **{"marker": "o", **style})


if __name__ == "__main__":
    main()
