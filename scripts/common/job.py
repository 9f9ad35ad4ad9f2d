"""The frame that every script runs in: its log, its errors, the `snakemake` object."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import UserError


def say(message: str) -> None:
    """Tell the user, on the terminal and in the job's log, what is going on."""
    print(message, file=sys.stderr, flush=True)


class _Tee:
    """What is written to the terminal also goes into the log."""

    def __init__(self, *streams: Any) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()

    def isatty(self) -> bool:
        return False


@contextmanager
def job() -> Iterator[Any]:
    """Give the running script its `snakemake` object, and see to its log and its errors.

    A UserError ends the job with its one line, on the terminal and in the log, and no traceback.
    """
    snakemake = vars(sys.modules["__main__"])["snakemake"]
    log = Path(str(snakemake.log[0]))
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr
    with log.open("w") as file:
        sys.stderr = _Tee(terminal, file)
        try:
            yield snakemake
        except UserError as error:
            say(f"{snakemake.rule}: {error}")
            sys.exit(1)
        finally:
            sys.stderr = terminal
