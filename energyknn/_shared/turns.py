"""Processes that take turns, by the lock that the system keeps on a file until the process ends."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same folder.

    Where a folder has no locks, as on some network disks, nobody waits.
    """
    try:
        file = (folder / "energyknn.lock").open("ab")
    except OSError:
        yield
        return
    with file:
        with suppress(OSError):
            _lock(file)
        yield


def _lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed."""
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno != errno.EDEADLK:  # what it says after ten tries, a second apart
                    raise
            else:
                break
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
