"""The policy `exposure` in sentences: why the weight moves or stays, what would change that, and its result."""

from trading.documents import HOLD, Audit, Exposure, Trade, TradeConfig, exposure_of


def reason(exposure: Exposure, config: TradeConfig, blocking: str, too_small: bool) -> str:
    """Why the weight moves or stays. blocking: the clause of the gate that keeps it from growing, empty where none
    does; too_small: is the move less than an order may be, or than its flat commission?"""
    held, low, high = exposure["held"], exposure["band_low"], exposure["band_high"]
    place = "below" if held < low else "above" if held > high else "within"
    target = exposure["target"]
    capped = "" if exposure["uncapped"] == target else f", limited to {exposure['largest']:.3f}"
    sentence = (
        f"A volatility of {exposure['volatility_pct']:.1f} % a year asks for a weight of {target:.3f} "
        f"(prior_sharpe {config['prior_sharpe']:g} over risk_aversion {config['risk_aversion']:g} and the volatility"
        f"{capped}); the weight held, {held:.3f}, is {place} the band from {low:.3f} to {high:.3f}"
    )
    if blocking:
        return f"The position must not grow, as {blocking}. {sentence}."
    return f"{sentence}{', but the move is too small for an order' if too_small else ''}."


def told(trade: Trade) -> tuple[str, str]:
    """What is held and expected, and what would change it."""
    decision, exposure, breakeven = trade["decision"], exposure_of(trade), trade["breakeven"]
    planned = (
        f"weight {exposure['held']:.3f} to {exposure['weight']:.3f}, target {exposure['target']:.3f}: "
        f"{exposure['traded_usd']:+.2f} USD traded for {exposure['cost_usd']:.2f} USD; expected return "
        f"{decision['expected_return_pct']:+.4f} % by {decision['target_time']}, expected shortfall "
        f"{exposure['expected_shortfall_pct']:+.3f} %"
    )
    flip, failed = breakeven["commission_pct"], breakeven["failed_gates"]
    stays = exposure["band_low"] <= exposure["held"] <= exposure["band_high"]
    needed = [f"a larger position needs the gate {' and '.join(failed)}"] if failed else []
    # of a move that a gate holds back no commission is told
    if flip is not None and (stays or decision["action"] != HOLD):
        verb = "would move below" if stays else "stays above"
        needed.append(f"the weight {verb} a commission of {flip:.3f} % a side")
    return planned, "; ".join(needed) or "no commission changes the move"


def describe(audit: Audit) -> str:
    """What the weight earned or lost, and what others would have."""
    held = audit["exposure"]
    if held is None:
        return "No close of the holding period is available yet, so nothing is settled."
    moved = "kept" if audit["action"] == HOLD else "moved to"
    sentence = (
        f"The weight, {moved} {held['weight']:.3f}, {'earned' if held['pnl_usd'] > 0 else 'lost'} "
        f"{abs(held['pnl_usd']):.2f} USD ({held['return_pct']:+.3f} %) after costs, marked at {held['marked_at']}"
    )
    others = ", ".join(f"{one['name']} {one['return_pct']:+.3f} %" for one in held["alternatives"])
    late = " The close at the end of the holding period is missing." if audit["status"] == "partial" else ""
    return f"{sentence}; others: {others}.{late}"
