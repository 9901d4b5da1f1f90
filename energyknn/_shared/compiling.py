"""How kernels are compiled, and what is said while that takes its time. Importing this loads Numba."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

from numba import njit

__all__ = ["announcing_compilation", "compile_kernel"]

_LOG = logging.getLogger("energyknn")
_PATIENCE = 1.5  # seconds; loading from Numba's cache takes less

compile_kernel: Any = njit(nogil=True, cache=True, error_model="numpy")
"""Compile a loop: it releases the interpreter's lock, and LLVM neither fuses nor reorders its arithmetic."""


@contextmanager
def announcing_compilation(what: str) -> Iterator[None]:
    """Say once that kernels are being compiled, where that takes more than a moment.

    Parameters
    ----------
    what : str
        Whose kernels, and how long they take.
    """
    timer = Timer(_PATIENCE, _LOG.warning, [f"Compiling the kernels of {what}, once for this installation."])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
