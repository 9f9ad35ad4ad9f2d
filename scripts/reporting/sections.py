"""What a section of the report is made of: an answer in a sentence, numbers, figures, pictures, tables."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UNKNOWN = "–"


@dataclass(frozen=True)
class Number:
    """A number with its name and, in words, what it is of."""

    value: str
    name: str
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """An interactive figure of plotly: its id in the page, and what it shows, for those who do not see it too."""

    name: str
    title: str
    alt: str
    figure: Any


@dataclass(frozen=True)
class Picture:
    """A drawn picture of artifacts/plots, as a data URI."""

    title: str
    alt: str
    uri: str


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; the first cell of a row names it."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A question and its answer. short: the answer in a line for the top of the page, none where it has no place there;
    lines: more sentences; notes: what the numbers' names mean; missing: why there is nothing to show."""

    name: str
    question: str
    answer: str
    short: str = ""
    lines: Sequence[str] = ()
    numbers: Sequence[Number] = ()
    charts: Sequence[Chart] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    commands: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


def missing(name: str, question: str, what: str, command: str) -> Section:
    """A section of which nothing is there: what is missing, and the command that makes it."""
    return Section(name, question, f"Not there yet: {what}.", commands=[command])


def picture(plots: Path, name: str, title: str, alt: str) -> list[Picture]:
    """The picture of that name, where it was drawn."""
    path = plots / f"{name}.png"
    if not path.is_file():
        return []
    content = base64.b64encode(path.read_bytes()).decode()
    return [Picture(title, alt, f"data:image/png;base64,{content}")]


def price_text(price: float, close: float | None = None) -> str:
    """A price, its thousands apart, with as many decimals as give `close`, or itself, six digits."""
    size = abs(price if close is None else close) or 1.0
    return f"{price:,.{max(0, 5 - math.floor(math.log10(size)))}f}"


def range_text(low: float, high: float, close: float | None = None) -> str:
    """Two prices as a range."""
    return f"{price_text(low, close)} … {price_text(high, close)}"


def interval_text(interval: Sequence[float] | None, digits: int = 2) -> str:
    """A 95 % confidence interval of shares as percent; nothing where there is none."""
    if interval is None:
        return ""
    return f"95 % CI {100 * interval[0]:+.{digits}f} … {100 * interval[1]:+.{digits}f}"


def p_text(p: float | None) -> str:
    """A p-value as sentences have it."""
    return "unknown" if p is None else "< 0.001" if p < 0.001 else f"{p:.2g}"


def time_text(iso: str) -> str:
    """2024-05-31 23:00 UTC, of an ISO time in UTC."""
    return f"{iso[:16].replace('T', ' ')} UTC"
