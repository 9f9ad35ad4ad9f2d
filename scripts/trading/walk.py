"""What is known of each of many moments of the past, for the decisions there, and what became of them."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from forecasting.distribution import Distribution
from forecasting.documents import Evaluation
from forecasting.members import ENSEMBLE, EWMA, ORACLE
from forecasting.quantiles import Forecasts
from forecasting.task import Task
from market.candles import COLUMNS, Quality, frozen_spans
from market.intervals import parse_time
from trading.costs import Costs, costs_of
from trading.documents import EDGE, PROBABILITY, plan_of
from trading.exposure import SHORTFALL, annual_volatility, shortfall_of
from trading.gates import DataQuality
from trading.moment import Made
from trading.orders import UNLIMITED
from trading.outlook import DIGITS, share_of
from trading.plans import exit_steps
from trading.trade_settlement import Sale, plan_sales, planned, sales

# whose forecasts of the width are followed; the oracle's knows the future
SIZED = (ENSEMBLE, EWMA, ORACLE)
# before the first fold is over
NOTHING_EVALUATED = cast(
    Evaluation,
    {
        "evaluated_model": None,
        "skill_vs_best_baseline": None,
        "difference": None,
        "members": {},
        "direction": {},
        "coverage_tests": {},
    },
)


def quality_before(candles: pd.DataFrame, quality: Quality, start: int, end: int, bar_ms: int) -> DataQuality:
    """The quality of the bars that open in [start, end) ms, as a fetch of these alone would have found it.

    candles, quality: of a longer window.
    """
    window = slice(*np.searchsorted(candles["timestamp"].to_numpy(), [start, end]))
    rows = candles.iloc[window][COLUMNS].to_numpy(np.float64)
    filled = 0
    for span in quality["filled_spans"]:
        first, after = parse_time(span["first"]), parse_time(span["last"]) + bar_ms
        filled += max(0, min(after, end) - max(first, start)) // bar_ms
    expected = (end - start) // bar_ms
    return DataQuality(expected, expected - len(rows), filled, int(frozen_spans(rows, bar_ms)[:, 1].sum()))


def decision_row(made: Made, closes: np.ndarray) -> dict[str, Any]:
    """A decision in the table of a backtest: what was decided and stated, and what became of it; percent after costs.

    closes [steps]: those after it, NaN where missing. Of the policy `exposure` there is a weight and no plan.
    """
    document = made.document
    decision, known = document["decision"], np.flatnonzero(np.isfinite(closes))
    change = 100 * (closes[known[-1]] / decision["entry_price"] - 1) if len(known) else np.nan
    return {
        "time": decision["entry_time"],
        "symbol": document["config"]["symbol"],
        "close": decision["entry_price"],
        "action": decision["action"],
        "rank": document["candidates"]["rank"],
        "failed_gates": " ".join(document["breakeven"]["failed_gates"]),
        "price_change_pct": change,
        "weight": document["exposure"]["weight"] if document["exposure"] else np.nan,
        **(_plan_columns(made, closes) if document["plan"] else {}),
    }


def _plan_columns(made: Made, closes: np.ndarray) -> dict[str, Any]:
    """What the best plan stated and left, and what all plans did."""
    document = made.document
    decision, plan, config = document["decision"], plan_of(document), document["config"]
    entry, costs = decision["entry_price"], costs_of(config, document["market"])
    (sale,) = sales(planned(document), closes, entry)
    every = plan_sales(made.table, closes, entry)
    left = np.array([_return_pct(one, entry, costs, config["cash"]) for one in every])
    settled = bool(np.isfinite(left).any())
    gates = {gate["name"]: gate["passed"] for gate in document["gates"]}
    return {
        "worth_its_costs": gates[EDGE] and gates[PROBABILITY],
        "spent": decision["spent_usd"] / config["cash"],
        "exit_time": decision["target_time"],
        "expected_return_pct": plan["expected_return_pct"],
        "probability_of_profit": plan["probability_of_profit"],
        "sell_step": sale.place + 1 if sale else 0,
        "sell_close": sale.price if sale else np.nan,
        "return_pct": _return_pct(sale, entry, costs, config["cash"]),
        "mean_plan_pct": float(np.nanmean(left)) if settled else np.nan,
        "luckiest_plan_pct": float(np.nanmax(left)) if settled else np.nan,
    }


def volatilities(
    forecasts: Mapping[str, Forecasts], task: Task, steps: int, side: int
) -> dict[tuple[str, int], dict[str, float]]:
    """What exposures are sized by, by symbol and origin: by each of SIZED the volatility a year over `steps`, and the
    mean loss of the worst 5 % of a position on that side; by the ensemble the loss that is exceeded in 5 % too."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for member in SIZED:
        if member not in forecasts:
            continue
        one = forecasts[member]
        last = Distribution(task.quantile_levels, one.quantiles[:, steps - 1])
        columns = {
            f"volatility_{member}": annual_volatility(last.deviation(), steps, task.bar_ms),
            f"shortfall_{member}": shortfall_of(last, side),
        }
        if member == ENSEMBLE:
            columns["value_at_risk"] = 1 - np.exp(last.quantile(SHORTFALL))
        for name, values in columns.items():
            for symbol, origin, value in zip(
                one.symbol, one.origin.tolist(), np.round(values, DIGITS).tolist(), strict=True
            ):
                found.setdefault((symbol, origin), {})[name] = value
    return found


def informed_exits(
    forecasts: Forecasts, task: Task, settings: Mapping[str, Any], steps: int
) -> dict[tuple[str, int], int]:
    """The step at which one who knows the true distribution sells what is bought at each symbol's origins; 0: no BUY.

    The same edge, probability and costs are asked of the exits without levels; of those that qualify the one of the
    largest expected return is taken. No gate is needed.
    """
    costs, cash = costs_of(cast(Any, {**settings, "interval": task.interval}), UNLIMITED), settings["cash"]
    exits = exit_steps(steps, settings["exits"])
    quantiles = forecasts.quantiles[:, exits - 1]
    law = Distribution(task.quantile_levels, quantiles)
    median = quantiles[..., list(task.quantile_levels).index(0.5)]
    net = np.round(costs.net_return(cash, np.exp(np.minimum(median, np.log(law.mean_exponential())))), DIGITS)
    likely = np.round(1 - law.cdf(np.log(costs.ratio_of(cash, 0.0))), DIGITS)
    worth = (net >= share_of(settings["min_edge_pct"])) & (likely >= settings["min_probability"])
    best = np.where(worth, net, -np.inf).argmax(axis=1)
    step = np.where(worth.any(axis=1), exits[best], 0)
    keys = zip(forecasts.symbol, forecasts.origin.tolist(), strict=True)
    return dict(zip(keys, step.tolist(), strict=True))


def _return_pct(sale: Sale | None, entry: float, costs: Costs, cash: float) -> float:
    """The net return of all the cash; NaN where nothing is sold yet."""
    return costs.round_trip(cash, entry, sale.price, sale.place + 1, sale.maker).return_pct if sale else np.nan
