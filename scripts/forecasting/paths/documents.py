"""What path_scores.json holds; docs/paths.md says what each field means. NaN is null."""

from typing_extensions import TypedDict  # typing's own is not enough for pydantic before Python 3.12


class PathTest(TypedDict):
    """How much smaller the ensemble paths' loss is than a rival's, relative to it, and the Diebold-Mariano test."""

    skill: float | None
    standard_error: float | None
    p: float | None
    p_holm: float | None


class Tenth(TypedDict):
    """Events whose forecast probability lies in a tenth of [0, 1]: its mean, and the share of them that came true."""

    lower: float
    events: int
    forecast: float | None
    observed: float | None
    standard_error: float | None


class PathScores(TypedDict):
    """path_scores.json."""

    simulated: bool
    interval: str
    horizon: int
    symbols: list[str]
    count: int
    origin_times: int
    stride: int
    losses: dict[str, dict[str, float]]
    tests: dict[str, dict[str, PathTest]]
    touching: dict[str, list[Tenth]]
    drawdown_pit: dict[str, list[float]]
