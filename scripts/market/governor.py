"""One rate limit for all jobs on this machine that ask one exchange.

ccxt's limit is each process's own. Here the time of the last request stands in a file, and whoever asks next holds the
file's lock until the limit allows it: the kernel queues the others. A file needs no process that must live as long as
the run, and it serves runs in different folders too.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARGIN = 1.03  # requests arrive unevenly: a window of the exchange's must not see one too many
LONGEST = 3600.0  # seconds; a later time in the file is of a clock that was set back


class Governor:
    """Spaces the requests of all processes that name the same exchange. Not for threads of one process."""

    def __init__(self, exchange: str) -> None:
        folder = Path(tempfile.gettempdir(), f"crypto-forecast-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        self._path = folder / f"{exchange}.next"

    def wait(self, seconds: float) -> None:
        """Return when a request may be sent; the next one may follow after `seconds`."""
        with self._locked() as file:
            allowed = _read(file)
            pause = allowed - time.time()
            if 0 < pause <= LONGEST:
                time.sleep(pause)
            # from now, not from when it was allowed: a process that woke late must not bring the next one near
            _write(file, time.time() + MARGIN * seconds)

    def pause(self, seconds: float) -> None:
        """Let nobody send a request for so long: the exchange asked for it."""
        with self._locked() as file:
            _write(file, max(_read(file), time.time() + min(seconds, LONGEST)))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _read(file: int) -> float:
    try:
        return float(os.pread(file, 64, 0))
    except ValueError:
        return 0.0


def _write(file: int, moment: float) -> None:
    os.pwrite(file, f"{moment:020.6f}".encode(), 0)
