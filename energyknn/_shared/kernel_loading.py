"""How kernels are loaded or compiled, once for an installation and by one process at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from energyknn._shared.aside import Compilation
from energyknn._shared.kernel_folders import find_private_folder
from energyknn._shared.machine_code import Kernel, KernelsMissingError, is_compiled, loading_only
from energyknn._shared.turns import taking_turns

_LOG = logging.getLogger("energyknn")


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
    if not is_compiled() or try_loading(warm_up):
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
    if isinstance(kernel, Kernel) or not is_compiled():
        return kernel.find_folder() if is_compiled() else None
    folder: Path | None = kernel._cache.folder
    return folder


def _tell_how_often(folder: Path | None) -> str:
    """Tell how often kernels are compiled, and what helps if that is too often."""
    private = find_private_folder()
    if folder is None:
        return "in each process, as no folder can be written to keep them. Set NUMBA_CACHE_DIR to a folder that can."
    if private in folder.parents:
        return f"once while {str(private)!r} lasts. Set NUMBA_CACHE_DIR to a folder that can be written to keep them."
    return "once for this installation."
