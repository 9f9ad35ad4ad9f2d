"""What mock_trade.json and mock_eval.json hold; docs/decision.md says what each field means.

Times are UTC text, prices and `_usd` amounts in the quote currency, `_pct` in percent.
"""

from typing import Literal

from typing_extensions import TypedDict  # typing's own is not enough for pydantic before Python 3.12

Action = Literal["BUY", "HOLD"]
BUY: Action = "BUY"
HOLD: Action = "HOLD"
# consensus.symbol that stands for the first in the ranking
BEST = "best"
# gates, in the order in which they are tested; the last two a BUY always needs
FRESHNESS, SKILL, DIRECTION, CALIBRATION = "freshness", "skill", "direction", "calibration"
DATA_QUALITY, NOVELTY, AGREEMENT = "data_quality", "novelty", "agreement"
EDGE, PROBABILITY = "edge", "probability"
REQUIRABLE = (FRESHNESS, SKILL, DIRECTION, CALIBRATION, DATA_QUALITY, NOVELTY, AGREEMENT)


class TradeConfig(TypedDict):
    """The config's sections `consensus` and `decision`, and what is forecast: `horizon` in bars."""

    symbol: str
    interval: str
    horizon: int
    horizon_minutes: int
    cash: float
    commission_pct: float
    commission_flat: float
    slippage_pct: float
    min_edge_pct: float
    policy: Literal["trade"]
    exits: int
    take_profit: list[float]
    stop: list[float]
    min_probability: float
    require: list[str]


class PathForecast(TypedDict):
    """The ensemble's median price at the close of each step."""

    t0_iso: str
    horizon_m: int
    times: list[str]
    price_forecast: list[float]
    model_name: str
    path_sha256: str


class Decision(TypedDict):
    """BUY or HOLD, why, and the best plan: for a HOLD the one that was not executed."""

    action: Action
    reason: str
    entry_time: str
    entry_price: float
    target_time: str
    target_price: float
    expected_return_pct: float
    expected_pnl_usd: float
    commission_total_usd: float


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


class Vote(TypedDict):
    """What a member's own forecast would decide, its weight in the ensemble and its loss in the evaluation."""

    action: Action
    target_time: str
    target_price: float
    expected_return_pct: float
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


class Breakeven(TypedDict):
    """The close at which a sale returns the cash, and the price change from the entry to there; what would have to be
    for a BUY: the median price change at the plan's exit, the commission a side (null: none is low enough), and the
    required gates that failed."""

    price: float
    return_pct: float
    median_return_pct: float
    commission_pct: float | None
    failed_gates: list[str]


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
    plan: PlanFigures
    votes: dict[str, Vote]
    gates: list[GateResult]
    breakeven: Breakeven


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


class Fills(TypedDict):
    """What was bought and sold: nothing for a HOLD; null where no close up to the sale is available yet."""

    entry_fill: float | None
    units_bought: float
    sell_time: str | None
    sell_fill: float | None
    commission_total_usd: float | None
    realized_pnl_usd: float | None
    realized_return_pct: float | None
    missed: MissedTrade | None


class Audit(Fills):
    """mock_eval.json."""

    status: Literal["complete", "partial", "pending"]
    evaluated_at: str
    symbol: str
    interval: str
    action: Action
    entry_time: str
    was_partial_window: bool
    horizon_return_pct: float | None
    plans: list[PlanResult]
    forecast_error_pct: float | None
    inside_90: float | None
    simulated: bool
    changed: list[str]
    seal: str
