"""Rule backtest: what the policy would have earned at the test origins of all folds, beside simpler strategies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from common.files import number, read_csv, read_document, read_json, read_parquet, write_csv, write_json
from common.job import job, say
from forecasting.documents import Evaluation
from forecasting.evaluation.conditions import interval_tests, thinned
from forecasting.members import ENSEMBLE, EWMA, ORACLE
from forecasting.task import Task
from market.intervals import iso
from trading.backtest import (
    Account,
    Market,
    deflated_sharpe,
    exposures,
    held,
    market,
    moment_returns,
    result,
    sharpe,
    stated_and_won,
    together,
    trades,
)
from trading.costs import Costs, costs_of
from trading.documents import BUY, HOLD, Backtest, Regret, RiskTests
from trading.exposure import SHORTFALL, annual_volatility, exposure_target
from trading.exposure_outlook import settings_of
from trading.orders import UNLIMITED
from trading.strategies import BY_EWMA, BY_ORACLE, CASH, CONSTANT, FOLLOWED, SIZED, TOLD, WHOLE

# strategies that size by a member's width
SIZES = {SIZED: ENSEMBLE, BY_EWMA: EWMA, BY_ORACLE: ORACLE}


@dataclass(frozen=True)
class Walk:
    """A symbol's decisions in time's order, its market over them, and its closes before them (log returns)."""

    rows: list[dict[str, Any]]
    over: Market
    before: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """A column of the decisions [moments], NaN where there is none."""
        return np.array([row.get(name, np.nan) for row in self.rows], dtype=np.float64)


def backtest(
    output: str,
    table: str,
    equity: str,
    trials: str,
    tables: Sequence[str],
    candles: Mapping[str, str],
    cutoff: str,
    evaluation: str,
    task: Task,
    stride: int,
    settings: Mapping[str, Any],
    config: str,
) -> None:
    """Write the results (`output`, a `Backtest`), all decisions (`table`, CSV), and the wealth of each strategy at each
    close, of 1 at first (`equity`, CSV).

    tables: of the folds' decisions. candles: a file a symbol, and `cutoff`, of the training cutoff. trials: a folder
    that keeps the Sharpe ratio of each config that was backtested, by its digest `config`. settings: the config's
    sections `consensus` and `decision`.
    """
    decisions = pd.concat(map(read_csv, tables), ignore_index=True)
    decisions["failed_gates"] = decisions["failed_gates"].fillna("")
    until, known = read_json(cutoff), read_document(evaluation, Evaluation)
    walks = {name: _walk(decisions, name, candles[name], task) for name in sorted(candles)}
    costs = costs_of(cast(Any, {**settings, "interval": task.interval}), UNLIMITED)
    accounts = {name: together(of_symbols) for name, of_symbols in _accounts(walks, costs, settings, task).items()}
    over = next(iter(walks.values())).over
    # a policy of plans, or of weights
    planned = "sell_step" in decisions
    block = -(-task.horizon // stride)
    found = _count_trials(Path(trials), config, moment_returns(accounts[FOLLOWED], over))
    document: Backtest = {
        "simulated": until["simulated"],
        "exchange": until["exchange"],
        "interval": task.interval,
        "horizon": task.horizon,
        "symbols": sorted(walks),
        "policy": settings["policy"],
        "start": iso(int(over.times[0] + task.bar_ms)),
        "end": iso(int(over.times[-1] + task.bar_ms)),
        "decisions": len(decisions),
        "actions": {str(name): int(count) for name, count in decisions["action"].value_counts().sort_index().items()},
        "strategies": {name: result(one, over, block) for name, one in accounts.items()},
        "deflated_sharpe": {
            "probability": deflated_sharpe(moment_returns(accounts[FOLLOWED], over), found),
            "trials": len(found),
        },
        "stated": stated_and_won(decisions) if planned else [],
        "regret": regret(decisions) if planned else None,
        "risk": risk_tests(decisions, task),
        "utility_over_ewma": _utility(known),
        "utility_at_most_pct": 100 * settings["prior_sharpe"] ** 2 / (2 * settings["risk_aversion"]),
        "verdicts": [],
    }
    document["verdicts"] = verdicts(document)
    write_csv(table, decisions)
    times = [iso(int(time + task.bar_ms)) for time in over.times]
    write_csv(equity, pd.DataFrame({"time": times, **{name: one.wealth for name, one in accounts.items()}}))
    write_json(output, document)
    say(f"{report(document)}\n" + "\n".join(document["verdicts"]))


def regret(decisions: pd.DataFrame) -> Regret | None:
    """What was missed or spared by holding; None without a HOLD that is settled."""
    holds = decisions[(decisions["action"] == HOLD) & decisions["return_pct"].notna()]
    if holds.empty:
        return None
    return {
        "holds": len(holds),
        "best_plan_pct": float(holds["return_pct"].mean()),
        "would_have_won": float((holds["return_pct"] > 0).mean()),
        "mean_plan_pct": float(holds["mean_plan_pct"].mean()),
    }


def risk_tests(decisions: pd.DataFrame, task: Task) -> RiskTests:
    """Backtests of value at risk (Kupiec 1995) and of expected shortfall: the first statistic of Acerbi and Székely
    (2014), Backtesting expected shortfall, Risk, with the other sign. Symbols move together, so each is tested alone,
    and the smallest p times their number is reported."""
    beyond, excess, p = [], [], []
    for _, rows in decisions.groupby("symbol"):
        runs = []
        for _, run in rows.groupby("fold"):
            apart = run.iloc[thinned(run["origin"].to_numpy(), task.horizon * task.bar_ms)]
            loss = -apart["price_change_pct"].to_numpy() / 100
            exceeded = loss > apart["value_at_risk"].to_numpy()
            runs.append(exceeded)
            excess.append(loss[exceeded] / apart[f"shortfall_{ENSEMBLE}"].to_numpy()[exceeded] - 1)
        beyond += runs
        p.append(interval_tests(runs, SHORTFALL)[0])
    losses, flat = np.concatenate(excess), np.concatenate(beyond)
    return {
        "moments": len(flat),
        "exceeded": float(flat.mean()),
        "kupiec": min(1.0, len(p) * min(p)),
        "shortfall_excess": number(losses.mean()) if len(losses) else None,
    }


def verdicts(document: Backtest) -> list[str]:
    """What the backtest says, in sentences."""
    found = document["strategies"]
    left, whole, informed = found[FOLLOWED]["return_pct"], found[WHOLE]["return_pct"], found[TOLD]
    actions = ", ".join(f"{count} {name}" for name, count in document["actions"].items())
    told = [
        f"Of {document['decisions']} decisions {actions}; followed, they leave {left:+.2f} % after costs, where buying "
        f"and holding leaves {whole:+.2f} %.",
        f"A trader who knows the distribution leaves {informed['return_pct']:+.2f} % by {informed['trades']} trades.",
    ]
    if document["regret"]:
        missed = document["regret"]
        told.append(
            f"The best plans of the {missed['holds']} HOLDs would have left "
            f"{missed['best_plan_pct']:+.3f} % on average, {100 * missed['would_have_won']:.0f} % of them something."
        )
    return told + _sizing_verdicts(document)


def _sizing_verdicts(document: Backtest) -> list[str]:
    """Whether the ensemble's width is worth more than EWMA's, and whether that is left after the costs of moving."""
    gain, interval = document["utility_over_ewma"]["gain"], document["utility_over_ewma"]["interval"]
    if not isinstance(gain, float) or not isinstance(interval, list):
        return []
    lower, upper = (100 * end for end in interval)
    adds = "adds" if lower > 0 else "costs" if upper < 0 else "adds nothing significant:"
    paid, most = document["strategies"][SIZED]["annual_costs_pct"], document["utility_at_most_pct"]
    after = f"Its moves cost {paid:.1f} % of wealth a year"
    if paid > most:
        after += f", more than the {most:.1f} % that sizing is worth at most: after costs it adds nothing here"
    return [
        f"Sizing by the ensemble's width {adds} {100 * gain:+.3f} % of wealth a year ({lower:+.3f} to {upper:+.3f}) "
        f"over sizing by EWMA, before costs. {after}."
    ]


def report(document: Backtest) -> str:
    """A small aligned table of the strategies."""
    head = f"{'strategy':<24}{'return %':>10}{'volat. %':>10}{'Sharpe':>8}{'95 % CI':>18}{'drawdown %':>12}"
    lines = [f"{head}{'weight':>8}{'costs %':>9}"]
    for name, one in document["strategies"].items():
        ratio, interval = one["sharpe"], one["sharpe_interval"]
        band = f"{interval[0]:+.1f} … {interval[1]:+.1f}" if interval else ""
        lines.append(
            f"{name:<24}{one['return_pct']:>+10.2f}{one['annual_volatility_pct']:>10.1f}"
            f"{'' if ratio is None else f'{ratio:+.1f}':>8}{band:>18}{one['maximum_drawdown_pct']:>12.2f}"
            f"{one['exposure']:>8.2f}{one['costs_pct']:>9.2f}"
        )
    return "\n".join(lines)


def _walk(decisions: pd.DataFrame, symbol: str, candles: str, task: Task) -> Walk:
    rows = decisions[decisions["symbol"] == symbol].sort_values("origin")
    bars = read_parquet(candles, ["timestamp", "close"])
    closes = pd.Series(bars["close"].to_numpy(), index=bars["timestamp"])
    origins = rows["origin"].to_numpy()
    last = int(origins[-1]) + task.horizon * task.bar_ms
    before = np.diff(np.log(closes[closes.index <= origins[0]].to_numpy()))
    records = cast(list[dict[str, Any]], rows.to_dict("records"))
    return Walk(records, market(closes, origins, last, task.bar_ms), before)


def _accounts(
    walks: Mapping[str, Walk], costs: Costs, settings: Mapping[str, Any], task: Task
) -> dict[str, list[Account]]:
    """The account of each symbol by each strategy."""
    investor, cash = settings_of(cast(Any, settings)), settings["cash"]
    found: dict[str, list[Account]] = {}
    for walk in walks.values():
        made = {FOLLOWED: _followed(walk, costs, cash), TOLD: _told(walk, costs, cash)}
        for name, member in SIZES.items():
            volatility, shortfall = (walk.column(f"{kind}_{member}") for kind in ("volatility", "shortfall"))
            if np.isfinite(volatility).all():
                made[name] = exposures(volatility, shortfall, walk.over, costs, investor, cash)
        usual = annual_volatility(walk.before.std(keepdims=True), 1, task.bar_ms)
        weight = float(exposure_target(usual, np.zeros(1), investor)[0])
        for name, size in {CONSTANT: weight, WHOLE: 1.0, CASH: 0.0}.items():
            made[name] = held(partial(_once, size), walk.over, costs, cash)
        for name, account in made.items():
            found.setdefault(name, []).append(account)
    return found


def _once(size: float, moment: int, now: float) -> float:
    """The weight of one who buys at the first moment, and lets it be."""
    return now if moment else size


def _followed(walk: Walk, costs: Costs, cash: float) -> Account:
    """One who follows the decisions, on plans or on weights."""
    if "sell_step" in walk.rows[0]:
        return trades(walk.rows, walk.over)
    weights = walk.column("weight")
    return held(lambda moment, now: float(weights[moment]), walk.over, costs, cash)


def _told(walk: Walk, costs: Costs, cash: float) -> Account:
    """One who knows the distribution, and buys where that promises enough."""
    rows = []
    for place, row in zip(walk.over.places.tolist(), walk.rows, strict=True):
        step = int(row["oracle_exit"])
        bought, sold = walk.over.closes[place], walk.over.closes[place + step]
        net = costs.round_trip(cash, bought, sold, step).return_pct
        action = BUY if step else HOLD
        rows.append({"action": action, "spent": 1.0, "sell_step": step, "sell_close": sold, "return_pct": net})
    return trades(rows, walk.over)


def _count_trials(folder: Path, config: str, returns: np.ndarray) -> list[float]:
    """The Sharpe ratios of all configs that were backtested here, this one's, kept for the next, among them."""
    write_json(folder / f"{config[:16]}.json", {"sharpe": number(sharpe(returns))})
    found = [read_json(path)["sharpe"] for path in sorted(folder.glob("*.json"))]
    return [np.nan if one is None else one for one in found]


def _utility(evaluation: Evaluation) -> dict[str, float | list[float] | None]:
    value = evaluation["economic_value"].get(ENSEMBLE)
    known = value or {"gain_over_ewma": None, "interval_over_ewma": None}
    return {"gain": known["gain_over_ewma"], "interval": known["interval_over_ewma"]}


if __name__ == "__main__":
    with job() as snakemake:
        given, params = snakemake.input, snakemake.params
        backtest(
            output=snakemake.output.result,
            table=snakemake.output.table,
            equity=snakemake.output.equity,
            trials=params.trials,
            tables=list(given.tables),
            candles=dict(zip(params.symbols, given.candles, strict=True)),
            cutoff=given.cutoff,
            evaluation=given.evaluation,
            task=Task(**params.task),
            stride=params.stride,
            settings=params.settings,
            config=params.config,
        )
