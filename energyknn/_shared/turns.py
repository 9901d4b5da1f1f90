"""Processes that take turns, by the lock that the system keeps on a file until the process ends."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def taking_turns(folder: Path, *, waits: bool = True) -> Iterator[bool]:
    """Be the only process in here with the same folder.

    Parameters
    ----------
    folder : Path
        Where the file is that is locked. Where a folder has no locks, as on some network disks, nobody waits.
    waits : bool, default=True
        Whether to wait until no other process is in here.

    Yields
    ------
    bool
        False if another process is in here, and this one did not wait.
    """
    try:
        file = (folder / "energyknn.lock").open("ab")
    except OSError:
        yield True
        return
    with file:
        try:
            _lock(file, waits=waits)
        except OSError as error:
            yield error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
        else:
            yield True


def _lock(file: IO[bytes], *, waits: bool) -> None:
    """Lock a file until it is closed; if it is locked and this is not to wait, raise an error that says so."""
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if waits else msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if not waits or error.errno != errno.EDEADLK:  # what it says after ten tries, a second apart
                    raise
            else:
                break
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
