"""The exchanges that the loopback server can speak as, by ccxt's id."""

from support.loopback.dialects.base import Dialect
from support.loopback.dialects.binance import Binance

DIALECTS: dict[str, type[Dialect]] = {dialect.id: dialect for dialect in (Binance,)}
