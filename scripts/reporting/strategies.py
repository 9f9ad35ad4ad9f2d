"""How figures draw a backtest's strategies."""

from typing import Any

from plotting.style import BLACK, BLUE, GREY, ORANGE, PURPLE, VERMILLION
from trading.strategies import BY_EWMA, CONSTANT, FOLLOWED, SIZED, TOLD, WHOLE

LINES: dict[str, dict[str, Any]] = {
    FOLLOWED: {"color": VERMILLION, "linewidth": 2.2, "zorder": 5},
    SIZED: {"color": BLUE, "linewidth": 2},
    BY_EWMA: {"color": ORANGE, "linestyle": "--"},
    CONSTANT: {"color": PURPLE, "linestyle": "-."},
    WHOLE: {"color": GREY, "linewidth": 1},
    TOLD: {"color": BLACK, "linestyle": ":"},
}
