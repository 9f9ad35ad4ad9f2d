"""How a symbol is written: `BTC/USDT` by ccxt, `BTCUSDT` in file names and artifacts."""


def slug(symbol: str) -> str:
    """The name that files carry: `BTC/USDT` → `BTCUSDT`, `BTC/USDT:USDT` → `BTCUSDT-USDT`."""
    return symbol.upper().replace("/", "").replace(":", "-")
