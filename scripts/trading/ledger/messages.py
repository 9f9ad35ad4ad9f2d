"""What is notified: a title and a text each."""

from collections.abc import Mapping

from trading.documents import EDGE, HOLD, PROBABILITY, Trade


def of_decisions(now: Mapping[str, Trade], before: Mapping[str, Trade]) -> list[tuple[str, str]]:
    """Of each decision that is no HOLD; and of each required gate that fails now, and did not in the entry before.

    now, before: decisions by symbol, those of an entry and of the one before it. The plan's own gates fail at almost
    every HOLD, and are no news.
    """
    told = []
    for symbol, trade in sorted(now.items()):
        decision = trade["decision"]
        market = " on the simulated market" if trade["simulated"] else ""
        if decision["action"] != HOLD:
            title = f"{decision['action']} {symbol} at {decision['entry_time']}{market}"
            told.append((title, f"{decision['reason']} Expected return {decision['expected_return_pct']:+.3f} %."))
        known = failed_gates(before[symbol]) if symbol in before else {}
        for name, detail in failed_gates(trade).items():
            if name not in known:
                told.append((f"gate {name} failed: {symbol} at {decision['entry_time']}{market}", f"{detail}."))
    return told


def failed_gates(trade: Trade) -> dict[str, str]:
    """The sentences of the required gates that failed, but for those of the plan, by name."""
    own = (EDGE, PROBABILITY)
    return {
        gate["name"]: gate["detail"]
        for gate in trade["gates"]
        if gate["required"] and not gate["passed"] and gate["name"] not in own
    }
