"""Names of the members, as files and tables have them: the models, who knows the future, and the baselines."""

from collections.abc import Iterable

ENSEMBLE = "ensemble"  # of the members that did well in validation: what decisions are taken on
TFT = "tft"  # a correction of BASE
TFT_RAW = "tft_raw"  # speaks for itself
MODELS = (ENSEMBLE, TFT, TFT_RAW)
ORACLE = "oracle"
RANDOM_WALK = "random_walk"
HAR = "har_fhs"
BASE = "lhar_fhs"
BASELINES = (
    RANDOM_WALK,
    "ewma",
    "ewma_fhs",
    "seasonal_ewma_fhs",
    "garch_fhs",
    HAR,
    BASE,
    "lightgbm",
    "ewma_drift",
    "seasonal_naive",
)


def display_name(member: str) -> str:
    """The member as a sentence names it: the TFT, the ensemble."""
    return f"the {({TFT: 'TFT', TFT_RAW: 'raw TFT'}).get(member, member)}"


def baselines(names: Iterable[str]) -> list[str]:
    """Those of `names` that are baselines, in their usual order."""
    given = set(names)
    return [name for name in BASELINES if name in given]
