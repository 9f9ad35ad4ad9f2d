"""What evaluation.json and weights.json hold; docs/evaluation.md says what each field means.

NaN is null. Confidence intervals are [lower, upper].
"""

from typing import Literal

from typing_extensions import TypedDict  # typing's own is not enough for pydantic before Python 3.12


class Metrics(TypedDict):
    """Mean scores of a member, in the order of the tables' columns.

    Null where the reference is zero: the random walk's interval, or the naive forecast's error of the MASE.
    """

    pinball: float
    crps: float
    coverage50: float
    coverage80: float
    coverage90: float
    coverage95: float
    width50: float | None
    width90: float | None
    winkler50: float | None
    winkler90: float | None
    mae: float
    rmse: float
    mase: float | None
    mape: float


class MemberScores(Metrics):
    """A member's pooled scores: skill by baseline, and how many rows had crossing quantiles before they were sorted."""

    oracle_share: float | None
    crossings: int
    skill: dict[str, float | None]


class Skill(TypedDict):
    """Skill over a baseline, with its 95 % confidence interval; null where there are too few origins."""

    skill: float
    confidence_interval: list[float] | None


class SkillTest(Skill):
    """The same, with the Diebold-Mariano test of no difference; `p_holm` is corrected for the number of baselines."""

    standard_error: float | None
    p: float | None
    p_holm: float | None


class Difference(TypedDict):
    """A model's mean loss less a baseline's, relative to the baseline's, and its test."""

    model: str
    baseline: str
    mean: float
    standard_error: float | None
    p: float | None
    p_holm: float | None
    significant: bool
    lags: int
    origin_times: int
    origins: int


class Direction(TypedDict):
    """A member's median as a forecast of direction at a step: R² and MAE against no change, the hit rate of its sign
    at the `origins` where neither it nor the outcome is 0, and the one-sided p of independent signs."""

    step: int
    r2: float | None
    mae: float | None
    origins: int
    hit_rate: float | None
    p: float | None


class ConditionScores(TypedDict):
    """Scores at the origins of one state of the market; Winkler scores are relative to the random walk's there."""

    origins: int
    coverage50: float | None
    coverage90: float | None
    winkler50: float | None
    winkler90: float | None


class CoverageTests(TypedDict):
    """Misses of the 90 % interval of the last step at origins a horizon apart, and p-values of tests of them."""

    origins: int
    miss_rate: float
    kupiec: float | None
    independence: float | None
    christoffersen: float | None


class EconomicValue(TypedDict):
    """Of the forecast deviation at the last step: realised utility (share of wealth a year), its gain over the best
    baseline, mean realised over forecast variance, and QLIKE less the random walk's."""

    utility: float | None
    gain: float | None
    confidence_interval: list[float] | None
    variance_ratio: float | None
    qlike: float | None


class Comparison(TypedDict):
    """Models against baselines; `evaluated_model` is null where no model has forecasts in every fold."""

    evaluated_model: str | None
    best_baseline: str
    skill_vs_best_baseline: float | None
    difference: Difference | None
    comparisons: dict[str, dict[str, SkillTest]]
    vs_best_baseline: dict[str, Skill]
    confidence_set: list[str] | None
    verdict: str
    verdict_tft: str | None


class Details(TypedDict):
    """Of each member: direction, coverage by state of the market and its tests, economic value; and a sentence on the
    direction of the evaluated model."""

    direction: dict[str, list[Direction] | None]
    verdict_direction: str
    by_condition: dict[str, dict[str, ConditionScores]]
    coverage_tests: dict[str, CoverageTests]
    economic_value: dict[str, EconomicValue]


class FoldSpan(TypedDict):
    """A fold: when its training ended, its test span, how many origins it was tested at, and the members' mean weights
    in its ensemble."""

    fold: str
    train_end_iso: str
    test_start_iso: str
    test_end_iso: str
    origins: int
    weights: dict[str, float]


class Pit(TypedDict):
    """Shares of outcomes below, between and above the quantiles: nominal, and by member."""

    nominal: list[float]
    members: dict[str, list[float]]


class Evaluation(Comparison, Details):
    """evaluation.json."""

    simulated: bool
    exchange: str
    interval: str
    horizon: int
    symbols: list[str]
    quantiles: list[float]
    folds: list[FoldSpan]
    members: dict[str, MemberScores]
    oracle: Literal["data-generating process", "realised volatility"] | None
    pit: Pit
    skipped: dict[str, list[str]]
    previous_trials: int


class WeightSettings(TypedDict):
    """The config's sections `ensemble` and `calibration`."""

    weights: Literal["exponential", "equal", "simplex"]
    rate: float
    halflife: float
    tolerance: float
    method: Literal["rolling", "pid", "auto"]
    window: int
    strength: float


class Weights(TypedDict):
    """weights.json: the members' weights in the ensemble, their mean over the fold's test origins or those at the live
    one, and every member's loss in validation.

    identical: members whose forecasts are another's, which counts alone. miscovered: members left out, with the
    coverage of their outermost interval in the latest validation. calibration: the method that was taken.
    """

    weights: dict[str, float]
    validation_loss: dict[str, float]
    identical: dict[str, str]
    miscovered: dict[str, float]
    calibration: Literal["rolling", "pid"]
    settings: WeightSettings
