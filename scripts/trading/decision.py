"""The decision, by the policy that the config names. Functions of a moment's forecast alone: they read no file, and no
clock."""

from collections.abc import Mapping, Sequence

import pandas as pd

from common.errors import UserError
from forecasting.documents import Evaluation
from market.intervals import MINUTE
from trading.documents import Decided, TradeConfig
from trading.entry import EnsembleForecast, Entry, MemberForecast
from trading.gates import Gate
from trading.policies import policy_of


def steps_ahead(horizon_minutes: int, horizon: int, bar_ms: int) -> int:
    """Steps of `bar_ms` milliseconds within `horizon_minutes` minutes.

    Raises UserError unless it is a positive multiple of the interval within the `horizon` steps.
    """
    minutes = bar_ms // MINUTE
    if horizon_minutes % minutes or not minutes <= horizon_minutes <= horizon * minutes:
        raise UserError(
            f"consensus.horizon_minutes: {horizon_minutes} is not a whole number of bars within the horizon; "
            f"it may be a multiple of {minutes} from {minutes} to {horizon * minutes}"
        )
    return horizon_minutes // minutes


def decide(
    forecast: EnsembleForecast,
    members: Mapping[str, MemberForecast],
    evaluation: Evaluation,
    entry: Entry,
    config: TradeConfig,
    gates: Sequence[Gate],
    held: float | None = None,
) -> tuple[Decided, pd.DataFrame]:
    """The decision on the ensemble forecast, and the table of what it was chosen from.

    gates: those that do not hang on what is chosen. held: the weight of the asset in the wealth before; None: the
    config's. Raises UserError on a policy that is not there, on cash too small to trade, and on quantiles or paths that
    are none.
    """
    before = config["held_weight"] if held is None else held
    return policy_of(config["policy"]).decide(forecast, members, evaluation, entry, config, gates, before)
