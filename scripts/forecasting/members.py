"""Names of the members, as files and tables have them: the models, who knows the future, and the baselines."""

from collections.abc import Iterable

TFT = "tft"
TFT_RAW = "tft_raw"  # before calibration
CONSENSUS = "consensus"  # the combined forecast that decisions are taken on
MODELS = (CONSENSUS, TFT, TFT_RAW)
ORACLE = "oracle"
RANDOM_WALK = "random_walk"
BASELINES = (
    RANDOM_WALK,
    "ewma",
    "ewma_fhs",
    "seasonal_ewma_fhs",
    "garch_fhs",
    "har_fhs",
    "lightgbm",
    "ewma_drift",
    "seasonal_naive",
)
# the baselines that are predicted so far
COMPUTED = (RANDOM_WALK, "ewma", "ewma_drift", "seasonal_naive")


def called(member: str) -> str:
    """The member as a sentence names it: the TFT, the consensus."""
    return f"the {({TFT: 'TFT', TFT_RAW: 'raw TFT'}).get(member, member)}"


def baselines(names: Iterable[str]) -> list[str]:
    """Those of `names` that are baselines, in their usual order."""
    given = set(names)
    return [name for name in BASELINES if name in given]
