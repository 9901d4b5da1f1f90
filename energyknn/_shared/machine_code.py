"""Kernels as machine code on disk. Loading one needs llvmlite but not Numba, which takes many times as long to import.

A kernel is called with arrays, numbers and NamedTuples of them. They are written into one array of 64-bit words, and
the kernel gets its address. `whole_kernels` compiles kernels so.
"""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import ctypes
import logging
import os
import struct
import tempfile
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from energyknn._shared.kernel_folders import find_writable_folder

_LOG = logging.getLogger(__name__)
_SEAL = sha256().digest_size
_OPTIONS = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX", "NUMBA_OPT")
_LOCK = threading.RLock()
_THREAD = threading.local()


class KernelsMissingError(Exception):
    """A kernel is not on disk, and was not to be compiled."""


@contextmanager
def loading_only() -> Iterator[None]:
    """Let this thread load kernels and compile none: a kernel that is not on disk raises `KernelsMissingError`."""
    _THREAD.loads_only = True
    try:
        yield
    finally:
        _THREAD.loads_only = False


def require_compiling() -> None:
    """Raise `KernelsMissingError` where this thread is to compile nothing."""
    if getattr(_THREAD, "loads_only", False):
        raise KernelsMissingError


def is_compiled() -> bool:
    """Tell whether kernels are compiled; if NUMBA_DISABLE_JIT is set, Python runs them."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


class Kernel:
    """A loop that is compiled with all its steps, kept on disk, and loaded without Numba.

    Parameters
    ----------
    module : str
        The module that defines the loop with `compile_step`; it is imported when the loop must be compiled.
    name : str
        The function. It allocates nothing, raises nothing, and returns an integer or nothing.

    Notes
    -----
    Arrays are C-ordered and aligned. Whole numbers become int64, others float64.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name
        self._entries: dict[Any, Any] = {}

    def __call__(self, *values: Any) -> int:
        """Run the loop, without the interpreter's lock."""
        kinds: list[Any] = []
        words: list[int] = []
        _flatten(values, kinds, words)
        key = tuple(kinds)
        entry = self._entries.get(key) or self._get_entry(key, values)
        if isinstance(entry, _Code):
            return entry.run(words)
        return entry(*map(_unpack, values)) or 0

    def find_folder(self) -> Path | None:
        """Find the folder that keeps the compiled loop; return None if no folder can be written, or Python runs it."""
        return find_writable_folder(_find_source(self.module)) if is_compiled() else None

    def _get_entry(self, kinds: Any, values: tuple[Any, ...]) -> Any:
        """Load the loop for arguments of some kinds, or compile it."""
        with _LOCK:
            if kinds not in self._entries:
                self._entries[kinds] = self._load(kinds) or self._compile(kinds, values)
            return self._entries[kinds]

    def _load(self, kinds: Any) -> _Code | None:
        """Load the loop from disk; return None if it is not there, or damaged."""
        if not is_compiled():
            return None
        source = _find_source(self.module)
        for folder in dict.fromkeys((find_writable_folder(source), source.parent / "__pycache__")):
            path = folder and folder / self._name_file(kinds)
            with suppress(OSError):
                content = path.read_bytes() if path else b""
                if sha256(content[:-_SEAL]).digest() == content[-_SEAL:]:
                    symbol, _, code = content[:-_SEAL].partition(b"\n")
                    return _Code(symbol.decode(), code)
                if path:
                    _LOG.debug("%s is damaged", path)
                    path.unlink()
        return None

    def _compile(self, kinds: Any, values: tuple[Any, ...]) -> Any:
        """Compile the loop and keep it; return a function of Python where that is what there is."""
        if not is_compiled():
            from importlib import import_module

            return getattr(import_module(self.module), self.name)
        require_compiling()
        from energyknn._shared.whole_kernels import compile_whole

        symbol, code = compile_whole(self.module, self.name, tuple(map(_unpack, values)))
        folder = self.find_folder()
        if folder is not None:
            content = symbol.encode() + b"\n" + code
            with suppress(OSError):
                _write_whole(folder / self._name_file(kinds), content + sha256(content).digest())
        return _Code(symbol, code)

    def _name_file(self, kinds: Any) -> str:
        """Name the file after all that the machine code depends on."""
        what = sha256(repr((self.module, self.name, kinds, _describe_compiler(), _hash_room(self.module))).encode())
        return f"{self.name}-{what.hexdigest()[:32]}.code"


class Packed:
    """A NamedTuple of arrays that many calls get: it is written as words once."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.kinds: list[Any] = []
        self.words: list[int] = []
        _flatten((value,), self.kinds, self.words)


def _unpack(value: Any) -> Any:
    """Return what is packed; return any other value as it is."""
    return value.value if isinstance(value, Packed) else value


class _Code:
    """Machine code that is loaded."""

    def __init__(self, symbol: str, code: bytes) -> None:
        import llvmlite.binding as llvm  # type: ignore[import-untyped]

        self._engine = _make_engine()
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self._function = kind(self._engine.get_function_address(symbol))

    def run(self, words: list[int]) -> int:
        """Call it in the way of Numba's functions: with room for a result and an error, and with the words."""
        room = array("q", (0, 0, *words))
        at, _ = room.buffer_info()
        status = self._function(at, at + 8, at + 16)
        if status > 0:
            message = f"A kernel failed with status {status}."
            raise RuntimeError(message)
        return room[0]


def _flatten(values: Any, kinds: list[Any], words: list[int]) -> None:
    """Write values as words, and say what they are."""
    for value in values:
        if isinstance(value, np.ndarray):
            flags = value.flags
            if not (flags.carray or (flags.c_contiguous and flags.aligned)):
                message = "An array of a kernel is not C-ordered and aligned."
                raise TypeError(message)
            kinds += value.dtype.char, value.ndim
            words.append(_find_address(value))
            words += value.shape
        elif isinstance(value, Packed):
            kinds += value.kinds
            words += value.words
        elif isinstance(value, tuple):
            kinds.append(type(value))
            _flatten(value, kinds, words)
        elif isinstance(value, (float, np.floating)):
            kinds.append("float64")
            words += struct.unpack("q", struct.pack("d", value))
        else:
            kinds.append("int64")
            words.append(int(value))


def _find_address(array: np.ndarray[Any, Any]) -> int:
    """Find where the values of an array are. Of an array that can be written, ctypes tells it the fastest."""
    if array.flags.writeable and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    return int(array.__array_interface__["data"][0])


def _find_source(module: str) -> Path:
    """Find a module's file without importing it."""
    found = find_spec(module)
    return Path(str(found and found.origin))


@cache
def _hash_room(module: str) -> str:
    """Hash the files whose steps are compiled into a room's kernels, and those that compile them."""
    paths = [*_find_source(module).parent.glob("*.py"), *Path(__file__).parent.glob("*kernel*.py"), Path(__file__)]
    return sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()


@cache
def _describe_compiler() -> tuple[Any, ...]:
    """Describe what else the machine code depends on: the compiler, its options and the processor."""
    import llvmlite.binding as llvm

    options = tuple(os.environ.get(name) for name in _OPTIONS)
    features = llvm.get_host_cpu_features().flatten()
    return version("numba"), version("llvmlite"), llvm.get_process_triple(), llvm.get_host_cpu_name(), features, options


def _make_engine() -> Any:
    """Make a loader of machine code, which owns a description of this machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file aside, and put it in place whole."""
    number, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        os.replace(name, path)  # noqa: PTH105
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
