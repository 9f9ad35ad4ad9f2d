"""What the ledger's JSON files hold; docs/ledger.md says what each field means. Times are UTC text."""

from typing import Literal

from typing_extensions import TypedDict  # typing's own is not enough for pydantic before Python 3.12

from trading.documents import Audit

# of the form of entries and settlements
VERSION = 1
Status = Literal["pending", "partial", "complete", "unsettleable"]
# nothing that comes later changes these
FINAL: tuple[Status, ...] = ("complete", "unsettleable")


class Entry(TypedDict):
    """entry.json: what the decisions of a time were made on, and the SHA-256 of the files beside it by their names.

    previous: the SHA-256 of the entry.json before it, null for the first. skill: the ensemble's over the random walk in
    the evaluation.
    """

    version: int
    number: int
    previous: str | None
    as_of: str
    trained: str
    exchange: str
    market: str
    simulated: bool
    interval: str
    horizon: int
    quantile_levels: list[float]
    symbols: dict[str, str]
    skill: float | None
    files: dict[str, str]


class Head(TypedDict):
    """head.json: how many entries there are, the last one's folder, and the SHA-256 of its entry.json."""

    entries: int
    last: str
    head: str


class Score(TypedDict):
    """A member's scores over those steps of the horizon whose closes are there; docs/evaluation.md has their
    formulas."""

    steps: int
    pinball: float
    crps: float
    coverage50: float
    coverage90: float


class SymbolSettlement(TypedDict):
    """What came after the decision on a symbol. closes: by step, null where there is none (yet); scores: by member."""

    status: Status
    reason: str | None
    closes: list[float | None]
    audit: Audit | None
    scores: dict[str, Score]


class Settlement(TypedDict):
    """settlements/<entry>.json. entry: the SHA-256 of the entry.json that is settled."""

    version: int
    entry: str
    as_of: str
    symbols: dict[str, SymbolSettlement]
    seal: str
