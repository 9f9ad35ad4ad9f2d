"""Rule audit: the realised return of the sealed decision, on the candles after it."""

from collections.abc import Sequence

from common.files import file_of, read_csv, read_document, sha256, write_json
from common.job import job, say
from market.candles import read_candles
from market.intervals import parse_time, step_ms
from trading.documents import Inputs, Trade
from trading.seal import broken_seal, changed_inputs, inputs_of, verify
from trading.settlement import closes_from, settle


def audit(
    output: str, trade: str, path: str, plans: Sequence[str], candles: Sequence[str], inputs: Inputs | None = None
) -> None:
    """Write the audit of the decision `trade` and its forecast `path` on the bars after its entry.

    plans, candles: a file a symbol, <symbol>-plans.csv and <symbol>.parquet, the decision's among them. Costs, cash and
    interval are those sealed with the decision, whatever the config says by now. The candles may end early or be none.
    inputs: digests of what the decision stands on, as it is now, of which those that changed are named; None: not
    compared. Raises UserError when decision, forecast or plans are not what was sealed.
    """
    sealed = read_document(trade, Trade)
    verify(sealed, trade)
    interval, forecast, symbol = sealed["config"]["interval"], sealed["forecast"], sealed["config"]["symbol"]
    compared, after = file_of(plans, f"{symbol}-plans"), file_of(candles, symbol)
    for file, digest in ((path, forecast["path_sha256"]), (compared, sealed["plans_sha256"])):
        if sha256(file) != digest:
            raise broken_seal(file)
    changed = changed_inputs(sealed["inputs"], inputs) if inputs else []
    bars = read_candles(after, interval)
    closes = closes_from(bars, parse_time(forecast["t0_iso"]), step_ms(interval), len(forecast["times"]))
    settled = settle(sealed, read_csv(path), read_csv(compared), closes, changed)
    write_json(output, settled)
    say(f"audit: {settled['action']} {settled['symbol']}, {settled['status']} at {settled['evaluated_at']}")
    if changed:
        say(f"audit: not what the decision was made of, since it was sealed: {', '.join(changed)}")


if __name__ == "__main__":
    with job() as snakemake:
        audit(
            output=snakemake.output.audit,
            trade=snakemake.input.trade,
            path=snakemake.input.path,
            plans=list(snakemake.input.plans),
            candles=list(snakemake.input.candles),
            inputs=inputs_of(snakemake.params.sealed, snakemake.params.config, snakemake.params.image),
        )
