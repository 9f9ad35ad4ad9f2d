"""The policy `trade` in sentences: its plan, what a BUY would need, and its result."""

from common.text import percent
from trading.documents import EDGE, PROBABILITY, Audit, Trade, plan_of


def told(trade: Trade) -> tuple[str, str]:
    """What the best plan is, and what would have to be for the other decision."""
    return _plan(trade), _limits(trade)


def describe(audit: Audit) -> str:
    """The audit in a sentence or two: what was earned or lost, or what the HOLD avoided or missed."""
    if audit["status"] == "pending":
        return "No close up to the planned sale is available yet, so nothing is settled."
    missed = audit["missed"]
    pnl = missed["pnl_usd"] if missed else audit["realized_pnl_usd"]
    return_pct = missed["return_pct"] if missed else audit["realized_return_pct"]
    sold_at = missed["sell_time"] if missed else audit["sell_time"]
    subject = "It"
    if missed:
        judgement = "Holding was right" if missed["hold_was_right"] else "Holding missed out"
        subject = f"{judgement}: the best plan would have"
    assert pnl is not None and return_pct is not None  # these are null only while the audit is pending
    sentence = f"{subject} {'earned' if pnl > 0 else 'lost'} {abs(pnl):.2f} USD ({return_pct:+.3f} %) after costs."
    if audit["status"] == "partial":
        sentence += f" The close at the planned sale is missing; the last one before it, of {sold_at}, is used instead."
    return f"{sentence} {_alternatives(audit)}" if missed else sentence


def _alternatives(audit: Audit) -> str:
    """What the price did, and how many of the plans would have earned something."""
    returns = [plan["return_pct"] for plan in audit["plans"]]
    earning = sum(value > 0 for value in returns)
    return (
        f"The price changed by {audit['horizon_return_pct'] or 0:+.3f} % up to {audit['evaluated_at']}; {earning} of "
        f"{len(returns)} plans would have earned something, the luckiest {max(returns):+.3f} %."
    )


def _plan(trade: Trade) -> str:
    """When the best plan would sell, and what it is expected to leave."""
    decision, figures = trade["decision"], plan_of(trade)
    named = {"take-profit": figures["take_profit_price"], "stop": figures["stop_price"]}
    levels = "".join(f", {name} {price:.10g}" for name, price in named.items() if price is not None)
    return (
        f"best of {trade['candidates']['plans']}: sell at {decision['target_time']}{levels}; expected return "
        f"{decision['expected_return_pct']:+.3f} % after {decision['commission_total_usd']:.2f} USD commission, "
        f"a profit {percent(figures['probability_of_profit'])}, expected shortfall "
        f"{figures['expected_shortfall_pct']:+.3f} %"
    )


def _limits(trade: Trade) -> str:
    """What would have to be for the other decision."""
    breakeven, figures = trade["breakeven"], plan_of(trade)
    highest, failed = breakeven["commission_pct"], breakeven["failed_gates"]
    commission = "no commission is low enough" if highest is None else f"a commission of {highest:.3f} % a side"
    if not failed:
        return f"HOLD above {commission}; breakeven at {breakeven['return_pct']:+.3f} %"
    needs = [f"the gate {name}" for name in failed if name not in (EDGE, PROBABILITY)]
    if len(needs) < len(failed):
        needed, is_now = breakeven["median_return_pct"], figures["median_return_pct"]
        needs.append(f"a median of {needed:+.3f} % by then, now {is_now:+.3f} % (or {commission})")
    return f"a BUY needs {' and '.join(needs)}"
