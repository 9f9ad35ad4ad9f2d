"""Files that processes take turns with."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.job import say


@contextmanager
def locked(path: Path, waiting: str = "") -> Iterator[int]:
    """Hold a file alone, which is made where there is none; its descriptor.

    Another process waits, and says `waiting` if that is given. The kernel ends the hold of a process that is killed.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)
