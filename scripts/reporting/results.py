"""What a run left in its folders: all that the report shows, as far as it is there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import yaml

from common.errors import UserError
from common.files import read_csv, read_document, read_json
from forecasting.documents import Evaluation
from forecasting.members import ENSEMBLE
from forecasting.paths.distribution import PathDistribution, read_paths
from forecasting.paths.documents import PathScores
from forecasting.quantiles import Forecasts, read_forecasts
from market.candles import Quality, continued, read_candles
from trading.documents import Audit, Backtest, Trade
from trading.strategies import FOLLOWED

Content = TypeVar("Content")
# keys of a run's config, and columns of tables, that the report reads
NEEDED = {"symbols", "interval", "horizon", "quantiles", "members", "days", "as_of"}
NEEDED |= {"exchange", "folds", "tft", "sample_paths", "consensus", "decision"}
STEPS = ("member", "step", "origins", "coverage50", "coverage90")
PRICES = ("symbol", "close", "time", "price_q0.05", "price_q0.25", "price_q0.5", "price_q0.75", "price_q0.95", "p_up")


@dataclass
class Folder:
    """The folders of a run, and what is missing or unreadable in them, a line each, in the order in which it was asked
    for."""

    artifacts: Path
    data: Path
    missing: list[str] = field(default_factory=list)

    def read(self, path: Path, read: Callable[[Path], Content], optional: bool = False) -> Content | None:
        """What `read` makes of a file; None where it is missing (noted, unless `optional`) or damaged (noted)."""
        if not path.is_file():
            if not optional:
                self.note(f"{path} is not there")
            return None
        try:
            return read(path)
        except UserError as error:
            self.note(str(error))
            return None

    def artifact(self, name: str, read: Callable[[Path], Content], optional: bool = False) -> Content | None:
        """The same of a file of the artifacts' folder."""
        return self.read(self.artifacts / name, read, optional)

    def note(self, line: str) -> None:
        """Remember what is missing, once."""
        if line not in self.missing:
            self.missing.append(line)


@dataclass(frozen=True)
class Results:
    """A run's config and results; None, or no item, where one is missing.

    forecasts: the ensemble's live one of each symbol, at the last origin; tested: its of the last fold. trades: the
    decisions by symbol; trade: the run's. candles: by symbol, of training and live together; outcome: those after the
    decision. quality: by symbol, of training. jobs: a row a job, with its rule and Snakemake's benchmark.
    """

    folder: Folder
    config: dict[str, Any]
    cutoff: dict[str, Any] | None
    evaluation: Evaluation | None
    steps: pd.DataFrame | None
    prices: pd.DataFrame | None
    forecasts: Forecasts | None
    tested: Forecasts | None
    trade: Trade | None
    trades: dict[str, Trade]
    audit: Audit | None
    path_scores: PathScores | None
    paths: dict[str, PathDistribution] | None
    backtest: Backtest | None
    equity: pd.DataFrame | None
    decisions: pd.DataFrame | None
    ledger: pd.DataFrame | None
    candles: dict[str, pd.DataFrame]
    outcome: dict[str, pd.DataFrame]
    quality: dict[str, Quality]
    jobs: pd.DataFrame

    @property
    def symbols(self) -> list[str]:
        """Names of the symbols in files."""
        return list(self.config["symbols"])

    @property
    def simulated(self) -> bool:
        """Whether the market is the simulated one."""
        return bool(self.config["exchange"]["id"] == "simulated" or (self.cutoff and self.cutoff["simulated"]))


def read_results(artifacts: Path, data: Path) -> Results:
    """Read what is there. Raises UserError where there is no run, or one whose config this version cannot read."""
    config, folder = run_config(artifacts), Folder(artifacts, data)
    symbols, interval = config["symbols"], config["interval"]

    def forecasts(path: Path) -> Forecasts:
        return read_forecasts(path, config["horizon"], config["quantiles"])

    def live(path: Path) -> Forecasts:
        found = forecasts(path)
        return found.at(int(found.origin.max()))

    trade = folder.artifact("mock_trade.json", lambda path: read_document(path, Trade))
    return Results(
        folder=folder,
        config=config,
        cutoff=folder.read(data / "as_of" / "live.json", read_json),
        evaluation=folder.artifact("evaluation.json", lambda path: read_document(path, Evaluation)),
        steps=folder.artifact("evaluation_steps.csv", _table(STEPS)),
        prices=folder.artifact("forecast.csv", _table(PRICES)),
        forecasts=folder.artifact(f"forecasts/live/{ENSEMBLE}.parquet", live),
        tested=folder.artifact(f"forecasts/{config['folds']['count'] - 1}/{ENSEMBLE}.parquet", forecasts),
        trade=trade,
        trades=_by_symbol(folder, symbols, artifacts / "decisions", ".json", _trade),
        audit=_audit(folder, trade),
        path_scores=folder.artifact("path_scores.json", lambda path: read_document(path, PathScores)),
        paths=folder.artifact("forecasts/live/paths.parquet", read_paths),
        backtest=folder.artifact("backtest.json", lambda path: read_document(path, Backtest)),
        equity=folder.artifact("backtest_equity.csv", _table(("time", FOLLOWED))),
        decisions=folder.artifact("backtest.csv", _table(("time", "symbol", "action"))),
        ledger=folder.artifact("ledger.csv", _table(("as_of", "symbol", "action", "return_pct")), optional=True),
        candles=_candles(folder, symbols, interval),
        outcome=_by_symbol(folder, symbols, data / "outcome", ".parquet", _reader(interval), optional=True),
        quality=_by_symbol(folder, symbols, data / "candles" / "train", ".quality.json", read_json),
        jobs=read_jobs(artifacts / "logs"),
    )


def _audit(folder: Folder, trade: Trade | None) -> Audit | None:
    """The audit of the decision; one of an earlier decision, before this one is audited, is none."""
    audit = folder.artifact("mock_eval.json", lambda path: read_document(path, Audit))
    if audit and trade and audit["seal"] != trade["seal"]:
        folder.note(f"{folder.artifacts / 'mock_eval.json'} is the audit of an earlier decision: make audit renews it")
        return None
    return audit


def run_config(artifacts: Path) -> dict[str, Any]:
    """The config of the run in a folder, resolved. Raises UserError where there is none."""
    path = artifacts / "run.yaml"
    if not path.is_file():
        raise UserError(f"{path} does not exist: there is no run to report on; run make run first")
    try:
        config = yaml.safe_load(path.read_text())
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: is damaged ({type(error).__name__}); run again to rebuild it") from error
    if not isinstance(config, dict) or NEEDED - config.keys():
        raise UserError(f"{path}: is not of a run of this version; run again, or name another folder")
    if config.get("branches"):
        raise UserError(f"{path}: is of several branches; name the folder of one of them")
    return config


def read_jobs(logs: Path) -> pd.DataFrame:
    """Snakemake's benchmarks, a row a job: rule, name, seconds, max_rss (MiB)."""
    rows = []
    for path in sorted(logs.glob("*/*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values="-")
        if len(table):
            rows.append((path.parent.name, path.stem, float(table["s"].sum()), float(table["max_rss"].max())))
    return pd.DataFrame(rows, columns=["rule", "job", "seconds", "max_rss"])


def _table(columns: Sequence[str]) -> Callable[[Path], pd.DataFrame]:
    """A reader of CSV that has these columns and rows."""

    def read(path: Path) -> pd.DataFrame:
        table = read_csv(path)
        lacking = [name for name in columns if name not in table]
        if lacking or not len(table):
            what = f"has no column {lacking[0]}" if lacking else "has no rows"
            raise UserError(f"{path}: {what}; delete it and run again to rebuild it")
        return table

    return read


def _trade(path: Path) -> Trade:
    return read_document(path, Trade)


def _reader(interval: str) -> Callable[[Path], pd.DataFrame]:
    return lambda path: read_candles(path, interval, ["timestamp", "close"])


def _by_symbol(
    folder: Folder,
    symbols: list[str],
    place: Path,
    ending: str,
    read: Callable[[Path], Content],
    optional: bool = False,
) -> dict[str, Content]:
    """What is read of a file a symbol in a place, of those that are there."""
    found = {symbol: folder.read(place / f"{symbol}{ending}", read, optional) for symbol in symbols}
    return {symbol: content for symbol, content in found.items() if content is not None}


def _candles(folder: Folder, symbols: list[str], interval: str) -> dict[str, pd.DataFrame]:
    """Open times and closes of each symbol: of training, continued by those of the decision."""
    places = [folder.data / "candles" / cutoff for cutoff in ("train", "live")]
    parts = [_by_symbol(folder, symbols, place, ".parquet", _reader(interval)) for place in places]
    found = {symbol: [part[symbol] for part in parts if symbol in part] for symbol in symbols}
    return {symbol: reduce(continued, frames) for symbol, frames in found.items() if frames}
