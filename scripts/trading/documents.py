"""What mock_trade.json and mock_eval.json hold; docs/decision.md says what each field means.

Times are UTC text, prices and `_usd` amounts in the quote currency, `_pct` in percent.
"""

from typing import Literal

from typing_extensions import TypedDict  # typing's own is not enough for pydantic before Python 3.12

Action = Literal["BUY", "SELL", "HOLD"]
BUY: Action = "BUY"
SELL: Action = "SELL"
HOLD: Action = "HOLD"
# of an audit: whether the closes that settle it are there
Status = Literal["complete", "partial", "pending"]
# consensus.symbol that stands for the first in the ranking
BEST = "best"
# gates, in the order in which they are tested; the last two a BUY always needs
FRESHNESS, SKILL, DIRECTION, CALIBRATION = "freshness", "skill", "direction", "calibration"
DATA_QUALITY, NOVELTY, AGREEMENT = "data_quality", "novelty", "agreement"
EDGE, PROBABILITY = "edge", "probability"
REQUIRABLE = (FRESHNESS, SKILL, DIRECTION, CALIBRATION, DATA_QUALITY, NOVELTY, AGREEMENT)
# of the size of an order; only where sizing or the exchange may make it too small
ORDER = "order"
# decision.sizing, as trading.sizing knows them
Sizing = Literal["all", "fraction", "kelly", "volatility"]


class TradeConfig(TypedDict):
    """The config's sections `consensus` and `decision`, and what is forecast: `horizon` in bars."""

    symbol: str
    interval: str
    horizon: int
    horizon_minutes: int
    cash: float
    commission_pct: float
    commission_flat: float
    maker_commission_pct: float | None
    slippage_pct: float
    slippage_range_share: float
    funding_pct: float
    borrow_pct: float
    min_edge_pct: float
    policy: str
    exits: int
    take_profit: list[float]
    stop: list[float]
    min_probability: float
    sizing: Sizing
    sizing_fraction: float
    kelly_cap: float
    target_volatility_pct: float
    prior_sharpe: float
    risk_aversion: float
    short: bool
    max_shortfall_pct: float | None
    band: float | None
    held_weight: float
    require: list[str]


class Market(TypedDict):
    """What the exchange admits of an order, null where it asks nothing: the step of an amount, the least amount and the
    least cost, in cash. recent_range_pct: mean range of the last bars, of their closes."""

    amount_step: float | None
    least_amount: float | None
    least_cost: float | None
    recent_range_pct: float


class PathForecast(TypedDict):
    """The ensemble's median price at the close of each step."""

    t0_iso: str
    horizon_m: int
    times: list[str]
    price_forecast: list[float]
    model_name: str
    path_sha256: str


class Decision(TypedDict):
    """BUY, SELL or HOLD, why, and what is done: of the policy `trade` the best plan, for a HOLD the one that was not
    executed; of `exposure` the move of the weight. spent_usd: cash paid, commissions included; for a SELL what it
    brings, negative."""

    action: Action
    reason: str
    entry_time: str
    entry_price: float
    target_time: str
    target_price: float
    expected_return_pct: float
    expected_pnl_usd: float
    commission_total_usd: float
    spent_usd: float


class PlanFigures(TypedDict):
    """The best plan: its levels as prices, null where there is none, and what it is expected to leave."""

    exit_step: int
    take_profit_price: float | None
    stop_price: float | None
    median_return_pct: float
    expected_return_pct: float
    standard_error_pct: float
    probability_of_profit: float
    expected_shortfall_pct: float
    fraction: float
    log_growth_pct: float


class Exposure(TypedDict):
    """The weight of the asset in the wealth, by the policy `exposure`: that held before, by volatility alone (null:
    without limit), within limits, and after the move; the band in which it stays; the largest one that is allowed; and
    the mean loss of the worst 5 % of holding the weight, a return. growth: expected log growth of the wealth."""

    held: float
    uncapped: float | None
    target: float
    weight: float
    band_low: float
    band_high: float
    largest: float
    volatility_pct: float
    expected_shortfall_pct: float
    log_growth_pct: float
    traded_usd: float
    cost_usd: float


class Vote(TypedDict):
    """What a member's own forecast would decide, its weight in the ensemble and its loss in the evaluation. exposure:
    the weight of the asset that it would hold; null by the policy `trade`."""

    action: Action
    target_time: str
    target_price: float
    expected_return_pct: float
    exposure: float | None
    weight: float
    pinball: float | None


class GateResult(TypedDict):
    """A condition of a BUY, whether it was met, and whether it must be. An unknown figure is null."""

    name: str
    required: bool
    passed: bool
    figure: float | None
    threshold: float
    detail: str


class CostSheet(TypedDict):
    """What would be decided at other commissions a side: the expected return of the best plan without levels and
    whether one qualifies, or the weight; null by the other policy."""

    commission_pct: list[float]
    expected_return_pct: list[float] | None
    qualifies: list[bool] | None
    weight: list[float] | None


class Breakeven(TypedDict):
    """The close at which the costs are earned, and the price change from the entry to there, null where nothing is
    held; what would have to be for another decision: the median price change at the plan's exit (null by the policy
    `exposure`), the commission a side (null: none), and the required gates that failed. edge_pct: by how much the
    expected return misses what a BUY needs, negative where it exceeds it; null by `exposure`."""

    price: float | None
    return_pct: float | None
    median_return_pct: float | None
    edge_pct: float | None
    commission_pct: float | None
    failed_gates: list[str]
    sheet: CostSheet


class Candidates(TypedDict):
    """Among how many the symbol and its plan were chosen, and the symbol's rank by expected log growth."""

    symbols: int
    rank: int
    plans: int


class Inputs(TypedDict):
    """SHA-256 of what a decision stands on: of each file, of all scripts, and of the config; and the name of the
    container image of the lock."""

    files: dict[str, str]
    scripts: str
    config: str
    image: str


class Decided(TypedDict):
    """All that follows from the forecasts, the evaluation and the costs."""

    decision: Decision
    plan: PlanFigures | None
    exposure: Exposure | None
    market: Market
    votes: dict[str, Vote]
    gates: list[GateResult]
    breakeven: Breakeven


def plan_of(decided: Decided) -> PlanFigures:
    """The plan of a decision by the policy `trade`. Raises ValueError of another policy's."""
    if decided["plan"] is None:
        raise ValueError("a decision by another policy than trade has no plan")
    return decided["plan"]


def exposure_of(decided: Decided) -> Exposure:
    """The weight of a decision by the policy `exposure`. Raises ValueError of another policy's."""
    if decided["exposure"] is None:
        raise ValueError("a decision by another policy than exposure has no weight")
    return decided["exposure"]


class UnsealedTrade(Decided):
    """mock_trade.json before it is sealed."""

    config: TradeConfig
    simulated: bool
    age_seconds: float | None
    candidates: Candidates
    evaluation_sha256: str
    plans_sha256: str
    forecast: PathForecast


class Trade(UnsealedTrade):
    """mock_trade.json."""

    inputs: Inputs
    seal: str


class PlanResult(TypedDict):
    """What a plan of the grid left, or would have: when it sold, and its return after costs."""

    exit_time: str
    take_profit_price: float | None
    stop_price: float | None
    sell_time: str
    return_pct: float


class MissedTrade(TypedDict):
    """What the plan of a HOLD would have returned."""

    sell_time: str
    sell_fill: float
    pnl_usd: float
    return_pct: float
    hold_was_right: bool


class Alternative(TypedDict):
    """A weight that could have been held: what it returned, costs of the move included."""

    name: str
    weight: float
    return_pct: float


class Held(TypedDict):
    """What the weight earned up to the last close of the holding period, costs of the move included, and what others
    would have: cash, the weight held before, all of the wealth."""

    weight: float
    marked_at: str
    mark_price: float
    pnl_usd: float
    return_pct: float
    alternatives: list[Alternative]


class Fills(TypedDict):
    """What was bought and sold: nothing for a HOLD; null where no close up to the sale is available yet. exposure: null
    by the policy `trade`, and while no close is available."""

    entry_fill: float | None
    units_bought: float
    sell_time: str | None
    sell_fill: float | None
    commission_total_usd: float | None
    realized_pnl_usd: float | None
    realized_return_pct: float | None
    missed: MissedTrade | None
    plans: list[PlanResult]
    exposure: Held | None


class Audit(Fills):
    """mock_eval.json."""

    status: Status
    evaluated_at: str
    symbol: str
    interval: str
    policy: str
    action: Action
    entry_time: str
    was_partial_window: bool
    horizon_return_pct: float | None
    forecast_error_pct: float | None
    inside_90: float | None
    simulated: bool
    changed: list[str]
    seal: str


class StrategyResult(TypedDict):
    """What a strategy of a backtest left after costs. exposure: its mean weight; turnover: amount traded a year, in
    wealths; costs_pct: paid in all, and a year; hit_rate: share of its round trips that earned something. Null where
    there is none."""

    return_pct: float
    annual_volatility_pct: float
    sharpe: float | None
    sharpe_interval: list[float] | None
    maximum_drawdown_pct: float
    exposure: float
    turnover: float
    costs_pct: float
    annual_costs_pct: float
    trades: int
    hit_rate: float | None


class StatedProbability(TypedDict):
    """Decisions of about the same stated probability of a profit, the mean of these, and the share that won."""

    decisions: int
    stated: float
    won: float


class Regret(TypedDict):
    """What the best plans of HOLDs would have left, percent: their mean, and the share that would have earned
    something; and the mean of all plans."""

    holds: int
    best_plan_pct: float
    would_have_won: float
    mean_plan_pct: float


class RiskTests(TypedDict):
    """The forecast's value at risk and expected shortfall at 95 % over the horizon, at moments a horizon apart: the
    share of losses beyond the first (0.05 is right) with Kupiec's p; and the mean of these losses over the second, less
    1 (0 is right, above 0 losses were larger)."""

    moments: int
    exceeded: float
    kupiec: float | None
    shortfall_excess: float | None


class DeflatedSharpe(TypedDict):
    """The probability that the policy's true Sharpe ratio exceeds that of the luckiest of `trials` worthless ones."""

    probability: float | None
    trials: int


class Backtest(TypedDict):
    """backtest.json."""

    simulated: bool
    exchange: str
    interval: str
    horizon: int
    symbols: list[str]
    policy: str
    start: str
    end: str
    decisions: int
    actions: dict[str, int]
    strategies: dict[str, StrategyResult]
    deflated_sharpe: DeflatedSharpe
    stated: list[StatedProbability]
    regret: Regret | None
    risk: RiskTests
    utility_over_ewma: dict[str, float | list[float] | None]
    utility_at_most_pct: float
    verdicts: list[str]
