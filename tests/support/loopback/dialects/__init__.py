"""The exchanges that the loopback server can speak as, by ccxt's id."""

from support.loopback.dialects.base import Dialect, Habits
from support.loopback.dialects.binance import Binance
from support.loopback.dialects.bybit import Bybit
from support.loopback.dialects.coinbase import Coinbase
from support.loopback.dialects.kraken import Kraken
from support.loopback.dialects.kucoin import KuCoin
from support.loopback.dialects.okx import Okx
from support.loopback.tape import Tape

DIALECTS: dict[str, type[Dialect]] = {
    dialect.id: dialect for dialect in (Binance, Kraken, Bybit, Okx, Coinbase, KuCoin)
}

# further exchanges' habits, in Binance's words
IMITATED: dict[str, Habits] = {
    "mexc": Habits(page=500, default=500),
    "gate": Habits(page=1000, default=100, history=10_000, refuses_older=True),
    "hyperliquid": Habits(page=5000, default=5000, history=5000),
    "bitget": Habits(page=200, default=100),
    "bitfinex": Habits(page=10_000, default=100, clock=False),
    "bitstamp": Habits(page=1000, default=100, clock=False),
}


def speaking(name: str, tape: Tape, habits: Habits | None = None) -> Dialect:
    """The exchange of that name over a tape, with its own habits or those given."""
    dialect = DIALECTS["binance" if name in IMITATED else name]
    return dialect(tape, habits or IMITATED.get(name))
