"""How a command ends when something outside of it says so: a signal, or a reader that went away."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_TELLING = ("SIGTERM", "SIGHUP", "SIGBREAK")  # the last is Windows' own, and Windows has no SIGHUP
READER_LEFT = 128 + 13  # SIGPIPE, by the habit of shells


@contextmanager
def ending_when_told() -> Iterator[list[int]]:
    """Let signals that end a process interrupt the command first, so that it leaves nothing half-written behind.

    Yields the numbers of those that came. Signals that are ignored, as under nohup, stay so.
    """
    told: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in _TELLING if hasattr(signal, name)]
    is_main = threading.current_thread() is threading.main_thread()
    taken = [number for number in numbers if is_main and signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield told
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def leave_out_rest() -> None:
    """Forget what was not written to stdout, which Python would try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):  # not a file, or closed
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
