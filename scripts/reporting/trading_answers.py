"""Answers on trading: what was decided and why, what it earned, what the policy would have done before."""

from common.text import percent
from forecasting.members import find_member
from reporting.results import Results
from reporting.sections import UNKNOWN, Chart, Number, Section, Table, missing, picture, price_text, time_text
from reporting.strategies import LINES
from reporting.trading_figures import equity_figure, ledger_figure
from trading.documents import GateResult, Trade
from trading.policies import policy_of
from trading.settlement import describe_result
from trading.strategies import FOLLOWED, STRATEGIES, WHOLE

BREAKEVEN = "What would be decided at other commissions"


def decision(results: Results) -> Section:
    """What was decided, why, and what would change it."""
    name, question = "decision", "What was decided and why, and what would change it?"
    trade = results.trade
    if trade is None:
        return missing(name, question, "the decision (mock_trade.json)", "snakemake -j4 consensus")
    decided, config = trade["decision"], trade["config"]
    planned, needed = policy_of(config["policy"]).told(trade)
    answer = f"{decided['action']} {config['symbol']} at {time_text(decided['entry_time'])}. {decided['reason']}"
    plots = results.folder.artifacts / "plots"
    alt = f"What would be decided on {config['symbol']} at other commissions."
    failed = [gate["name"] for gate in trade["gates"] if not gate["passed"]]
    return Section(
        name,
        question,
        answer,
        short=f"{answer} To change it: {needed}.",
        lines=[_sentence(planned), f"What would change it: {needed}."],
        numbers=_decision_numbers(trade),
        # drawn with the audit
        pictures=picture(plots, "breakeven", "What would be decided at other commissions", alt)
        if results.audit
        else [],
        tables=[_gates(trade["gates"]), _decisions(results), _votes(trade)],
        notes=[
            f"Gates that failed: {', '.join(failed) or 'none'}. Not every gate must pass.",
            "Returns are after commission and slippage of both sides. No order was sent.",
        ],
    )


def outcome(results: Results) -> Section:
    """What the decision earned or spared."""
    name, question = "outcome", "What did it earn or spare?"
    audit = results.audit
    if audit is None:
        return missing(name, question, "the decision's audit (mock_eval.json)", "snakemake -j4 audit")
    numbers = []
    if audit["realized_return_pct"] is not None:
        numbers.append(Number(f"{audit['realized_return_pct']:+.3f} %", "realised return", f"of a {audit['action']}"))
    if audit["missed"] is not None:
        numbers.append(Number(f"{audit['missed']['return_pct']:+.3f} %", "the best plan would have returned"))
    if audit["horizon_return_pct"] is not None:
        numbers.append(Number(f"{audit['horizon_return_pct']:+.3f} %", "price change over the horizon"))
    if audit["inside_90"] is not None:
        note = "the forecast's 90 % range should hold nine of ten; they overlap"
        numbers.append(Number(percent(audit["inside_90"]), "of the closes were in the 90 % range", note))
    alt = f"The decision on {audit['symbol']} with its forecast, its plan, and the closes that followed."
    plots = results.folder.artifacts / "plots"
    return Section(
        name,
        question,
        describe_result(audit),
        short=describe_result(audit),
        numbers=numbers,
        pictures=picture(plots, "consensus", "The decision and what followed", alt),
        notes=[f"The audit is {audit['status']}, up to {time_text(audit['evaluated_at'])}."],
    )


def policy(results: Results) -> Section:
    """What the policy would have decided and left over the test span."""
    name, question = "backtest", "What would the policy have done over the test span?"
    result = results.backtest
    if result is None or results.equity is None:
        return missing(name, question, "the backtest (backtest.json, backtest_equity.csv)", "snakemake -j4 backtest")
    figures = result["strategies"]
    followed = figures[FOLLOWED]
    alt = "Return of the wealth of each strategy over the test span, decisions marked."
    figure = equity_figure(results.equity, results.decisions, FOLLOWED, LINES)
    charts = [Chart("equity", "Return after costs, decisions marked", alt, figure)]
    if results.ledger is not None:
        alt = "Sum of what the ledger's decisions earned."
        charts.append(Chart("ledger", "The ledger: what its decisions earned", alt, ledger_figure(results.ledger)))
    span = f"From {time_text(result['start'])} to {time_text(result['end'])}: "
    actions = ", ".join(f"{count} {action}" for action, count in result["actions"].items())
    return Section(
        name,
        question,
        span + " ".join(result["verdicts"][:2]),
        short=" ".join(result["verdicts"][:1]),
        lines=result["verdicts"][2:],
        numbers=[
            Number(f"{followed['return_pct']:+.2f} %", "by following the decisions", f"{actions}; after costs"),
            Number(f"{figures[WHOLE]['return_pct']:+.2f} %", "by buying and holding", "after costs"),
            Number(f"{followed['maximum_drawdown_pct']:.2f} %", "largest drawdown", "of the decisions, at closes"),
        ],
        charts=charts,
        tables=[_strategies(results)],
        notes=[
            f"{result['decisions']} decisions: of every symbol at every test origin. Those within a horizon overlap.",
            "Sharpe: a year's, its 95 % interval by a stationary bootstrap. One that holds 0 cannot be told from none.",
        ],
    )


def _decision_numbers(trade: Trade) -> list[Number]:
    decided, plan, exposure = trade["decision"], trade["plan"], trade["exposure"]
    numbers = [Number(f"{decided['expected_return_pct']:+.3f} %", "expected return", "after all costs")]
    if plan:
        numbers += [
            Number(f"{100 * plan['probability_of_profit']:.1f} %", "probability of a profit", "of the best plan"),
            Number(f"{plan['expected_shortfall_pct']:+.2f} %", "expected shortfall", "mean of its worst 5 %"),
        ]
    if exposure:
        moved = f"{exposure['held']:.3f} → {exposure['weight']:.3f}"
        numbers.append(Number(moved, "weight of the asset", f"target {exposure['target']:.3f}"))
    if trade["breakeven"]["price"] is not None:
        change = trade["breakeven"]["return_pct"] or 0.0
        price = price_text(trade["breakeven"]["price"])
        numbers.append(Number(price, "breakeven", f"{change:+.3f} % from the entry's close"))
    return numbers


def _gates(gates: list[GateResult]) -> Table:
    rows = [
        [
            gate["name"].replace("_", " "),
            "passed" if gate["passed"] else "failed",
            "must" if gate["required"] else "",
            gate["detail"],
        ]
        for gate in gates
    ]
    return Table("Gates: what a trade must pass", ["gate", "result", "must pass", "why"], rows)


def _decisions(results: Results) -> Table:
    rows = [
        [
            symbol,
            trade["decision"]["action"],
            f"{trade['decision']['expected_return_pct']:+.3f} %",
            UNKNOWN if trade["plan"] is None else f"{100 * trade['plan']['probability_of_profit']:.1f} %",
            ", ".join(trade["breakeven"]["failed_gates"]) or "none",
        ]
        for symbol, trade in sorted(results.trades.items(), key=lambda item: item[1]["candidates"]["rank"])
    ]
    head = ["symbol", "decision", "expected return", "P(profit)", "required gates that failed"]
    return Table("All symbols, the best first", head, rows)


def _votes(trade: Trade) -> Table:
    votes = sorted(trade["votes"].items(), key=lambda item: (-item[1]["weight"], item[0]))
    rows = [
        [find_member(name).label, percent(vote["weight"]), vote["action"], f"{vote['expected_return_pct']:+.3f} %"]
        for name, vote in votes
    ]
    return Table("What each member alone would do", ["member", "weight", "decision", "expected return"], rows)


def _strategies(results: Results) -> Table:
    assert results.backtest is not None
    rows = []
    found = results.backtest["strategies"]
    for name, one in [(name, found[name]) for name in STRATEGIES if name in found]:
        interval = one["sharpe_interval"]
        band = f" ({interval[0]:.1f} … {interval[1]:.1f})" if interval else ""
        sharpe = UNKNOWN if one["sharpe"] is None else f"{one['sharpe']:.1f}{band}"
        hits = UNKNOWN if one["hit_rate"] is None else percent(one["hit_rate"])
        shares = [f"{one['return_pct']:+.2f} %", f"{one['maximum_drawdown_pct']:.2f} %"]
        rows.append([name, *shares, sharpe, f"{one['costs_pct']:.2f} %", str(one["trades"]), hits])
    head = ["strategy", "return", "drawdown", "Sharpe (95 % CI)", "costs", "trades", "hits"]
    return Table("Strategies, after costs", head, rows)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
