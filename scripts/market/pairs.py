"""Currency pairs in the names of files and folders, however they are written: BTCUSDT, BTC-USDT, XBT_USDT, XXBTZUSD.

Standard library only: the workflow reads it too.
"""

import re
from collections.abc import Iterable
from itertools import combinations

from market.coins import COINS
from market.symbols import slug

STABLECOINS = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI")
QUOTES = (*STABLECOINS, "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "AUD", "BTC", "ETH", "BNB")
BASES = {coin.base for coin in COINS} | set(STABLECOINS)
BITCOIN = "XBT"  # Kraken's and BitMEX's name of BTC


def currencies(name: str) -> tuple[str, str]:
    """Base and quote currency of a symbol without a slash: of BNBUSD, BNB and USD, not BN and BUSD.

    Of several quote currencies that the name ends in, one that leaves a known coin is taken; else the longest that
    leaves three letters, else the longest. The quote is empty where none is known.
    """
    found = [(name.removesuffix(quote), quote) for quote in QUOTES if name.endswith(quote) and name != quote]
    if not found:
        return name, ""
    return max(found, key=lambda pair: (_canonical(pair[0]) in BASES, len(pair[0]) >= 3, len(pair[1])))


def split(symbol: str) -> tuple[str, str]:
    """Base and quote currency of a symbol as anyone writes it: BTC/USDT, BTC/USDT:USDT, BTCUSDT, BTCUSDT-USDT."""
    base, slash, quote = symbol.upper().partition(":")[0].partition("/")
    return (base, quote) if slash else currencies(base.partition("-")[0])


def canonical(symbol: str) -> str:
    """One name for all spellings of a symbol: BTCUSD of XBT/USD, BTCUSD and XXBTZUSD."""
    return _canonical(re.sub(r"^X([A-Z]{3})Z([A-Z]{3})$", r"\1\2", slug(symbol)))


def symbol_in(name: str, symbols: Iterable[str] = ()) -> str | None:
    """The unified symbol in a file's name: BTC/USDT in `BTCUSDT-1m-2023` or `BTC_USDT-1m`.

    symbols: further ones, whose quote currency need not be among `QUOTES`.
    """
    tokens = re.split("[^A-Z0-9]+", name.upper())
    found = []
    for place, token in enumerate(tokens):
        token = re.sub(r"^X([A-Z]{3})Z([A-Z]{3})$", r"\1\2", token)
        base, quote = currencies(token)
        after = [*tokens[place + 1 : place + 3], "", ""]
        if quote and token not in QUOTES:
            settle = after[0]
        elif token and after[0] in QUOTES and after[0] != token:
            base, quote, settle = token, after[0], after[1]
        else:
            continue
        settled = settle in (base, quote)
        found.append((settled, place, f"{base}/{quote}" + (f":{settle}" if settled else "")))
    requested = _requested_in(tokens, symbols)
    if requested and canonical(requested) not in {canonical(symbol) for *_, symbol in found}:
        return requested
    # the last one: an exchange's name may stand before it
    return max(found)[2] if found else None


def _requested_in(tokens: list[str], symbols: Iterable[str]) -> str | None:
    """The symbol that up to three tokens in a row make: ETH/MXN of ETHMXN or of ETH, MXN, but not of ETH, MXN, MXN."""
    joined = set()
    for start, end in combinations(range(len(tokens) + 1), 2):
        name, after = "".join(tokens[start:end]), "".join(tokens[end : end + 1])
        if end - start <= 3 and not (after and (name.startswith(after) or name.endswith(after))):
            joined.add(_canonical(name))
    return next((symbol for symbol in symbols if canonical(symbol).replace("-", "") in joined), None)


def _canonical(name: str) -> str:
    return re.sub(f"^{BITCOIN}", "BTC", name)
