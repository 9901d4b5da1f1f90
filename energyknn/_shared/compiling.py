"""How kernels are compiled, once for an installation and by one process at a time. Importing this loads Numba."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config
from numba.core.cpu import CPUTargetOptions

from energyknn._shared.aside import Compilation
from energyknn._shared.kernel_files import KernelCache, KernelsMissingError, find_private_folder, loading_only
from energyknn._shared.turns import taking_turns

_LOG = logging.getLogger("energyknn")
_UNCOUNTED = {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}  # not public; without it steps are slower

_SETTINGS: Any = config
_SETTINGS.reload_config()  # Numba read them when it was imported, and reads them anew when it compiles
IS_COMPILED: bool = not _SETTINGS.DISABLE_JIT
"""Whether kernels are compiled; if NUMBA_DISABLE_JIT is set, Python runs them."""


def _compiling(**options: Any) -> Any:
    """Return a decorator: `njit` with the options of all kernels, and with a cache that never fails."""

    def decorate(function: Callable[..., Any]) -> Any:
        if not IS_COMPILED:
            return function
        kernel: Any = njit(nogil=True, error_model="numpy", **options)(function)
        kernel._cache = KernelCache(function)
        return kernel

    return decorate


compile_kernel: Any = _compiling()
"""Compile a loop: it releases the interpreter's lock, and LLVM neither fuses nor reorders its arithmetic."""

compile_step: Any = _compiling(**_UNCOUNTED)
"""Compile a step of a loop that creates no array, without counting references to the arrays that it gets.

Counting takes an atomic operation for each array of a NamedTuple that is passed. Many steps take less time than that.
"""
inline_step: Any = _compiling(**_UNCOUNTED, inline="always")
"""Compile a step into the step that calls it, where even passing the arrays takes too long."""


def try_loading(warm_up: Callable[[], object]) -> bool:
    """Load kernels from disk.

    Parameters
    ----------
    warm_up : callable
        Calls every kernel, so that each is loaded.

    Returns
    -------
    bool
        False if some would have to be compiled first.
    """
    try:
        with loading_only():
            warm_up()
    except KernelsMissingError:
        return False
    return True


def load_or_compile(kernel: Any, warm_up: Callable[[], object], *, what: str) -> None:
    """Load kernels from disk or compile them, and say so before they are compiled.

    Parameters
    ----------
    kernel : callable
        One of them.
    warm_up : callable
        Calls every kernel, so that each is loaded or compiled.
    what : str
        Whose kernels, and how long they take.

    Notes
    -----
    Processes that share the folder of compiled kernels take turns: one compiles, and the others load what it compiled.
    """
    if not IS_COMPILED or try_loading(warm_up):
        warm_up()
        return
    folder = find_folder(kernel)
    _LOG.warning("Compiling the kernels of %s, %s", what, _tell_how_often(folder))
    with nullcontext() if folder is None else taking_turns(folder):
        warm_up()


def compile_aside(kernel: Any, module: str, function: str, *, what: str) -> Compilation | None:
    """Let another process compile kernels, and say so.

    Parameters
    ----------
    kernel : callable
        One of them.
    module, function : str
        What calls every kernel.
    what : str
        Whose kernels, and how long they take.

    Returns
    -------
    Compilation or None
        None where no folder can be written to keep them, or no other process can be started.
    """
    folder = find_folder(kernel)
    if folder is None:
        return None
    try:
        compilation = Compilation(folder, module, function)
    except OSError:
        return None
    _LOG.warning("Another process compiles the kernels of %s, %s", what, _tell_how_often(folder))
    return compilation


def find_folder(kernel: Any) -> Path | None:
    """Find the folder that keeps a compiled kernel; return None if no folder can be written, or Python runs it."""
    return kernel._cache.folder if IS_COMPILED else None


def _tell_how_often(folder: Path | None) -> str:
    """Tell how often kernels are compiled, and what helps if that is too often."""
    private = find_private_folder()
    if folder is None:
        return "in each process, as no folder can be written to keep them. Set NUMBA_CACHE_DIR to a folder that can."
    if private in folder.parents:
        return f"once while {str(private)!r} lasts. Set NUMBA_CACHE_DIR to a folder that can be written to keep them."
    return "once for this installation."
