"""The frame that every script runs in: its log, its errors, the `snakemake` object."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import UserError


class _Terminal(logging.Handler):
    """Standard error, wherever that goes at the moment. A traceback is the log's alone."""

    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info:
            print(self.format(record), file=sys.stderr, flush=True)


LOGGER = logging.getLogger("forecast")
LOGGER.setLevel(logging.INFO)
LOGGER.propagate = False
LOGGER.addHandler(_Terminal())


def say(message: str) -> None:
    """Tell the user, on the terminal and in the job's log, what is going on."""
    LOGGER.info(message)


@contextmanager
def quiet() -> Iterator[None]:
    """Let `say` be silent: what a job does over and over is not news."""
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(logging.INFO)


def log_traceback() -> None:
    """Write the traceback of the error that is being handled to the job's log, and not to the terminal."""
    LOGGER.error("of the error below:", exc_info=True)


@contextmanager
def job() -> Iterator[Any]:
    """Give the running script its `snakemake` object, and see to its log and its errors.

    An error ends the job with one line, on the terminal and in the log. That of a UserError is its text; any other
    error also leaves its traceback in the log, which the line names.
    """
    snakemake = vars(sys.modules["__main__"])["snakemake"]
    log = Path(str(snakemake.log[0]))
    _write_to(log)
    try:
        yield snakemake
    except UserError as error:
        LOGGER.error("%s: %s", snakemake.rule, error)
        sys.exit(1)
    except Exception as error:
        LOGGER.exception("%s: unexpected error", snakemake.rule)
        reason = "; ".join(str(error).splitlines()[:1])
        LOGGER.error("%s: unexpected %s: %s; its traceback is in %s", snakemake.rule, type(error).__name__, reason, log)
        sys.exit(1)


def _write_to(log: Path) -> None:
    """From now on write messages and libraries' warnings to a new file, and to the terminal as before."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(log, mode="w", encoding="utf-8")
    LOGGER.addHandler(file)
    libraries = logging.getLogger()
    libraries.addHandler(_Terminal())
    libraries.addHandler(file)
    logging.captureWarnings(True)
