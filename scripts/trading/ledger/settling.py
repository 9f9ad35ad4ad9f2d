"""The settlement of an entry: what came after its decisions, and what its forecasts were worth."""

from dataclasses import dataclass

import numpy as np

from common.errors import UserError
from common.files import number, read_csv, read_document, write_json
from forecasting.losses import covered, crps, pinball
from market.intervals import parse_time, step_ms
from trading.documents import Trade
from trading.ledger.chain import SETTLEMENTS, Link
from trading.ledger.documents import FINAL, VERSION, Score, Settlement, Status, SymbolSettlement
from trading.ledger.entries import read_entry_forecasts
from trading.seal import seal
from trading.settlement import settle

# digits of scores: further ones depend on the machine
DIGITS = 12
# levels of the intervals whose coverage is told; every forecast has them
HALF, NINETY = (0.25, 0.75), (0.05, 0.95)


@dataclass(frozen=True)
class Realised:
    """The closes [horizon] after an entry, NaN where there is none; whether no further one can come; and why the
    exchange gives no more, where it says so."""

    closes: np.ndarray
    final: bool
    halted: str | None = None


def settle_symbol(link: Link, symbol: str, realised: Realised) -> SymbolSettlement:
    """The settlement of the decision on one symbol, and the scores of its forecasts."""
    path, plans = (read_csv(link.folder / f"{symbol}-{name}.csv") for name in ("path", "plans"))
    trade = read_document(link.folder / f"{symbol}.json", Trade)
    audit = settle(trade, path, plans, realised.closes[: len(trade["forecast"]["times"])])
    status, reason = _status(audit["status"], trade["decision"]["target_time"], realised)
    return {
        "status": status,
        "reason": reason,
        "closes": [number(close) for close in realised.closes.tolist()],
        "audit": audit,
        "scores": scores(link, symbol, realised.closes),
    }


def _status(audited: str, exit_time: str, realised: Realised) -> tuple[Status, str | None]:
    """How far a decision is settled, and why it cannot be."""
    if realised.final or realised.halted:
        if audited == "complete":
            return "complete", None
        gap = f"gap at the fill: no candle closes at the planned exit, {exit_time}, and none will"
        return "unsettleable", realised.halted or gap
    return ("partial" if np.isfinite(realised.closes).any() else "pending"), None


def scores(link: Link, symbol: str, closes: np.ndarray) -> dict[str, Score]:
    """The scores of all members' forecasts of the symbol, over the steps whose closes [horizon] are known; none where
    there are no such steps."""
    known, levels = np.isfinite(closes), link.entry["quantile_levels"]
    found: dict[str, Score] = {}
    for (member, of), (close, quantiles) in read_entry_forecasts(link).items():
        if of == symbol and known.any():
            found[member] = score(np.log(closes[known] / close), quantiles[known], levels)
    return found


def score(actual: np.ndarray, quantiles: np.ndarray, levels: list[float]) -> Score:
    """Mean pinball loss, CRPS and coverage of one forecast: quantiles [steps, levels] of the returns `actual`
    [steps]."""
    loss = pinball(actual, quantiles, levels)
    half, ninety = (
        float(covered(actual, quantiles[:, levels.index(low)], quantiles[:, levels.index(high)]).mean())
        for low, high in (HALF, NINETY)
    )
    return {
        "steps": len(actual),
        "pinball": round(float(loss.mean()), DIGITS),
        "crps": round(float(crps(loss, levels).mean()), DIGITS),
        "coverage50": round(half, DIGITS),
        "coverage90": round(ninety, DIGITS),
    }


def read_settlement(link: Link) -> Settlement | None:
    """The settlement of an entry, None where it has none.

    Raises UserError where it was changed after it was written, or is of another entry.
    """
    path = link.folder.parent / SETTLEMENTS / f"{link.folder.name}.json"
    if not path.exists():
        return None
    settlement = read_document(path, Settlement)
    if settlement["version"] != VERSION:
        raise UserError(
            f"{path}: is of version {settlement['version']} of the ledger, and this workflow reads {VERSION}"
        )
    if settlement["seal"] != seal(settlement):
        raise UserError(f"{path}: was changed after it was written; delete it, and settle again (make settle)")
    if settlement["entry"] != link.digest:
        raise UserError(f"{path}: settles another entry than {link.folder}; delete it, and settle again (make settle)")
    return settlement


def write_settlement(link: Link, symbols: dict[str, SymbolSettlement]) -> Settlement:
    """Write the settlement of an entry; one before it is replaced, a symbol's that was final stays."""
    before = read_settlement(link)
    kept = {name: one for name, one in (before["symbols"] if before else {}).items() if one["status"] in FINAL}
    content = {"version": VERSION, "entry": link.digest, "as_of": link.entry["as_of"], "symbols": symbols | kept}
    settlement: Settlement = {**content, "seal": seal(content)}  # type: ignore[typeddict-item]
    path = link.folder.parent / SETTLEMENTS / f"{link.folder.name}.json"
    if settlement != before:
        write_json(path, settlement)
    return settlement


def open_symbols(link: Link) -> list[str]:
    """The symbols of an entry whose settlement is not final."""
    settled = read_settlement(link)
    done = settled["symbols"] if settled else {}
    return [name for name in sorted(link.entry["symbols"]) if name not in done or done[name]["status"] not in FINAL]


def horizon_span(link: Link) -> tuple[int, int]:
    """Open time (ms) of the first bar after an entry, and of the one after its horizon."""
    start = parse_time(link.entry["as_of"])
    return start, start + link.entry["horizon"] * step_ms(link.entry["interval"])
