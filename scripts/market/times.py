"""Times as files write them: numbers of any unit since 1970, ISO 8601, and other clocks, day first or month first."""

import re
from datetime import datetime
from itertools import product

import numpy as np
import pandas as pd

from market.intervals import MINUTE

DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y",
    "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%a %b %d %Y",
)  # fmt: skip
CLOCKS = (
    "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I-%p", "%I %p", "%I%p", "%H", "%H%M",
)  # fmt: skip
FORMATS = (*DATES, *(f"{date}{join}{clock}" for date, join, clock in product(DATES, (" ", "T", ", ", "-"), CLOCKS)))
UNITS = ((1e11, 1e3, "seconds"), (1e14, 1.0, "milliseconds"), (1e17, 1e-3, "microseconds"), (np.inf, 1e-6, "ns"))
SAMPLE = 200  # texts that a format must fit before all are tried


def parse_times(column: pd.Series) -> tuple[np.ndarray, str]:
    """Times [n] int64, ms since 1970 (UTC), and what they were taken for, such as "seconds" or "%d/%m/%Y %H:%M".

    Of several formats that fit, the one by which the times are most regular is taken. Raises ValueError where none
    fits, a time is missing, or day and month cannot be told apart.
    """
    if column.isna().any():
        raise ValueError("a timestamp is missing")
    if pd.api.types.is_datetime64_any_dtype(column):
        return _in_ms(pd.to_datetime(column, utc=True)), "dates"
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    if np.isfinite(numbers).all():
        return _of_numbers(numbers)
    return _of_texts(column.astype(str).str.strip())


def regularity(times: np.ndarray) -> float:
    """How much times look like those of bars, 0 to 1: the share that the most common step, in whole minutes, has."""
    if len(times) < 2:
        return 0.0
    steps, counts = np.unique(np.diff(np.sort(times)), return_counts=True)
    whole = (steps > 0) & (steps % MINUTE == 0)
    return float(counts[whole].max(initial=0) / (len(times) - 1))


def _density(times: np.ndarray) -> float:
    """Share of the bars from the first time to the last that are there, in the most common step."""
    distinct = np.unique(times)
    steps, counts = np.unique(np.diff(distinct), return_counts=True)
    if not len(steps):
        return 1.0
    step = steps[np.argmax(counts)]
    return float(len(distinct) * step / (distinct[-1] - distinct[0] + step))


def _of_numbers(numbers: np.ndarray) -> tuple[np.ndarray, str]:
    """The unit of each number follows from its size, right from 1973 to 5138; one file may mix two."""
    for digits, form in ((8, "%Y%m%d"), (12, "%Y%m%d%H%M"), (14, "%Y%m%d%H%M%S")):
        if ((numbers >= 1.97 * 10 ** (digits - 1)) & (numbers < 2.1 * 10 ** (digits - 1))).all():
            texts = pd.Series(numbers.astype(np.int64)).astype(str)
            return _in_ms(pd.to_datetime(texts, utc=True, format=form)), form
    if (numbers < 1e8).any():
        raise ValueError("its numbers are too small for times")
    scale = np.select([numbers < limit for limit, *_ in UNITS], [factor for _, factor, _ in UNITS])
    units = [unit for _, factor, unit in UNITS if (scale == factor).any()]
    return np.round(numbers * scale).astype(np.int64), " and ".join(units)


def _of_texts(texts: pd.Series) -> tuple[np.ndarray, str]:
    # "GMT+0000 (Coordinated Universal Time)" and " UTC" say what is taken for granted
    texts = texts.str.replace(r"\s*\(.*\)$", "", regex=True).str.replace(r"\s*(UTC|GMT|Z)(?=[+-]\d|$)", "", regex=True)
    try:
        return _in_ms(pd.to_datetime(texts, utc=True, format="ISO8601")), "ISO 8601"
    except ValueError:
        pass
    zone = "%z" if re.search(r":\d\d(\.\d+)?\s*[+-]\d\d:?\d\d$", texts.iloc[0]) else ""
    texts = texts.str.replace(r"\s+(?=[+-]\d\d:?\d\d$)", "", regex=True) if zone else texts
    sample = texts.iloc[:: max(1, len(texts) // SAMPLE)].tolist()
    found: dict[str, np.ndarray] = {}
    for form in (form + zone for form in FORMATS):
        if all(_fits(text, form) for text in sample):
            try:
                found[form] = _in_ms(pd.to_datetime(texts, utc=True, format=form))
            except ValueError:
                continue
    if not found:
        raise ValueError(f"{texts.iloc[0]!r} is not a time in a known format")
    likely = {form: regularity(times) * _density(times) for form, times in found.items()}
    best, *others = sorted(found, key=lambda form: -likely[form])
    for other in others:
        if likely[other] > 0.9 * likely[best] and (found[other] != found[best]).any():
            raise ValueError(f"{texts.iloc[0]!r} may be {best} or {other}")
    return found[best], best


def _fits(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _in_ms(times: pd.Series) -> np.ndarray:
    return times.dt.as_unit("ms").astype("int64").to_numpy()
