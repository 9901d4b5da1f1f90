"""How a loop and all its steps are compiled into one piece of machine code. Importing this loads Numba.

Numba optimises each step, and each again in every step that calls it, and makes machine code of all. Here steps stay as
they are until the loop has them all: that is optimised once, and only it becomes machine code.
"""
# mypy: disable-error-code="no-untyped-call,no-untyped-def"

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import from_dtype, types
from numba.core import codegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from energyknn._shared.compiling import compile_step

_WORD = ir.IntType(64)
_OUTSIDE = ("llvm.", "mem", "fma", "sqrt")  # what machine code may call that it does not hold


class _Library(codegen.JITCodeLibrary):
    """A step that is linked into others as it is."""

    def _optimize_functions(self, ll_module):
        """Leave that to the loop."""
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        """Leave that to the loop."""

    def _finalize_final_module(self):
        """Make no machine code."""
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        """There is none."""
        del name
        return 0

    def make_code(self) -> bytes:
        """Optimise a loop with its steps, and make machine code of it."""
        self._ensure_finalized()
        super()._optimize_final_module()
        for function in self._final_module.functions:
            if function.is_declaration and not function.name.startswith(_OUTSIDE):
                message = f"{self.name} calls {function.name}, which needs Numba."
                raise RuntimeError(message)
        code: bytes = self._codegen._tm.emit_object(self._final_module)
        return code


class _Codegen(codegen.JITCPUCodegen):
    """Numba's compiler for this machine, for such libraries."""

    _library_class = _Library

    def set_env(self, env_name, env):
        """There is no machine code that needs it."""


@contextmanager
def _compiling_whole() -> Iterator[None]:
    """Let Numba compile so for a while."""
    context = cpu_target.target_context
    before = context._internal_codegen
    with global_compiler_lock:
        context._internal_codegen = _Codegen("energyknn")
        try:
            yield
        finally:
            context._internal_codegen = before


def compile_whole(module: str, name: str, values: tuple[Any, ...]) -> tuple[str, bytes]:
    """Compile a loop for arguments like some values; return the name of what to call, and the machine code."""
    loop = getattr(import_module(module), name)
    read = _make_reader(tuple(map(_find_type, values)))

    def enter(words):
        return loop(*read(words))

    kernel = compile_step(enter)
    with _compiling_whole():
        kernel.compile((types.CPointer(types.int64),))
        (found,) = kernel.overloads.values()
        return found.fndesc.llvm_func_name, found.library.make_code()


def _find_type(value: Any) -> Any:
    """Find Numba's type of an argument."""
    if isinstance(value, np.ndarray):
        return types.Array(from_dtype(value.dtype), value.ndim, "C")
    if isinstance(value, tuple):
        return types.NamedTuple(tuple(map(_find_type, value)), type(value))
    return types.float64 if isinstance(value, (float, np.floating)) else types.int64


def _make_reader(kinds: tuple[Any, ...]) -> Any:
    """Return a function that reads the words of arguments."""

    @intrinsic
    def read(context, words):
        del context
        result = types.BaseTuple.from_types(kinds)

        def generate(context, builder, signature, arguments):
            del signature
            at = iter(range(1 << 30))

            def take():
                return builder.load(builder.gep(arguments[0], [_WORD(next(at))]))

            def build(kind: Any) -> Any:
                if hasattr(kind, "types"):  # a tuple
                    return context.make_tuple(builder, kind, [build(inner) for inner in kind.types])
                if not isinstance(kind, types.Array):
                    return builder.bitcast(take(), context.get_value_type(kind))
                array = context.make_array(kind)(context, builder)
                data = builder.inttoptr(take(), array.data.type)
                shape = [take() for _ in range(kind.ndim)]
                size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
                strides = [_WORD(size)]
                for length in shape[:0:-1]:
                    strides.insert(0, builder.mul(strides[0], length))
                populate_array(array, data=data, shape=shape, strides=strides, itemsize=_WORD(size), meminfo=None)
                return array._getvalue()

            return context.make_tuple(builder, result, [build(kind) for kind in kinds])

        return result(words), generate

    return read
