"""The exchanges that the loopback server can speak as, by ccxt's id."""

from support.loopback.dialects.base import Dialect
from support.loopback.dialects.binance import Binance
from support.loopback.dialects.bybit import Bybit
from support.loopback.dialects.coinbase import Coinbase
from support.loopback.dialects.kraken import Kraken
from support.loopback.dialects.kucoin import KuCoin
from support.loopback.dialects.okx import Okx

DIALECTS: dict[str, type[Dialect]] = {
    dialect.id: dialect for dialect in (Binance, Kraken, Bybit, Okx, Coinbase, KuCoin)
}
