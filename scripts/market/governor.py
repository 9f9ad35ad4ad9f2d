"""One rate limit for all jobs on this machine that ask one exchange.

ccxt's limit is each process's own. Here the time at which the next request is allowed stands in a file, and whoever
asks next holds the file until then: the kernel queues the others. A file needs no process that must live as long as the
run, and it serves runs in different folders too.
"""

import os
import tempfile
import time
from pathlib import Path

from common.job import say
from common.locks import locked

MARGIN = 1.03  # requests arrive unevenly: a window of the exchange's must not see one too many
LONGEST = 3600.0  # seconds; a later time in the file is of a clock that was set back
SILENT = 5.0  # seconds of waiting without a word


class Governor:
    """Spaces the requests of all processes that name the same exchange. Not for threads of one process."""

    def __init__(self, exchange: str) -> None:
        folder = Path(tempfile.gettempdir(), f"crypto-forecast-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        self._path = folder / f"{exchange}.next"

    def wait(self, seconds: float) -> None:
        """Return when a request may be sent; the next one may follow after `seconds`."""
        with locked(self._path) as file:
            pause = _read(file) - time.time()
            if 0 < pause <= LONGEST:
                if pause > SILENT:
                    say(f"waiting {pause:.0f} s: the exchange asked another job to")
                time.sleep(pause)
            # from now, not from when it was allowed: a process that woke late must not bring the next one near
            _write(file, time.time() + MARGIN * seconds)

    def pause(self, seconds: float) -> None:
        """Let nobody send a request for so long: the exchange asked for it."""
        with locked(self._path) as file:
            _write(file, max(_read(file), time.time() + min(seconds, LONGEST)))


def _read(file: int) -> float:
    try:
        return float(os.pread(file, 64, 0))
    except ValueError:  # a new file
        return 0.0


def _write(file: int, moment: float) -> None:
    os.pwrite(file, f"{moment:020.6f}".encode(), 0)
