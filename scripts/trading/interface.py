"""What a policy is: how it decides, how its decision is settled, and how both are told."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.documents import Evaluation
from trading.documents import Audit, Decided, Trade, TradeConfig
from trading.entry import EnsembleForecast, Entry, MemberForecast
from trading.gates import Gate


class Policy(NamedTuple):
    """A policy of `trading.policies.REGISTRY`.

    decide, settle: as `trading.decision.decide` and `trading.settlement.settle`. describe: an audit in a sentence or
    two. told: a decision in two lines of the summary, what is done and what would have to be for another one. merit:
    what decisions on several symbols are ranked by, the larger the better, one figure after the other.
    """

    decide: Callable[
        [
            EnsembleForecast,
            Mapping[str, MemberForecast],
            Evaluation,
            Entry,
            TradeConfig,
            Sequence[Gate],
            float,
        ],
        tuple[Decided, pd.DataFrame],
    ]
    settle: Callable[[Trade, pd.DataFrame, pd.DataFrame, np.ndarray], Audit]
    describe: Callable[[Audit], str]
    told: Callable[[Trade], tuple[str, str]]
    merit: Callable[[Decided], tuple[float, ...]]
