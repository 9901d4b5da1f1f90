"""How loops and their steps are compiled. Importing this loads Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import config
from numba.core.cpu import CPUTargetOptions

from energyknn._shared.kernel_files import KernelCache

_UNCOUNTED = {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}  # not public; without it steps are slower

_SETTINGS: Any = config
_SETTINGS.reload_config()  # Numba read them when it was imported, and reads them anew when it compiles
IS_COMPILED: bool = not _SETTINGS.DISABLE_JIT
"""Whether kernels are compiled; if NUMBA_DISABLE_JIT is set, Python runs them."""


def _compiling(*, keeps: bool = False, **options: Any) -> Any:
    """Return a decorator: `njit` with the options of all kernels, and a cache that never fails if it keeps them."""

    def decorate(function: Callable[..., Any]) -> Any:
        if not IS_COMPILED:
            return function
        kernel: Any = njit(nogil=True, error_model="numpy", **options)(function)
        if keeps:
            kernel._cache = KernelCache(function)
        return kernel

    return decorate


compile_kernel: Any = _compiling(keeps=True)
"""Compile a loop: it releases the interpreter's lock, and LLVM neither fuses nor reorders its arithmetic."""

_STEP = {**_UNCOUNTED, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # only loops call it
compile_step: Any = _compiling(**_STEP)
"""Compile a step of a loop, or a loop of `machine_code`: it creates no array, and counts no references to arrays.

Counting takes an atomic operation for each array of a NamedTuple that is passed. Many steps take less time than that.
"""
inline_step: Any = _compiling(**_STEP, inline="always")
"""Compile a step into the step that calls it, where even passing the arrays takes too long."""
