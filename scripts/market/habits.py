"""What exchanges do that ccxt does not state, as seen on their public APIs. docs/exchanges.md is the table in words."""

from dataclasses import dataclass

UNSTATED_PAGE, LARGEST_PAGE = 300, 1000  # bars in a response where none is stated, and where more is


@dataclass(frozen=True)
class Habits:
    """page: bars in a response at most. history: how many of the newest bars there are, None: all."""

    page: int
    history: int | None = None


HABITS = {
    "binance": Habits(page=1000),
    "binanceus": Habits(page=1000),
    "bitfinex": Habits(page=10_000),
    "bitget": Habits(page=200),
    "bitstamp": Habits(page=1000),
    "bybit": Habits(page=1000),
    "coinbase": Habits(page=300),
    "gate": Habits(page=1000, history=10_000),
    "gateio": Habits(page=1000, history=10_000),
    "hyperliquid": Habits(page=5000, history=5000),
    "kraken": Habits(page=720, history=720),
    "kucoin": Habits(page=1500),
    "mexc": Habits(page=500),
    "okx": Habits(page=100),
}


def habits_of(exchange: str, stated_page: int | None) -> Habits:
    """Those of an exchange id; else what ccxt states of its page."""
    return HABITS.get(exchange) or Habits(page=min(stated_page or UNSTATED_PAGE, LARGEST_PAGE))
