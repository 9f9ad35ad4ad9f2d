"""A ledger of decisions by the real stages, and a folder of candles that replay settles it on."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from common.files import write_json, write_parquet
from consensus import consensus
from forecasting.members import BASELINES, ENSEMBLE, TFT
from forecasting.task import Task
from ledger_append import ledger_append
from ledger_settle import ledger_settle
from market.candles import COLUMNS
from market.intervals import iso
from support.evaluations import LEVELS
from support.exchanges import exchange_settings
from support.worlds import AS_OF, World

INTERVAL, HORIZON, BAR = "5m", 12, 300_000


def decide(folder: Path, bars: int = 0, **settings: Any) -> World:
    """Decide so many bars after `AS_OF` by the rule `consensus`, and append that to `folder`/ledger."""
    made = folder / f"world-{bars}"
    made.mkdir(parents=True, exist_ok=True)
    world = World(made, interval=INTERVAL, horizon=HORIZON, as_of=AS_OF + bars * BAR, simulated=False)
    consensus(**world.consensus_inputs(**settings), ledger=str(folder / "ledger"))
    write_json(made / "train.json", {"as_of": AS_OF, "as_of_iso": iso(AS_OF)})
    ledger_append(**append_inputs(world, folder / "ledger"))
    return world


def append_inputs(world: World, ledger: Path) -> dict[str, Any]:
    """Arguments of the rule `ledger_append`."""
    return {
        "ledger": str(ledger),
        "folder": str(world.folder / "decisions"),
        "forecasts": [str(world.forecast(member)) for member in (ENSEMBLE, TFT, *BASELINES)],
        "weights": str(world.weights),
        "evaluation": str(world.evaluation),
        "cutoff": str(world.cutoff),
        "train_cutoff": str(world.folder / "train.json"),
        "market": "replay",
        "task": Task(INTERVAL, lookback=1, horizon=HORIZON, quantile_levels=LEVELS),
    }


def serve(folder: Path, worlds: Iterable[World], bars: int, without: Iterable[int] = ()) -> None:
    """Write candle files into `folder`/candles: those up to so many bars after the last decision, but for those that
    open so many bars after it."""
    every = list(worlds)
    last = every[-1]
    dropped = [last.as_of + BAR * bar for bar in without]
    for symbol in last.symbols:
        files = [path for world in every for path in (world.candles(symbol), world.outcome(symbol))]
        rows = pd.concat([pd.read_parquet(path) for path in files]).drop_duplicates("timestamp")
        kept = rows[(rows["timestamp"] < last.as_of + bars * BAR) & ~rows["timestamp"].isin(dropped)]
        write_parquet(folder / "candles" / f"{symbol}.parquet", kept.sort_values("timestamp")[COLUMNS])


def settle(folder: Path, window: int = 50) -> pd.DataFrame:
    """Settle `folder`/ledger on `folder`/candles by the rule `ledger_settle`; its table."""
    ledger_settle(
        ledger=str(folder / "ledger"),
        table=str(folder / "ledger.csv"),
        drift_table=str(folder / "ledger_drift.csv"),
        exchange_settings=exchange_settings(id="replay", folder=str(folder / "candles")),
        store=str(folder / "store"),
        fill=1,
        window=window,
    )
    return pd.read_csv(folder / "ledger.csv")
