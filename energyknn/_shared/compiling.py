"""How kernels are compiled, and the message that says so when it takes long. Importing this loads Numba."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Timer
from typing import Any

from numba import njit
from numba.core.cpu import CPUTargetOptions

_LOG = logging.getLogger("energyknn")
_PATIENCE = 1.5  # seconds; loading from Numba's cache takes less

_njit: Any = partial(njit, nogil=True, cache=True, error_model="numpy")
_UNCOUNTED = {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}  # not public; without it steps are slower

compile_kernel: Any = _njit()
"""Compile a loop: it releases the interpreter's lock, and LLVM neither fuses nor reorders its arithmetic."""

compile_step: Any = _njit(**_UNCOUNTED)
"""Compile a step of a loop that creates no array, without counting references to the arrays that it gets.

Counting takes an atomic operation for each array of a NamedTuple that is passed. Many steps take less time than that.
"""
inline_step: Any = _njit(**_UNCOUNTED, inline="always")
"""Compile a step into the step that calls it, where even passing the arrays takes too long."""


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
