"""The accounts of a backtest: what strategies leave of a wealth of 1, and how sure that is.

All trade at the moments of the decisions and are marked at each bar's close; symbols share the wealth equally and are
not rebalanced with each other. Returns are those between moments, annualised for a market that never closes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import kurtosis, norm, skew

from common.files import number
from market.intervals import DAY
from trading.costs import Costs
from trading.documents import BUY, StatedProbability, StrategyResult
from trading.exposure import DAYS_A_YEAR, ExposureSettings, exposure_target, no_trade_band, rebalanced

DRAWS, SEED = 1000, 1


class Account(NamedTuple):
    """A strategy's account of one symbol: wealth [bars] at each close, of 1 before the first; the weight [moments] that
    is held from each moment on; costs paid and amounts traded, shares of the first wealth; net returns of its round
    trips, percent."""

    wealth: np.ndarray
    weight: np.ndarray
    costs: float
    traded: float
    trips: list[float]


@dataclass(frozen=True)
class Market:
    """A symbol over the walk: open times (ms) [bars] of the closes [bars], from the first moment's last bar on, without
    gaps; places [moments] of the moments among them."""

    times: np.ndarray
    closes: np.ndarray
    places: np.ndarray


def market(closes: pd.Series, origins: np.ndarray, last: int, bar_ms: int) -> Market:
    """The market of closes by open time (ms) from the first of the `origins` [moments] to `last` (ms). A missing close
    is the one before it."""
    times = np.arange(origins[0], last + 1, bar_ms)
    known = closes.reindex(times).ffill().to_numpy(np.float64)
    return Market(times, known, ((origins - origins[0]) // bar_ms).astype(np.int64))


def trades(decisions: Sequence[Mapping[str, Any]], over: Market) -> Account:
    """The account of one who follows the decisions on a symbol, one position at a time.

    decisions: in time's order, at the moments, with `action`; `spent`, the share of the wealth; `sell_step`, bars
    later; `sell_close`, the price then; and `return_pct` after costs, of what is spent. A BUY while a position is open
    is not followed.
    """
    wealth, weight = np.ones(len(over.closes)), np.zeros(len(over.places))
    now, free, paid, traded = 1.0, 0, 0.0, 0.0
    trips: list[float] = []
    for moment, (place, row) in enumerate(zip(over.places.tolist(), decisions, strict=True)):
        if place < free or row["action"] != BUY or not row["sell_step"]:
            weight[moment] = weight[moment - 1] if place < free else 0.0
            continue
        stake, free = row["spent"] * now, place + int(row["sell_step"])
        bought, sold = over.closes[place], row["sell_close"]
        net = row["return_pct"] / 100
        wealth[place:free] = now + stake * (over.closes[place:free] / bought - 1)
        paid, traded = paid + stake * (sold / bought - 1 - net), traded + stake * (1 + sold / bought)
        now, weight[moment] = now + stake * net, row["spent"]
        wealth[free:] = now
        trips.append(row["return_pct"])
    return Account(wealth, weight, paid, traded, trips)


def exposures(
    volatility: np.ndarray, shortfall: np.ndarray, over: Market, costs: Costs, settings: ExposureSettings, cash: float
) -> Account:
    """The account of one who holds the weight of `trading.exposure` by these forecasts [moments], from cash on."""
    target = exposure_target(volatility, shortfall, settings)
    low, high = no_trade_band(target, shortfall, costs.side_cost, settings)
    return held(lambda moment, now: float(rebalanced(np.array(now), low[moment], high[moment])), over, costs, cash)


def held(rule: Callable[[int, float], float], over: Market, costs: Costs, cash: float) -> Account:
    """The account of one whose weight after each moment is what the rule makes of the moment and the weight before it,
    0 at first. cash: what the first wealth is, for flat commissions."""
    wealth, weight = np.empty(len(over.closes)), np.zeros(len(over.places))
    now, before, paid, traded = cash, 0.0, 0.0, 0.0
    ends = [*over.places[1:].tolist(), len(over.closes) - 1]
    for moment, (place, end) in enumerate(zip(over.places.tolist(), ends, strict=True)):
        move = costs.rebalance(now, before, rule(moment, before))
        now -= move.cost
        paid, traded, weight[moment] = paid + move.cost, traded + abs(move.amount), move.weight
        steps = np.arange(end - place + 1)
        growth = costs.growth(move.weight, over.closes[place : end + 1] / over.closes[place], steps)
        wealth[place : end + 1] = now * growth
        value = move.weight * over.closes[end] / over.closes[place]
        before, now = float(value / growth[-1]), float(wealth[end])
    return Account(wealth / cash, weight, paid / cash, traded / cash, [])


def together(accounts: Sequence[Account]) -> Account:
    """The account of symbols that share the wealth equally."""
    return Account(
        np.mean([one.wealth for one in accounts], axis=0),
        np.mean([one.weight for one in accounts], axis=0),
        float(np.mean([one.costs for one in accounts])),
        float(np.mean([one.traded for one in accounts])),
        [trip for one in accounts for trip in one.trips],
    )


def moment_returns(account: Account, over: Market) -> np.ndarray:
    """Returns of the wealth from each moment to the next, and to the end [moments]."""
    marks = np.append(account.wealth[over.places], account.wealth[-1])
    return np.diff(marks) / marks[:-1]


def result(account: Account, over: Market, block: int) -> StrategyResult:
    """What a strategy left. block: moments that a dependent return spans; bands are of a stationary bootstrap of so
    long blocks (Politis and Romano 1994)."""
    returns = moment_returns(account, over)
    years = (over.times[-1] - over.times[0]) / (DAYS_A_YEAR * DAY)
    a_year = len(returns) / years
    peak = np.maximum.accumulate(account.wealth)
    trips = np.array(account.trips)
    return {
        "return_pct": 100 * float(account.wealth[-1] - 1),
        "annual_volatility_pct": 100 * float(returns.std() * np.sqrt(a_year)),
        "sharpe": number(sharpe(returns) * np.sqrt(a_year)),
        "sharpe_interval": sharpe_interval(returns, block, a_year),
        "maximum_drawdown_pct": 100 * float((1 - account.wealth / peak).max()),
        "exposure": float(account.weight.mean()),
        "turnover": account.traded / years,
        "costs_pct": 100 * account.costs,
        "annual_costs_pct": 100 * account.costs / years,
        "trades": len(trips),
        "hit_rate": float((trips > 0).mean()) if len(trips) else None,
    }


def sharpe(returns: np.ndarray) -> float:
    """Mean over deviation of returns, of one of them; NaN where they do not vary."""
    deviation = returns.std()
    return float(returns.mean() / deviation) if deviation > 1e-12 else float("nan")


def sharpe_interval(returns: np.ndarray, block: int, a_year: float) -> list[float] | None:
    """The 95 % confidence interval of the Sharpe ratio a year; None where there are too few blocks, or no risk."""
    if len(returns) < 5 * block or returns.std() <= 1e-12:
        return None
    from arch.bootstrap import StationaryBootstrap

    drawn = StationaryBootstrap(block, returns, seed=SEED).bootstrap(DRAWS)
    ratios = np.array([sharpe(np.asarray(sample[0][0])) for sample in drawn]) * np.sqrt(a_year)
    return [float(end) for end in np.nanquantile(ratios, [0.025, 0.975])]


def deflated_sharpe(returns: np.ndarray, trials: Sequence[float]) -> float | None:
    """The probability that the true Sharpe ratio is above that of the luckiest of so many worthless trials.

    trials: the Sharpe ratios of all trials, this one's among them, each of one return as `sharpe` has it. Bailey and
    López de Prado (2014), The deflated Sharpe ratio, J. Portfolio Management 40(5). None where returns do not vary.
    """
    found = sharpe(returns)
    if not np.isfinite(found):
        return None
    known = np.array([one for one in trials if np.isfinite(one)])
    count, spread = len(known), float(known.std())
    luck = 0.0
    if count > 1:
        luck = spread * (
            (1 - np.euler_gamma) * norm.ppf(1 - 1 / count) + np.euler_gamma * norm.ppf(1 - 1 / (count * np.e))
        )
    spread_of_estimate = 1 - skew(returns) * found + (kurtosis(returns, fisher=False) - 1) / 4 * found**2
    return float(norm.cdf((found - luck) * np.sqrt(len(returns) - 1) / np.sqrt(max(spread_of_estimate, 1e-12))))


def stated_and_won(decisions: pd.DataFrame, bins: int = 5) -> list[StatedProbability]:
    """Of decisions with `probability_of_profit` and `return_pct`, by equal bins of the first, those that have any."""
    settled = decisions[decisions["return_pct"].notna()]
    stated, won = settled["probability_of_profit"].to_numpy(), settled["return_pct"].to_numpy() > 0
    place = np.minimum((stated * bins).astype(int), bins - 1)
    return [
        {"decisions": int(at.sum()), "stated": float(stated[at].mean()), "won": float(won[at].mean())}
        for one in range(bins)
        if (at := place == one).any()
    ]
