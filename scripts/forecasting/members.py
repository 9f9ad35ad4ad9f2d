"""The registry of members: config, rules, evaluation, figures and docs read it.

A new baseline is a function of the type `forecasting.baselines.interface.SymbolBaseline`, in a new module, and a line
here. A function of a user's own file, which the config names `file.py:function`, is a baseline that is not listed here
(docs/plug-ins.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from common.errors import UserError
from common.plug_ins import PlugIn


@dataclass(frozen=True)
class Member:
    """A member.

    name: in the config, files and tables. kind: what makes it. label: in figures. color, linestyle: of its curves, the
    colour by its name in plotting.style. path: module:function of a baseline, below forecasting.baselines; imported
    when it is called. needs: members that it is made from. all_symbols: the function forecasts all symbols together.
    optional: the default config does not select it.
    """

    name: str
    kind: Literal["baseline", "tft", "ensemble", "oracle"]
    label: str
    color: str
    linestyle: str
    path: str = ""
    needs: tuple[str, ...] = ()
    all_symbols: bool = False
    optional: bool = False

    @property
    def module(self) -> str:
        """The module of the baseline's function."""
        return f"forecasting.baselines.{self.path.partition(':')[0]}"

    @property
    def function(self) -> str:
        """The name of the baseline's function."""
        return self.path.partition(":")[2]


# in the order of tables and legends
REGISTRY = (
    Member("ensemble", "ensemble", "ensemble", "vermillion", "-"),
    Member("tft", "tft", "TFT", "blue", "-", needs=("lhar_fhs",)),
    Member("tft_raw", "tft", "direct TFT", "blue", "--", optional=True),
    Member("random_walk", "baseline", "random walk", "grey", "-", "simple:random_walk"),
    Member("ewma", "baseline", "EWMA", "orange", "-", "simple:ewma"),
    Member("ewma_fhs", "baseline", "EWMA, FHS", "orange", "--", "simple:ewma_fhs"),
    Member("seasonal_ewma_fhs", "baseline", "seasonal EWMA, FHS", "orange", "-.", "simple:seasonal_ewma_fhs"),
    Member("garch_fhs", "baseline", "GARCH, FHS", "sky", "-", "garch:garch_fhs"),
    Member("har_fhs", "baseline", "HAR, FHS", "sky", "--", "har_fhs:har_fhs"),
    Member("lhar_fhs", "baseline", "leverage HAR, FHS", "sky", "-.", "har_fhs:lhar_fhs"),
    Member("drift", "baseline", "leverage HAR + drift", "purple", "--", "drift:drift", all_symbols=True),
    Member("lightgbm", "baseline", "LightGBM", "green", "--", "boosting:lightgbm_quantiles", all_symbols=True),
    Member("ewma_drift", "baseline", "EWMA + drift", "purple", "-", "simple:ewma_drift"),
    Member("seasonal_naive", "baseline", "seasonal naive", "green", "-", "simple:seasonal_naive"),
    Member("oracle", "oracle", "oracle", "black", "--"),
)
MEMBERS = {member.name: member for member in REGISTRY}

# what a member is, where its label says too little to a reader who does not know it
WORDS = {
    "tft": "Temporal Fusion Transformer",
    "tft_raw": "direct Temporal Fusion Transformer",
    "ewma": "exponentially weighted volatility",
    "ewma_fhs": "EWMA volatility, tails of past returns",
    "seasonal_ewma_fhs": "EWMA volatility by time of day, tails of past returns",
    "garch_fhs": "GARCH volatility, tails of past returns",
    "har_fhs": "volatility of several spans (HAR)",
    "lhar_fhs": "HAR volatility with leverage",
    "lightgbm": "gradient-boosted trees",
}

# of the lines of plug-ins, all dotted
PLUG_IN_COLORS = ("blue", "vermillion", "green", "purple", "orange", "sky")

ENSEMBLE = "ensemble"  # of the members that did well in validation: what decisions are taken on
TFT = "tft"  # corrects what it needs
TFT_RAW = "tft_raw"  # forecasts directly
ORACLE = "oracle"  # knows the future: an upper bound, never part of a decision
RANDOM_WALK = "random_walk"  # needed by all: losses are relative to its loss
EWMA = "ewma"  # what widths are sized by where there is nothing better
HAR = "har_fhs"
DRIFT = "drift"  # gives the ensemble its direction

BASELINES = tuple(member.name for member in REGISTRY if member.kind == "baseline")
TFTS = tuple(member.name for member in REGISTRY if member.kind == "tft")
MODELS = (ENSEMBLE, *TFTS)
# what a config may select, and what the default one does
SELECTABLE = (*TFTS, *BASELINES)
DEFAULT = tuple(name for name in SELECTABLE if not MEMBERS[name].optional)


def member_name(selected: str) -> str:
    """The name of a member that a config selects: in files, tables and sentences. A plug-in's is its function's."""
    plug_in = PlugIn.of(selected)
    return plug_in.name if plug_in else selected


def find_member(name: str) -> Member:
    """The member of that name. One that is not in the registry is a plug-in; its colour goes by its name."""
    color = PLUG_IN_COLORS[crc32(name.encode()) % len(PLUG_IN_COLORS)]
    return MEMBERS.get(name) or Member(name, "baseline", name, color, ":")


def needs(name: str) -> tuple[str, ...]:
    """The members that a selection with this one must hold."""
    return (*find_member(name).needs, RANDOM_WALK)


def check_registry(registry: Iterable[Member]) -> None:
    """Raise UserError when two members have the same name."""
    names = [member.name for member in registry]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"scripts/forecasting/members.py: {name} is declared twice; rename or delete one of them")


def display_name(member: str) -> str:
    """The member as a sentence names it: the TFT, the ensemble."""
    return f"the {MEMBERS[member].label}" if member in MODELS else f"the {member}"


def in_words(member: str) -> str:
    """What a member is, for a reader who does not know its name."""
    return WORDS.get(member, find_member(member).label)


def baselines(names: Iterable[str]) -> list[str]:
    """Those of `names` that models are compared with, in the registry's order, then the plug-ins: all baselines but
    `drift`, of which the ensemble is made."""
    given = dict.fromkeys(names)
    return [
        *(name for name in BASELINES if name in given and name != DRIFT),
        *(name for name in given if name not in MEMBERS),
    ]
