"""Rule audit: the realised return of the sealed decision, on the candles after it."""

from common.files import read_csv, read_document, sha256, write_json
from common.job import job, say
from market.candles import read_candles
from market.intervals import parse_time, step_ms
from trading.decision import broken_seal, verify
from trading.documents import Trade
from trading.settlement import closes_from, settle


def audit(output: str, trade: str, path: str, candles: str) -> None:
    """Write the audit of the decision `trade` and its forecast `path` on the bars after its entry, `candles`.

    Costs, cash and interval are those sealed with the decision, whatever the config says by now. The candles may end
    early or be none. Raises UserError when decision or forecast are not what was sealed.
    """
    sealed = read_document(trade, Trade)
    verify(sealed, trade)
    if sha256(path) != sealed["forecast"]["path_sha256"]:
        raise broken_seal(path)
    interval, forecast = sealed["config"]["interval"], sealed["forecast"]
    bars = read_candles(candles, interval)
    closes = closes_from(bars, parse_time(forecast["t0_iso"]), step_ms(interval), len(forecast["times"]))
    settled = settle(sealed, read_csv(path), closes)
    write_json(output, settled)
    say(f"audit: {settled['action']} {settled['symbol']}, {settled['status']} at {settled['evaluated_at']}")


if __name__ == "__main__":
    with job() as snakemake:
        audit(
            output=snakemake.output.audit,
            trade=snakemake.input.trade,
            path=snakemake.input.path,
            candles=snakemake.input.candles,
        )
