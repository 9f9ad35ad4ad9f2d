"""The base currencies of the simulated market: liquid coins, with magnitudes of early 2021."""

from typing import NamedTuple


class Coin(NamedTuple):
    """A base currency: first price (USDT), volatility (percent a day), scale of turnover (million USDT a day)."""

    base: str
    price: float
    volatility: float
    turnover: float


# fmt: off
COINS = tuple(Coin(*row) for row in (
    ("BTC", 29000.0, 3.0, 2000.0), ("ETH", 740.0, 3.8, 1000.0), ("BNB", 38.0, 3.8, 300.0), ("SOL", 12.0, 5.5, 300.0),
    ("XRP", 0.35, 4.5, 250.0), ("ADA", 0.32, 4.6, 150.0), ("DOGE", 0.06, 5.2, 200.0), ("AVAX", 12.0, 5.4, 120.0),
    ("TRX", 0.06, 3.6, 80.0), ("DOT", 8.0, 4.8, 90.0), ("LINK", 12.0, 4.8, 110.0), ("MATIC", 0.4, 5.2, 100.0),
    ("LTC", 125.0, 4.2, 110.0), ("BCH", 340.0, 4.4, 80.0), ("UNI", 5.2, 5.0, 50.0), ("ATOM", 6.5, 5.0, 50.0),
    ("XLM", 0.13, 4.5, 40.0), ("ETC", 5.7, 4.8, 50.0), ("FIL", 22.0, 5.0, 50.0), ("NEAR", 1.4, 5.8, 60.0),
    ("APT", 8.0, 5.6, 50.0), ("ARB", 1.2, 5.4, 60.0), ("OP", 1.5, 5.8, 55.0), ("ALGO", 0.34, 5.0, 25.0),
    ("VET", 0.02, 5.0, 20.0), ("ICP", 12.0, 5.5, 25.0), ("HBAR", 0.032, 5.0, 20.0), ("QNT", 12.0, 4.8, 10.0),
    ("AAVE", 90.0, 5.3, 30.0), ("GRT", 0.36, 5.6, 20.0), ("EGLD", 27.0, 5.0, 12.0), ("SAND", 0.036, 5.8, 25.0),
    ("MANA", 0.08, 5.7, 25.0), ("AXS", 0.54, 5.9, 20.0), ("THETA", 1.9, 5.2, 15.0), ("XTZ", 2.0, 4.7, 12.0),
    ("EOS", 2.6, 4.6, 30.0), ("FTM", 0.017, 6.2, 40.0), ("CHZ", 0.02, 5.3, 20.0), ("CRV", 0.6, 6.0, 25.0),
    ("SNX", 7.2, 5.6, 12.0), ("NEO", 14.0, 4.8, 15.0), ("KAVA", 1.3, 5.2, 8.0), ("ZEC", 57.0, 4.8, 12.0),
    ("DASH", 85.0, 4.6, 10.0), ("COMP", 145.0, 5.3, 10.0), ("MKR", 590.0, 4.9, 15.0), ("ENJ", 0.13, 5.5, 10.0),
    ("BAT", 0.2, 5.0, 8.0), ("SHIB", 0.00001, 5.8, 120.0),
))
# fmt: on
