"""The config's models: the one source of its keys, their types, defaults and documentation.

A setting is one field here: its type (dag/fields.py), its default and, below it, its description. `make config-files`
writes config/config.yaml, config/schema.json and the tables of docs/configuration.md from them.
"""

import difflib
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer, model_validator
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from common.plug_ins import PATTERN, PlugIn
from dag.fields import (
    BelowOne,
    Count,
    CountOrNull,
    Flag,
    Folder,
    FromText,
    Interval,
    Level,
    MustBe,
    Natural,
    NaturalOrNull,
    NotNegative,
    NullFromText,
    Number,
    Options,
    Percent,
    Positive,
    PositiveOrNull,
    Seed,
    Share,
    Symbol,
    Text,
    Time,
    TimeOrLatest,
    ToNumber,
    UpToHalf,
    Width,
    distinct,
    increasing,
    invalid,
    refused,
    refused_key,
)
from forecasting.members import DEFAULT, MEMBERS, SELECTABLE, member_name, needs
from market.intervals import MINUTE, step_ms
from trading.documents import REQUIRABLE, Sizing
from trading.policies import POLICIES

REQUIRED_LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
# windows of features, in horizons
SPANS = (1 / 12, 1 / 4, 1, 4)
# of the EWMA variance, in bars: shorter ones, as long as the horizon, forecast hours and days worse
LEAST_HALFLIFE = 60
# a year's: greater ones are mistakes, of units for one
MOST_SHARPE = 10

N = TypeVar("N", bound=float)
V = TypeVar("V")


def _required_levels(levels: list[float]) -> list[float]:
    if not set(levels) >= set(REQUIRED_LEVELS):
        raise refused(f"{levels} must contain {', '.join(map(str, REQUIRED_LEVELS))}")
    return levels


def _all_fields(columns: list[str] | None) -> list[str] | None:
    """The columns, if each of a candle's fields is among them once."""
    wrong = [field for field in ("time", "open", "high", "low", "close", "volume") if (columns or []).count(field) != 1]
    if columns is not None and wrong:
        raise refused(f"[{', '.join(columns)}] must contain {', '.join(wrong)} once; - is a column that is not used")
    return columns


def _member(name: str) -> str:
    plug_in = PlugIn.of(name)
    if plug_in and plug_in.name in MEMBERS:
        raise refused(f"{name}: {plug_in.name} is a member of the workflow's own; give the function another name")
    if not plug_in and (".py" in name or ":" in name):
        raise invalid(name, "file.py:function, without braces or further colons")
    if not plug_in and name not in SELECTABLE:
        near = difflib.get_close_matches(name, SELECTABLE, n=1)
        raise refused(
            f"unknown member {name!r}; "
            + (f"did you mean {near[0]}?" if near else f"it may be one of: {', '.join(SELECTABLE)}")
        )
    return name


def _gate(name: str) -> str:
    if name not in REQUIRABLE:
        near = difflib.get_close_matches(name, REQUIRABLE, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it may be one of: {', '.join(REQUIRABLE)}"
        raise refused(f"unknown gate {name!r}; {hint}")
    return name


def _policy(name: str) -> str:
    if name not in POLICIES:
        near = difflib.get_close_matches(name, POLICIES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it may be one of: {', '.join(POLICIES)}"
        raise refused(f"unknown policy {name!r}; {hint}")
    return name


def _one_each(selected: list[str]) -> list[str]:
    """The members or features, if no two have the same name."""
    names = [member_name(text) for text in selected]
    for place, name in enumerate(names):
        if name in names[:place]:
            twin = selected[names.index(name)]
            raise refused(f"{selected[place]} would have the name of {twin}; give one of the functions another name")
    return selected


def _feature(text: str) -> str:
    if not PlugIn.of(text):
        raise invalid(text, "file.py:function, without braces or further colons")
    return text


def _complete(members: list[str]) -> list[str]:
    """The members, if those that they need are among them."""
    for name in members:
        for needed in needs(name):
            if needed not in members:
                raise refused(f"{name} needs {needed}; add it")
    return members


Levels = Annotated[
    list[Level],
    Field(min_length=5),
    FromText,
    MustBe("a list of levels between 0 and 1, such as [0.05, 0.25, 0.5, 0.75, 0.95]"),
    AfterValidator(increasing),
    AfterValidator(_required_levels),
]
Spans = Annotated[
    list[Width],
    Field(min_length=1),
    FromText,
    MustBe("a list of whole numbers of bars, each 2 or more, such as [5, 15, 60, 240]"),
    AfterValidator(increasing),
]
SpansOrNull = Annotated[
    Spans | None, NullFromText, MustBe("null, or a list of whole numbers of bars, 2 or more, such as [5, 15, 60, 240]")
]
Symbols = Annotated[
    list[Symbol],
    Field(min_length=1),
    FromText,
    MustBe("a list of symbols such as [BTC/USDT, ETHUSDT]"),
    AfterValidator(distinct),
]
Seeds = Annotated[
    list[Seed],
    Field(min_length=1),
    FromText,
    MustBe("a list of whole numbers, such as [1, 2, 3]"),
    AfterValidator(distinct),
]
CandleColumn = Annotated[
    Literal["time", "open", "high", "low", "close", "volume", "-"],
    MustBe("time, open, high, low, close, volume or -"),
]
Columns = Annotated[
    list[CandleColumn] | None,
    FromText,
    MustBe("null, or a list of columns such as [time, low, high, open, close, volume]"),
    AfterValidator(_all_fields),
]
Member = Annotated[
    str,
    Field(json_schema_extra={"anyOf": [{"enum": list(SELECTABLE)}, {"pattern": PATTERN}]}),
    MustBe("a string"),
    AfterValidator(_member),
]
Members = Annotated[
    list[Member],
    Field(min_length=1),
    FromText,
    MustBe("a list of members such as [tft, random_walk, lhar_fhs, mine.py:my_member]"),
    AfterValidator(distinct),
    AfterValidator(_one_each),
    AfterValidator(_complete),
]
Functions = Annotated[
    list[Annotated[str, Field(json_schema_extra={"pattern": PATTERN}), MustBe("a string"), AfterValidator(_feature)]],
    FromText,
    MustBe("a list of functions such as [mine.py:my_feature]"),
    AfterValidator(distinct),
    AfterValidator(_one_each),
]
# merged into the settings around them, each is checked as a whole config
Branches = Annotated[
    list[Annotated[dict[str, Any], MustBe("a mapping of settings such as {interval: 5m, horizon: 48}")]],
    MustBe("a list of mappings such as [{interval: 1m, horizon: 60}, {interval: 5m, horizon: 48}]"),
]
FolderOrNull = Annotated[Folder | None, NullFromText, MustBe("a folder, or null")]
TextOrNull = Annotated[Text | None, NullFromText, MustBe("a string, or null")]
TimeOrLatestOrNull = Annotated[
    TimeOrLatest | None, NullFromText, MustBe('latest, a UTC time such as "2024-05-31T12:00:00Z", or null')
]
Digest = Annotated[
    Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None,
    NullFromText,
    MustBe("a SHA-256 of 64 hex digits, in lower case, or null"),
]
SymbolOrBest = Annotated[
    Literal["best"] | Symbol | None,
    Field(union_mode="left_to_right"),
    NullFromText,
    MustBe("one of symbols, best, or null"),
]
Policy = Annotated[
    str, Field(json_schema_extra={"enum": list(POLICIES)}), MustBe(" or ".join(POLICIES)), AfterValidator(_policy)
]
SizingChoice = Annotated[Sizing, MustBe("all, fraction, kelly or volatility")]
PercentOrNull = Annotated[Percent | None, NullFromText, MustBe("a percentage from 0 to under 100, or null")]
ShareOrNull = Annotated[Share | None, NullFromText, MustBe("a number from 0 to 1, or null")]
Rate = Annotated[float, Field(gt=-100, lt=100), ToNumber, MustBe("a percentage from -100 to 100")]
Weight = Annotated[float, Field(ge=-1, le=1), ToNumber, MustBe("a number from -1 to 1")]
Multiples = Annotated[
    list[Positive],
    FromText,
    MustBe("a list of numbers above 0, such as [1, 2], or []"),
    AfterValidator(increasing),
]
Gates = Annotated[
    list[
        Annotated[str, Field(json_schema_extra={"enum": list(REQUIRABLE)}), MustBe("a string"), AfterValidator(_gate)]
    ],
    FromText,
    MustBe(f"a list of gates such as [{', '.join(REQUIRABLE[:2])}], or []"),
    AfterValidator(distinct),
]
GatesOrNull = Annotated[
    Gates | None, NullFromText, MustBe(f"null, or a list of gates such as [{', '.join(REQUIRABLE[:2])}], or []")
]
Device = Annotated[Literal["auto", "cpu", "gpu", "mps"], MustBe("auto, cpu, gpu or mps")]
CalibrationMethod = Annotated[Literal["rolling", "pid", "auto"], MustBe("rolling, pid or auto")]
Weighting = Annotated[Literal["exponential", "equal", "simplex"], MustBe("exponential, equal or simplex")]


class Section(BaseModel):
    """A mapping of settings. No other key is admitted, and no value is converted but a text of the command line."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, validate_default=True)


class Exchange(Section):
    """Where candles come from."""

    id: Text = "simulated"
    """simulated (embedded market, no network), replay (a folder of candle files), or a ccxt exchange id such as
    binance"""
    folder: TextOrNull = None
    """replay: the folder of the candle files, searched with its subfolders"""
    columns: Columns = None
    """replay: fields of the files' columns from left to right, - for one that is not used, such as
    [time, low, high, open, close, volume]; null: told by names and by the values themselves"""
    min_share: Share = 0.5
    """replay: a bar that is resampled from finer ones is made of those that are there if they are at least this share
    of it, and recorded; else it is a gap"""
    options: Options = {}
    """ccxt: constructor options, passed on unchanged; never credentials, which come from the environment"""
    patience: Positive = 600
    """ccxt: seconds for which a request that fails, or is refused for its rate, is repeated"""
    grace: NotNegative = 5
    """ccxt: seconds after its close when a candle is final; one that is missing then is waited for six times as long"""
    seed: Seed = 7
    """simulated: random seed; another seed is another market"""
    trend: Share = 0.02
    """simulated: drift in volatilities of the minute at a signal of 1: how much of a price's direction can be forecast;
    0: nothing"""
    data_end: Time = "2024-06-01T00:00:00Z"
    """simulated: end of the data (UTC)"""


class Candles(Section):
    """Which gaps are filled, and which symbols are refused."""

    fill: Natural = 3
    """gaps of up to this many bars are filled with flat bars of zero volume, and recorded; longer gaps stay"""
    max_missing: Share = 0.1
    """a symbol with a larger share of missing bars is refused"""
    max_conflicting: Share = 0.01
    """a symbol with a larger share of bars that occur twice with different values is refused"""


class Features(Section):
    """What the models see of the candles."""

    spans: SpansOrNull = None
    """windows, in bars, of returns, volatility, volume and moving averages; null: 1/12, 1/4, 1 and 4 horizons"""
    extra: Functions = []
    """features of your own, each a function of a file, such as mine.py:my_feature (docs/plug-ins.md)"""


class Folds(Section):
    """Rolling-origin evaluation."""

    count: Count = 3
    """rolling-origin folds at the end of the history; models are trained anew for each"""
    test_bars: CountOrNull = None
    """bars in each fold's test set; null: 24 horizons, 240 bars or more, but no more than let all folds test a third of
    the history"""
    stride: CountOrNull = None
    """bars from one test origin to the next; null: a quarter of the horizon"""
    embargo: NaturalOrNull = None
    """bars between a fold's training set and its test set; null: one horizon"""
    validation_fraction: UpToHalf = 0.2
    """share of each training set, at its end, that is held out for validation"""
    validation_origins: CountOrNull = 10000
    """validation origins of all symbols together, at most; more are thinned evenly in time; null: no limit"""


class Tft(Section):
    """The Temporal Fusion Transformer and its training."""

    seeds: Seeds = [1]
    """random seeds: one network is trained per seed and fold, and their quantiles are averaged"""
    epochs: Count = 12
    """maximum number of epochs; early stopping may end training sooner"""
    steps_per_epoch: Count = 20
    """gradient steps from one computation of the validation loss to the next"""
    batch_size: Count = 128
    """windows per gradient step; above forks, a multiple of it"""
    forks: Count = 8
    """windows that share a chunk of bars, each with its own origin; bars that they have in common are computed once"""
    stride: CountOrNull = None
    """bars from one origin of a chunk to the next; null: one horizon, or the lookback if that is shorter"""
    loss_steps: CountOrNull = 8
    """steps of the horizon at which a batch's loss is computed, drawn at random for each batch; null: all"""
    learning_rate: Positive = 0.003
    """learning rate of Adam, constant"""
    ema_decay: BelowOne = 0.98
    """decay of the exponential moving average of the weights, smaller in the first steps; the averaged weights are
    validated and used"""
    hidden_size: Count = 16
    """width of the network"""
    hidden_continuous_size: Width = 8
    """width of the network of each continuous variable"""
    attention_heads: Count = 4
    """attention heads; must divide hidden_size"""
    lstm_layers: Count = 1
    """LSTM layers"""
    dropout: BelowOne = 0.2
    """dropout rate"""
    gradient_clip: Positive = 1.0
    """maximum gradient norm"""
    patience: Count = 4
    """early stopping: epochs without a smaller validation loss before training ends"""
    device: Device = "auto"
    """auto, cpu, gpu or mps"""
    threads: Count = 1
    """CPU cores of one training job"""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.hidden_size % self.attention_heads:
            raise refused_key(
                "attention_heads", f"{self.attention_heads} does not divide tft.hidden_size, {self.hidden_size}"
            )
        if self.batch_size > self.forks and self.batch_size % self.forks:
            raise refused_key("batch_size", f"{self.batch_size} is not a multiple of tft.forks, {self.forks}")
        return self


class Search(Section, Generic[N]):
    """The values of a setting that tuning may try: a range, or a list."""

    low: Annotated[N | None, NullFromText] = None
    """smallest value"""
    high: Annotated[N | None, NullFromText] = None
    """largest value"""
    log: Annotated[Flag | None, NullFromText] = None
    """whether to draw from low to high on a log scale"""
    choices: Annotated[
        list[N] | None, Field(min_length=1), FromText, MustBe("a list of values, such as [8, 16, 32]")
    ] = None
    """the values, if not a range"""

    @model_validator(mode="after")
    def _range_or_list(self) -> Self:
        low, high = self.low, self.high
        if (self.choices is None) == (low is None and high is None) or (low is None) != (high is None):
            raise refused("must have either low and high, or choices; null removes one")
        if low is not None and high is not None and low >= high:
            raise refused(f"low {low:g} must be less than high {high:g}")
        if self.log and (low is None or low <= 0):
            raise refused("log needs a low above 0 and a high; give them, or log: false")
        return self

    @model_serializer(mode="wrap")
    def _without_nulls(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None}


OrNull = Annotated[V | None, NullFromText, MustBe("null, or a mapping of low, high and log, or of choices")]


class Space(Section):
    """What tuning tries of each setting of tft; null: its value stays as it is."""

    learning_rate: OrNull[Search[Positive]] = Search[Positive](low=0.0005, high=0.01, log=True)
    """values of tft.learning_rate to try"""
    ema_decay: OrNull[Search[BelowOne]] = Search[BelowOne](low=0.9, high=0.995)
    """values of tft.ema_decay to try"""
    hidden_size: OrNull[Search[Count]] = Search[Count](choices=[8, 16, 32])
    """values of tft.hidden_size to try"""
    hidden_continuous_size: OrNull[Search[Width]] = None
    """values of tft.hidden_continuous_size to try"""
    lstm_layers: OrNull[Search[Count]] = None
    """values of tft.lstm_layers to try"""
    dropout: OrNull[Search[BelowOne]] = Search[BelowOne](low=0.0, high=0.4)
    """values of tft.dropout to try"""
    gradient_clip: OrNull[Search[Positive]] = None
    """values of tft.gradient_clip to try"""


class Tuning(Section):
    """The hyperparameter search, `snakemake tune`."""

    trials: Count = 20
    """configurations to try, the current one first; a larger number continues an earlier search"""
    space: Space = Space()
    previous_trials: Natural = 0
    """configurations that were tried before the settings of tft were chosen; artifacts/tuned.yaml sets it"""


class Baselines(Section):
    """Settings of the baselines."""

    ewma_halflife: PositiveOrNull = None
    """half-life, in bars, of the exponentially weighted variance; null: one horizon, 60 or more"""
    drift_halflife: PositiveOrNull = None
    """half-life, in bars, of the exponentially weighted mean return of ewma_drift; null: four horizons, 240 or
    more"""
    refit_bars: CountOrNull = None
    """bars of a test set after which baselines are refitted, on all data up to then; null: never"""


class LeakTrial(Section):
    """The trial of members and features for look-ahead, `snakemake leak_trial`."""

    cuts: Count = 50
    """origins, spread over the test sets, after each of which all candles are changed: no forecast at or before it may
    change"""
    required: Flag = False
    """whether members and features of your own are used only if they pass it"""


class Ensemble(Section):
    """How the members' forecasts are combined."""

    weights: Weighting = "exponential"
    """exponential: by the members' losses realised so far; equal, or simplex, those with the smallest validation loss:
    of the members within tolerance"""
    rate: Positive = 6
    """exponential: a weight falls by exp(−rate) where a member's losses of a horizon exceed another's by the random
    walk's loss"""
    halflife: Positive = 168
    """exponential: half-life of past losses, in horizons"""
    tolerance: NotNegative = 0.002
    """equal, simplex: a member is selected if its validation loss exceeds the smallest by at most this share"""


class Calibration(Section):
    """How the ensemble forecast is calibrated (docs/calibration.md)."""

    method: CalibrationMethod = "rolling"
    """rolling: by past outcomes' rank; pid: by conformal PID control; auto: pid in folds where its Winkler score in
    validation is smaller"""
    window: Count = 900
    """rolling: origins before a forecast that its calibration uses"""
    strength: Share = 0.5
    """rolling: share of the measured miscalibration that is corrected: 0 none, 1 all"""


class Evaluation(Section):
    """The investor for whom the economic value of a forecast's width is computed (docs/evaluation.md)."""

    sharpe: Positive = 0.4
    """Sharpe ratio a year that the investor expects"""
    risk_aversion: Positive = 2
    """coefficient of relative risk aversion"""


class SamplePaths(Section):
    """Joint sample paths of all symbols, drawn from the ensemble forecast."""

    count: Count = 1000
    """sample paths of an origin"""
    seed: Seed = 1
    """random seed of the moments of history that they take their dependence from"""


class Consensus(Section):
    """The decision, and what a trade costs."""

    symbol: SymbolOrBest = None
    """the symbol whose decision is the run's, mock_trade.json; best: the first in decisions.csv; null: the first of
    symbols"""
    horizon_minutes: CountOrNull = None
    """longest holding period of a trade, in minutes; null: the whole horizon"""
    cash: Positive = 1000
    """cash that a BUY may spend, commissions included; by the policy exposure the wealth"""
    commission_pct: Percent = 0.1
    """commission per side, in percent of the traded amount: the taker's"""
    commission_flat: NotNegative = 0
    """commission per side, in cash"""
    maker_commission_pct: PercentOrNull = None
    """commission of a sale at a take-profit, the maker's; null: commission_pct"""
    slippage_pct: Percent = 0.02
    """slippage per side: how much worse than the candle's close a fill is, in percent"""
    slippage_range_share: NotNegative = 0
    """slippage beside, as a share of the mean range, high less low, of the last 60 bars"""
    funding_pct: Rate = 0
    """funding a day of a perpetual, in percent of the position's value: a long position pays it, a short one gets it"""
    borrow_pct: Percent = 0
    """cost a day of borrowing what a short position sells, in percent of its value"""
    min_edge_pct: Number = 0.05
    """BUY only if the expected return after costs is at least this, in percent"""


class Decision(Section):
    """How it is decided, and what else a BUY asks for (docs/decision.md)."""

    policy: Policy = "trade"
    """trade: buy now and sell within the holding period, or hold; exposure: how much of the wealth to hold, by the
    forecast's width"""
    exits: Count = 12
    """steps at which a plan may sell, at most, evenly spread over the holding period"""
    take_profit: Multiples = [1, 2]
    """take-profit levels of the plans, in deviations of the forecast at the exit; there are always plans without"""
    stop: Multiples = [1, 2]
    """stop levels, likewise"""
    min_probability: Share = 0.5
    """BUY only if the best plan earns something with at least this probability"""
    sizing: SizingChoice = "all"
    """trade: what a BUY spends of the cash: all of it; a fraction; by kelly, the fraction that grows most times
    kelly_cap; by volatility, what makes the volatility of the cash target_volatility_pct"""
    sizing_fraction: Share = 1
    """sizing fraction: the share of the cash"""
    kelly_cap: Share = 0.5
    """sizing kelly: the share of the Kelly fraction"""
    target_volatility_pct: Positive = 20
    """sizing volatility: volatility a year, in percent; no more than all of the cash is spent"""
    prior_sharpe: Number = 0.4
    """exposure: Sharpe ratio a year that is expected of the asset; 0: cash"""
    risk_aversion: Positive = 2
    """exposure: coefficient of relative risk aversion"""
    short: Flag = False
    """exposure: whether the weight may be negative, where prior_sharpe is"""
    max_shortfall_pct: PercentOrNull = None
    """exposure: largest expected shortfall of the wealth over the holding period, the mean of the worst 5 %, in
    percent; null: any"""
    band: ShareOrNull = None
    """exposure: half the width of the band around the target in which the weight stays; null: the optimal one by
    costs"""
    held_weight: Weight = 0
    """exposure: the weight that is held before the decision"""
    require: GatesOrNull = None
    """gates that must pass for a BUY, of freshness, skill, direction, calibration, data_quality, novelty, agreement;
    all are reported; null: freshness and skill by the policy trade, freshness and calibration by exposure"""

    @model_validator(mode="after")
    def _investor_makes_sense(self) -> Self:
        if abs(self.prior_sharpe) > MOST_SHARPE:
            raise refused_key(
                "prior_sharpe", f"{self.prior_sharpe:g} is no Sharpe ratio of a year; usual is 0 to 1, at most 10"
            )
        for key, value in (("prior_sharpe", self.prior_sharpe), ("held_weight", self.held_weight)):
            if value < 0 and not self.short:
                raise refused_key(key, f"{value:g} is below 0, a short position; set decision.short: true, or 0")
        return self


class Ledger(Section):
    """The ledger of decisions, `make decide` and `make settle` (docs/ledger.md)."""

    as_of: TimeOrLatestOrNull = None
    """cutoff of the decision, and none of training: latest, or a UTC time; null: as_of"""
    max_model_age: PositiveOrNull = 30
    """days from training to a decision, after which make decide trains anew; null: never"""
    window: Count = 100
    """latest settled decisions whose skill and coverage are told together, to notice drift"""
    head: Digest = None
    """SHA-256 printed by an earlier run, which ledger_verify looks for in the chain; null: none"""


class Plots(Section):
    """What plots show."""

    timefmt: Text = "%m-%d %H:%M"
    """format of times (strftime, UTC)"""
    pad_minutes: NaturalOrNull = None
    """minutes of history before the entry in the plot of the trade, rounded up to whole bars; null: two horizons"""


class Paths(Section):
    """Folders that a run writes."""

    data: Folder = "data"
    """candles and features"""
    artifacts: Folder = "artifacts"
    """models, forecasts, evaluation, decision, plots"""
    logs: Folder = "lightning_logs"
    """training curves (CSV)"""
    store: FolderOrNull = None
    """candles of live exchanges, for all runs that name it; null: store in the folder of data"""


class Config(Section):
    """All settings of a run. Symbols are in one form (BTCUSDT), times too, however they were written."""

    exchange: Exchange = Exchange()
    symbols: Symbols = ["BTC/USDT", "ETH/USDT"]
    """symbols, written BTC/USDT or BTCUSDT"""
    interval: Interval = "1m"
    """bar length as ccxt writes it: 1m, 5m, 15m, 1h, 4h, 1d, …"""
    as_of: TimeOrLatest = "latest"
    """cutoff, after which no candle is used: latest, or a UTC time such as 2024-05-31T12:00:00Z"""
    days: PositiveOrNull = None
    """days of history before as_of to train and evaluate on; null: 720 horizons, 10,000 bars or more, from 30 to
    1200 days, or longer where the folds need it"""
    candles: Candles = Candles()
    features: Features = Features()
    lookback: Count = 48
    """bars before an origin that a model's input window spans"""
    horizon: Count = 60
    """forecast horizon, in bars"""
    quantiles: Levels = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
    """quantile levels of the forecasts; 0.05, 0.25, 0.5, 0.75 and 0.95 are required"""
    members: Members = list(DEFAULT)
    """the forecasting members (docs/evaluation.md); random_walk is required, and lhar_fhs by tft, which corrects it;
    tft_raw is a direct TFT; mine.py:my_member is a function of a file of your own (docs/plug-ins.md)"""
    folds: Folds = Folds()
    baselines: Baselines = Baselines()
    tft: Tft = Tft()
    tuning: Tuning = Tuning()
    leak_trial: LeakTrial = LeakTrial()
    ensemble: Ensemble = Ensemble()
    calibration: Calibration = Calibration()
    evaluation: Evaluation = Evaluation()
    sample_paths: SamplePaths = SamplePaths()
    consensus: Consensus = Consensus()
    decision: Decision = Decision()
    ledger: Ledger = Ledger()
    plots: Plots = Plots()
    paths: Paths = Paths()
    image: TextOrNull = None
    """container image of the compute rules, used under --use-singularity: a SIF file, docker://…, or null: the one
    that `make image` builds"""
    branches: Branches = []
    """several forecasts in one run: each a mapping of settings that are merged into those above, with separate folders
    such as artifacts/5m-48"""

    @property
    def bar_ms(self) -> int:
        """Length of a bar, ms."""
        return step_ms(self.interval)

    @property
    def spans(self) -> list[int]:
        """Windows of features, in bars."""
        ready = sorted({max(2, round(self.horizon * share)) for share in SPANS})
        return ready if self.features.spans is None else self.features.spans

    @property
    def test_stride(self) -> int:
        """Bars from one test origin to the next."""
        return self.folds.stride or max(1, self.horizon // 4)

    @property
    def ewma_halflife(self) -> float:
        """Half-life of the EWMA variance, in bars."""
        return self.baselines.ewma_halflife or float(max(LEAST_HALFLIFE, self.horizon))

    @property
    def drift_halflife(self) -> float:
        """Half-life of the EWMA of returns, in bars."""
        return self.baselines.drift_halflife or 4.0 * max(LEAST_HALFLIFE, self.horizon)

    @property
    def embargo(self) -> int:
        """Bars between a fold's training set and its test set."""
        return self.horizon if self.folds.embargo is None else self.folds.embargo

    @property
    def origin_stride(self) -> int:
        """Bars from one origin of a chunk to the next."""
        return min(self.horizon, self.lookback) if self.tft.stride is None else self.tft.stride

    @property
    def decision_symbol(self) -> str:
        """The symbol to decide on."""
        return self.consensus.symbol or self.symbols[0]

    @property
    def holding_minutes(self) -> int:
        """Longest holding period of a trade."""
        longest = self.horizon * self.bar_ms // MINUTE
        return longest if self.consensus.horizon_minutes is None else self.consensus.horizon_minutes

    @property
    def required_gates(self) -> list[str]:
        """The gates that must pass for a BUY."""
        ready = list(POLICIES[self.decision.policy].require)
        return ready if self.decision.require is None else self.decision.require

    @property
    def pad_minutes(self) -> int:
        """History before the entry in the plot of the trade."""
        return 2 * self.horizon * self.bar_ms // MINUTE if self.plots.pad_minutes is None else self.plots.pad_minutes

    def to_yaml(self) -> str:
        """The config as a file holds it, keys in order."""
        return yaml.safe_dump(self.model_dump(), sort_keys=True, allow_unicode=True)
