"""Which column of a table is the volume in the base currency: by its name, and as times the price it is another."""

import re

import numpy as np

from common.errors import UserError
from market.columns import MIN_SHARE, Column, alike, is_numeric, not_candles, numbers, sample
from market.pairs import BITCOIN, split
from market.price_columns import PRICE_NAMES
from market.time_column import is_time

VOLUME_NAMES = ("volume", "vol", "v", "volumefrom", "base volume", "volume base", "basevolume", "base asset volume")
PERHAPS_VOLUME = ("amount", "qty", "quantity", "size")
NO_CURRENCY = {"VOLUME", "VOL", "BASE", "QUOTE", "ASSET", "TRADE", "TRADED", "V", "IN", "OF", "AMOUNT", "QTY", "SIZE"}
QUOTE_VOLUME = re.compile(r"quote|turnover|volumeto|currency|notional|taker|change")


def find_volume(columns: list[Column], prices: dict[str, Column], symbol: str) -> Column:
    """The volume in the base currency. Raises UserError when there is none."""
    numeric = [column for column in columns if column not in prices.values() and is_numeric(column)]
    price = numbers(prices["close"])
    if not any(_volume_like(column) for column in numeric):
        if prices["open"].name in PRICE_NAMES["open"]:
            raise UserError(not_candles(columns))
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
    close = numbers(prices["close"])
    others = [column for column in numeric if not is_time(column) and len(alike([prices["close"], column])) < 2]
    if not others:
        raise UserError(not_candles(columns))
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
    values = sample(numbers(chosen))
    if 0.8 < np.nanmedian(price) < 1.25:  # at a price of about 1 they are the same
        return chosen
    for other in volumes:
        if other is chosen or QUOTE_VOLUME.search(other.name):
            continue
        with np.errstate(all="ignore"):
            ratio = values / (sample(numbers(other)) * sample(price))
        ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
        if len(ratio) and np.mean(np.abs(np.log(ratio)) < 0.05) > MIN_SHARE:
            return other
    return chosen
