"""Which column of a table is a candle's time, open, high, low, close and volume: by its name, and by evidence.

Evidence is what the rows say: the high is the highest, the low the lowest; an open is about the close before it; the
base currency's volume times the price is the quote currency's; opening times are on the interval's grid.
"""

import re
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import pandas as pd

from common.errors import UserError
from market.pairs import BITCOIN, canonical, split
from market.times import parse_times, regularity

PRICES = ("open", "high", "low", "close")
FIELDS = ("time", *PRICES, "volume")
SKIP = "-"  # in exchange.columns, a column that is not used

TIME_NAMES = {
    "timestamp", "time", "date", "datetime", "open time", "opentime", "unix", "unix time", "unix timestamp", "ts", "t",
    "start", "start time", "begin", "time open", "time period start", "open timestamp", "utc", "gmt time", "index", "",
    "time utc", "date utc", "timestamp ms", "epoch", "unnamed: 0", "starttime", "open date", "dt", "mts",
}  # fmt: skip
CLOSING_NAMES = {"close time", "closetime", "time close", "time period end", "end", "end time", "close timestamp"}
PRICE_NAMES = {
    "open": ("open", "o", "open price", "price open", "opening price", "first", "px open"),
    "high": ("high", "h", "high price", "price high", "highest", "max", "px high"),
    "low": ("low", "l", "low price", "price low", "lowest", "min", "px low"),
    "close": ("close", "c", "close price", "price close", "closing price", "last", "px close", "price", "adj close"),
}
VOLUME_NAMES = ("volume", "vol", "v", "volumefrom", "base volume", "volume base", "basevolume", "base asset volume")
PERHAPS_VOLUME = ("amount", "qty", "quantity", "size")
NO_CURRENCY = {"VOLUME", "VOL", "BASE", "QUOTE", "ASSET", "TRADE", "TRADED", "V", "IN", "OF", "AMOUNT", "QTY", "SIZE"}
QUOTE_VOLUME = re.compile(r"quote|turnover|volumeto|currency|notional|taker|change")
PAIR_NAMES = ("symbol", "pair", "ticker", "market", "instrument", "tic", "coin")

SAMPLE = 5000  # rows that evidence is taken from
MIN_SHARE = 0.8  # of rows in which the high must be the highest, the low the lowest
ALIKE = 0.15  # mean difference of the logarithms of two prices of a bar, at most
SURE = 0.8  # an order of open and close is sure if its error is at most this share of the other's
FEW = 20  # steps between rows, below which the usual order is taken where the rows cannot tell
UNIT_OF_CLOSE = (1, 1000)  # ms from a closing time such as 23:59:59.999 or 23:59:59 to the next open


@dataclass(frozen=True)
class Column:
    """A column: its label as text, its name in plain words, its values."""

    label: str
    name: str
    values: pd.Series


def candle_rows(
    table: pd.DataFrame, symbol: str, order: list[str] | None = None
) -> tuple[np.ndarray, dict[str, str]]:  # fmt: skip
    """Rows [n, 6] of a table: open time (ms), open, high, low, close, volume; and what was taken for which.

    symbol: of several, its rows and the volume in its base currency are taken. order: the columns' fields from left to
    right, `-` for one that is not used, where the user says it. Raises UserError with the reason and a row.
    """
    columns = _columns(_of_symbol(table, symbol))
    if len(columns) < len(FIELDS):
        raise UserError(_not_candles(columns))
    if order:
        chosen = _as_told(columns, order)
        time_column = chosen.pop("time")
        times, unit = _times_of(time_column, {})
        times = _opens(times, time_column)
    else:
        times, time_column, unit = _time(columns)
        rest = [column for column in columns if column is not time_column]
        chosen = _prices(rest, times)
        chosen["volume"] = _volume(rest, chosen, symbol)
    said = {"time": f"{time_column.label} ({unit})"}
    rows = np.column_stack([times, *(_numbers(chosen[field]) for field in FIELDS[1:])])
    _check(rows)
    last, before = np.isnan(rows[-1]), np.isnan(rows[-min(2, len(rows))])
    if (last & ~before).any():
        raise UserError("its last line is incomplete; delete or replace the file")
    return rows, said | {field: chosen[field].label for field in FIELDS[1:]}


def _columns(table: pd.DataFrame) -> list[Column]:
    """Without names, a column's label is its place: column 1, column 2, …"""
    unnamed = all(isinstance(label, int) for label in table.columns)
    columns = []
    for place, label in enumerate(table.columns):
        text = f"column {place + 1}" if unnamed else str(label).strip()
        name = "" if unnamed else " ".join(re.split(r"[\s_\-()\[\]<>/]+", text.lower())).strip(" .")
        columns.append(Column(text, SKIP if unnamed else name, table.iloc[:, place]))
    return columns


def _of_symbol(table: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """The symbol's rows of a table of several. Raises UserError when it has none."""
    for label in table.columns:
        values = table[label] if list(table.columns).count(label) == 1 else None
        if str(label).strip().lower() not in PAIR_NAMES or values is None or values.nunique() < 2:
            continue
        names = {value: canonical(re.sub("[-_ ]", "", str(value))) for value in values.unique()}
        base = canonical(split(symbol)[0])
        wanted = [value for value, name in names.items() if name in (canonical(symbol), base)]
        if not wanted:
            found = ", ".join(map(str, list(names)[:5]))
            raise UserError(f"its column {label} has {found}, not {symbol}; give a file of {symbol}")
        return table[values.isin(wanted)].reset_index(drop=True)
    return table


def _as_told(columns: list[Column], order: list[str]) -> dict[str, Column]:
    if len(columns) < len(order):
        raise UserError(
            f"has {len(columns)} columns, but exchange.columns names {len(order)}; correct exchange.columns"
        )
    return {field: columns[place] for place, field in enumerate(order) if field != SKIP}


def _numbers(column: Column) -> np.ndarray:
    """Numbers [n] of a column; `12.3K` is 12,300. Raises UserError where one is none."""
    if pd.api.types.is_numeric_dtype(column.values):
        return column.values.to_numpy(np.float64)
    texts = column.values.astype("string").str.strip().str.replace("$", "")
    scales = texts.str.extract(r"\d([KMB])$")[0].map({"K": 1e3, "M": 1e6, "B": 1e9}).fillna(1.0)
    try:
        numbers = pd.to_numeric(texts.str.replace(r"(?<=\d)[KMB]$", "", regex=True))
    except (ValueError, TypeError) as error:
        raise UserError(f"invalid candle file: {column.label}: {error}; delete or replace it") from error
    return (numbers.astype("Float64") * scales).to_numpy(np.float64, na_value=np.nan)


def _is_numeric(column: Column) -> bool:
    if pd.api.types.is_bool_dtype(column.values) or pd.api.types.is_datetime64_any_dtype(column.values):
        return False
    try:
        return bool(np.isfinite(_numbers(column)[:-1]).mean() > MIN_SHARE) if len(column.values) > 1 else True
    except UserError:
        return False


def _sample(values: np.ndarray) -> np.ndarray:
    """A head of the rows: neighbours stay neighbours."""
    return values[:SAMPLE]


# --- the time ---


def _time(columns: list[Column]) -> tuple[np.ndarray, Column, str]:
    """Open times [n] (ms), the column they are from, and what they were taken for. Raises UserError."""
    named = [column for column in columns if column.name in TIME_NAMES | CLOSING_NAMES]
    reasons: dict[str, str] = {}
    found = _readable_times(named, reasons) or _readable_times([c for c in columns if c not in named], {}, sure=True)
    if not found:
        raise UserError(
            "; ".join(f"invalid candle file: {label}: {reason}" for label, reason in reasons.items())
            or f"not a candle file: no column is a time; {_described(columns)}"
        )
    found.sort(key=_fitness, reverse=True)
    times, column, unit = found[0]
    opens = _opens(times, column)
    if opens is not times:
        unit += ", closing times turned into opening times"
    return opens, column, unit


def _readable_times(
    columns: list[Column], reasons: dict[str, str], sure: bool = False
) -> list[tuple[np.ndarray, Column, str]]:  # fmt: skip
    """Columns that are times, and a date with the clock beside it. sure: only those whose steps are those of bars."""
    clocks = [column for column in columns if _matches(column, r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?")]
    joined = [
        Column(f"{day.label} {clock.label}", "", day.values.astype(str).str.cat(clock.values.astype(str), sep=" "))
        for day, clock in product(columns, clocks)
        if day is not clock and _matches(day, r"[\d./-]{6,10}")
    ]
    found = []
    for column in [*joined, *(column for column in columns if column not in clocks)]:
        try:
            times, unit = _times_of(column, reasons)
        except UserError:
            continue
        if not sure or _like_bars(times):
            found.append((times, column, unit))
    return found


def _times_of(column: Column, reasons: dict[str, str]) -> tuple[np.ndarray, str]:
    try:
        return parse_times(column.values)
    except (ValueError, OverflowError, TypeError) as error:
        reasons[column.label] = f"{error}; delete or replace it"
        raise UserError(f"invalid candle file: {column.label}: {error}; delete or replace it") from error


def _matches(column: Column, pattern: str) -> bool:
    return not column.values.empty and re.fullmatch(pattern, str(column.values.iloc[0]).strip()) is not None


def _fitness(found: tuple[np.ndarray, Column, str]) -> tuple[float, ...]:
    """The larger the likelier: as regular as bars, on their grid, not called closing, numbers, the earlier."""
    times, column, _ = found
    on_grid = np.mean(times % _bar_ms(times) == 0)
    numeric = pd.api.types.is_numeric_dtype(column.values)
    closing = column.name in CLOSING_NAMES
    return round(regularity(times), 1), round(float(on_grid), 1), not closing, numeric, -float(times[0])


def _bar_ms(times: np.ndarray) -> int:
    """The most common time between two bars."""
    steps, counts = np.unique(np.diff(np.unique(times)), return_counts=True)
    return int(steps[np.argmax(counts)]) if len(steps) else 1


def _opens(times: np.ndarray, column: Column) -> np.ndarray:
    """Opening times where those of the column are of the close: one unit before the grid, or so called."""
    bar_ms = _bar_ms(times)
    for unit in UNIT_OF_CLOSE:
        if bar_ms > 60 * unit and np.mean((times + unit) % bar_ms == 0) > 0.9:
            return np.asarray(times + unit - bar_ms)
    if column.name in CLOSING_NAMES and bar_ms > 1:
        return np.asarray(times - bar_ms)
    return times


# --- the prices ---


def _prices(columns: list[Column], times: np.ndarray) -> dict[str, Column]:
    """The columns of the four prices: those of their names, else by evidence. Raises UserError."""
    candidates = {
        field: [column for name in names for column in columns if column.name == name]
        for field, names in PRICE_NAMES.items()
    }
    missing = [field for field, found in candidates.items() if not found]
    if len(missing) == len(PRICES):
        return _prices_by_evidence(columns, times)
    if missing:
        raise UserError(_not_candles(columns))
    exact = {column.name for found in candidates.values() for column in found}
    for name in exact:
        same = [column for column in columns if column.name == name]
        if len(same) > 1:
            raise UserError(f"{len(same)} columns are named {same[0].label}; remove all but one")
    if all(len(found) == 1 for found in candidates.values()):
        return {field: found[0] for field, found in candidates.items()}
    values = {column.label: _sample(_numbers(column)) for found in candidates.values() for column in found}
    choices = [choice for choice in product(*candidates.values()) if len({c.label for c in choice}) == len(PRICES)]
    best = max(choices, key=lambda choice: _share_possible(np.array([values[column.label] for column in choice])))
    return dict(zip(PRICES, best, strict=True))


def _share_possible(prices: np.ndarray) -> float:
    """Share of rows of which open and close, [4, n], are within low to high."""
    opened, high, low, close = prices
    return float(np.mean((high >= np.maximum(opened, close)) & (low <= np.minimum(opened, close))))


def _prices_by_evidence(columns: list[Column], times: np.ndarray) -> dict[str, Column]:
    """High is the highest, low the lowest; of the others, open is the one that follows a close."""
    group = _alike([column for column in columns if _is_numeric(column)])
    if len(group) < len(PRICES):
        raise UserError(_not_candles(columns))
    order = np.argsort(times, kind="stable")
    values = np.array([_sample(_numbers(column)[order]) for column in group])
    moved = values.max(axis=0) > values.min(axis=0)
    highest = (values == values.max(axis=0))[:, moved].mean(axis=1) if moved.any() else np.zeros(len(group))
    lowest = (values == values.min(axis=0))[:, moved].mean(axis=1) if moved.any() else np.zeros(len(group))
    high, low = int(np.argmax(highest)), int(np.argmax(lowest))
    sample = f"a row is {', '.join(f'{value:g}' for value in values[:, 0])}; say the order in exchange.columns"
    if not moved.any():
        raise UserError(f"no price moves within a bar, so high and low cannot be told; {sample}")
    if min(highest[high], lowest[low]) < MIN_SHARE or high == low:
        raise UserError(f"no column is the highest or the lowest of its row throughout; {sample}")
    inner = [place for place in range(len(group)) if place not in (high, low)]
    opened, close = _open_and_close(values, np.sort(times)[:SAMPLE], inner, sample)
    return dict(zip(PRICES, (group[place] for place in (opened, high, low, close)), strict=True))


def _open_and_close(values: np.ndarray, times: np.ndarray, inner: list[int], sample: str) -> tuple[int, int]:
    """Of the columns `inner` of values [k, n], the two of which the first is about the second one bar before."""
    follows = np.diff(times) == _bar_ms(times)
    logs = np.log(np.where(values > 0, values, np.nan))
    errors = {
        (opened, close): _mean(np.abs(logs[opened, 1:] - logs[close, :-1])[follows])
        for opened, close in permutations(inner, 2)
        if follows.any()
    }
    ranked = sorted(errors, key=errors.__getitem__)
    if len(ranked) > 1 and errors[ranked[0]] <= SURE * errors[ranked[1]]:
        return ranked[0]
    if follows.sum() < FEW and len(inner) == 2:
        return inner[0], inner[1]
    raise UserError(f"open and close cannot be told apart: no column follows another one's last value; {sample}")


def _alike(columns: list[Column]) -> list[Column]:
    """The largest group of columns whose values are about the same in each row, as prices of a bar are."""
    values = [_sample(_numbers(column)) for column in columns]
    logs = [np.log(np.where(part > 0, part, np.nan)) for part in values]
    groups = [
        [column for column, log in zip(columns, logs, strict=True) if _mean(np.abs(log - one)) < ALIKE] for one in logs
    ]
    return max(groups, key=len, default=[])


def _mean(gaps: np.ndarray) -> float:
    """Mean of the gaps that are known, each at most 1; 1 where none is."""
    known = gaps[np.isfinite(gaps)]
    return float(np.minimum(known, 1).mean()) if len(known) else 1.0


def _check(rows: np.ndarray) -> None:
    """Raise UserError when most rows are no bars at all."""
    opened, high, low, close = rows[:, 1:5].T
    swapped = high < low
    outside = ~swapped & ((np.maximum(opened, close) > high) | (np.minimum(opened, close) < low))
    for wrong, what in ((swapped, "high below low"), (outside, "open or close outside low to high")):
        if wrong.sum() > len(rows) / 2:
            row = ", ".join(f"{value:.10g}" for value in rows[np.argmax(wrong)])
            raise UserError(
                f"{what} in {wrong.sum()} of {len(rows)} rows, as in {row} (time, open, high, low, close, volume); "
                "correct its head, or say the order of its columns in exchange.columns"
            )


# --- the volume ---


def _volume(columns: list[Column], prices: dict[str, Column], symbol: str) -> Column:
    """The volume in the base currency. Raises UserError when there is none."""
    numeric = [column for column in columns if column not in prices.values() and _is_numeric(column)]
    price = _numbers(prices["close"])
    if not any(_volume_like(column) for column in numeric):
        if prices["open"].name in PRICE_NAMES["open"]:
            raise UserError(_not_candles(columns))
        return _volume_by_evidence(columns, numeric, prices)
    base = _plain(split(symbol)[0])
    volumes = [column for column in numeric if _volume_like(column)]
    in_base = [column for column in volumes if base and base in _currencies_in(column)]
    plain = [column for name in (*VOLUME_NAMES, *PERHAPS_VOLUME) for column in volumes if column.name == name]
    others = [
        column
        for column in volumes
        if not QUOTE_VOLUME.search(column.name) and not (_currencies_in(column) and symbol) and column not in plain
    ]
    found = [*in_base, *plain, *others]
    if not found:
        labels = ", ".join(column.label for column in volumes)
        raise UserError(f"has no volume in {base or 'the base currency'}, only {labels}; add it, or another file")
    return _base_of_two(found[0], volumes, price)


def _volume_by_evidence(columns: list[Column], numeric: list[Column], prices: dict[str, Column]) -> Column:
    """Of columns without names, the first after the prices that is no time and no price, such as the average."""
    close = _numbers(prices["close"])
    others = [column for column in numeric if not _is_time(column) and len(_alike([prices["close"], column])) < 2]
    if not others:
        raise UserError(_not_candles(columns))
    last = max(columns.index(column) for column in prices.values())
    after = [column for column in others if columns.index(column) > last]
    return _base_of_two((after or others)[0], others, close)


def _volume_like(column: Column) -> bool:
    words = column.name.split()
    return (
        any(word.startswith("vol") or word == "turnover" for word in words)
        or column.name.endswith("volume")
        or column.name in (*VOLUME_NAMES, *PERHAPS_VOLUME)
    ) and not re.search(r"taker|trades|count|number|change", column.name)


def _currencies_in(column: Column) -> set[str]:
    """The words of a volume's name that are currencies: BTC of `Volume BTC`, `Volume_(BTC)` and `btc_volume`."""
    return {_plain(word) for word in column.name.split()} - NO_CURRENCY


def _plain(currency: str) -> str:
    return "BTC" if currency.upper() == BITCOIN else currency.upper()


def _base_of_two(chosen: Column, volumes: list[Column], price: np.ndarray) -> Column:
    """The chosen volume, unless it is another one's times the price: then that one is in the base currency."""
    values = _sample(_numbers(chosen))
    if 0.8 < np.nanmedian(price) < 1.25:  # at a price of about 1 they are the same
        return chosen
    for other in volumes:
        if other is chosen or QUOTE_VOLUME.search(other.name):
            continue
        with np.errstate(all="ignore"):
            ratio = values / (_sample(_numbers(other)) * _sample(price))
        ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
        if len(ratio) and np.mean(np.abs(np.log(ratio)) < 0.05) > MIN_SHARE:
            return other
    return chosen


def _is_time(column: Column) -> bool:
    try:
        times, _ = parse_times(column.values)
    except (ValueError, OverflowError, TypeError):
        return False
    return _like_bars(times)


def _like_bars(times: np.ndarray) -> bool:
    """Are they of this century, in steps of bars?"""
    regular = len(times) <= 2 or regularity(times) > 0.3
    return bool(regular and times.min() > 1e12 and times.max() < 4.2e12)


def _not_candles(columns: list[Column]) -> str:
    return f"not a candle file: the columns time, open, high, low, close and volume are required, {_described(columns)}"


def _described(columns: list[Column]) -> str:
    found = ", ".join(column.label for column in columns[:12])
    row = ", ".join(str(column.values.iloc[0]) for column in columns[:12])
    return f"it has {found}; a row is {row}"
