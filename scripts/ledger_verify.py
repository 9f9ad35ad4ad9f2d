"""Rule ledger_verify: whether the ledger is what was sealed; the first entry that does not fit is named."""

from pathlib import Path

from common.errors import UserError
from common.job import job, say
from common.locks import locked
from trading.ledger.chain import HEAD, LOCK, check_files, read_chain, read_head
from trading.ledger.settling import read_settlement


def ledger_verify(ledger: str, head: str | None) -> None:
    """Recompute the SHA-256 of every entry's files, the chain, and the seals of the settlements; print the head.

    head: one printed earlier, that must be in the chain. Writes nothing. Raises UserError, naming the first entry that
    does not fit.
    """
    if not Path(ledger).is_dir():
        raise UserError(f"{ledger}: is no ledger; make decide appends the first decision")
    with locked(Path(ledger, LOCK), f"{ledger}: waiting for another run that writes into it"):
        links = read_chain(ledger)
        for link in links:
            check_files(link)
            read_settlement(link)
        if not links:
            raise UserError(f"{ledger}: holds no decision yet; make decide appends one")
        last, written = links[-1], read_head(ledger)
        if written is None or written["entries"] != len(links):
            raise UserError(f"{Path(ledger, HEAD)}: does not name the last entry, {last.folder}; make decide renews it")
    if head is not None and head not in [link.digest for link in links]:
        raise UserError(
            f"{ledger}: no entry has the SHA-256 {head} (ledger.head); it is another ledger, or was rewritten"
        )
    say(f"ledger: {len(links)} entries as they were sealed, up to {last.entry['as_of']}; head {last.digest}")


if __name__ == "__main__":
    with job() as snakemake:
        ledger_verify(ledger=snakemake.params.ledger, head=snakemake.params.head)
