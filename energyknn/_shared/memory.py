"""How much memory there is, and a refusal of work that needs more, before it starts."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from energyknn.errors import MemoryShortageError

_WORTH_ASKING = 1 << 27  # bytes; to ask takes a tenth of a millisecond, and less than this is there
_GROUPS = Path("/sys/fs/cgroup")


def require_memory(n_bytes: int, what: str, remedy: str) -> None:
    """Refuse work that needs more memory than there is.

    Parameters
    ----------
    n_bytes : int
        What the work takes, about.
    what : str
        What it is: the beginning of a sentence.
    remedy : str
        What takes less: a sentence.

    Raises
    ------
    MemoryShortageError
        If there is less. Nothing is refused where the system does not say how much there is.
    """
    if n_bytes < _WORTH_ASKING:
        return
    available = measure_available_memory()
    if available is not None and n_bytes > available:
        message = f"{what} takes about {n_bytes:,} bytes of memory, and {available:,} are there. {remedy}"
        raise MemoryShortageError(message)


def measure_available_memory() -> int | None:
    """Measure how many bytes this process can still take.

    Returns
    -------
    int or None
        The least of what the machine, the process's control groups and its limits (RLIMIT_AS, RLIMIT_DATA) leave. On
        Windows, what the machine leaves. On other systems, what the machine has. None where none of them is told.
    """
    found = [*_ask_machine(), *_ask_group(), *_ask_limits()]
    return max(0, min(found)) if found else None


def _ask_machine() -> Iterator[int]:
    """Ask for what can be had without swapping; where only Linux and Windows tell that, for what there is in all."""
    lines = dict(line.split(":", 1) for line in _read_lines(Path("/proc/meminfo")) if ":" in line)
    if "MemAvailable" in lines:
        yield int(lines["MemAvailable"].split()[0]) * 1024
    elif hasattr(ctypes, "windll"):
        yield from _ask_windows(ctypes.windll.kernel32)
    elif "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        n_pages = os.sysconf("SC_PHYS_PAGES")
        if n_pages > 0:
            yield n_pages * os.sysconf("SC_PAGE_SIZE")


class _Status(ctypes.Structure):
    """Windows' MEMORYSTATUSEX."""

    _fields_: ClassVar = [
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in ("physical", "available", "commit", "left", "space", "free", "extended")),
    ]


def _ask_windows(kernel: Any) -> Iterator[int]:
    """Ask Windows for the physical memory that is free, and for the memory that it would still promise."""
    status = _Status(length=ctypes.sizeof(_Status))
    if kernel.GlobalMemoryStatusEx(ctypes.byref(status)):
        yield min(status.available, status.left)


def _ask_group() -> Iterator[int]:
    """Ask the control groups, of the second version or the first, for what their limits leave."""
    group = _GROUPS / _find_group()
    inner = [folder for folder in (group, *group.parents) if folder.is_relative_to(_GROUPS)]
    second = [(folder, "memory.max", "memory.current", "inactive_file") for folder in inner]
    first = (_GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    for folder, limit, usage, cache in (*second, first):
        most, taken = _read_number(folder / limit), _read_number(folder / usage)
        if most is not None and taken is not None:
            lines = dict(line.split() for line in _read_lines(folder / "memory.stat"))
            yield most - taken + int(lines.get(cache, 0))


def _find_group() -> str:
    """Find the folder of the process's control group, the second version's."""
    groups = (line.split("::/", 1) for line in _read_lines(Path("/proc/self/cgroup")) if line.startswith("0::/"))
    return next((group for _, group in groups), "")


def _ask_limits() -> Iterator[int]:
    """Ask for what the limits of the process leave."""
    pages = "".join(_read_lines(Path("/proc/self/statm"))).split()
    if not pages:
        return
    import resource  # there where /proc is

    for limit, taken in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY:
            yield most - int(taken) * os.sysconf("SC_PAGE_SIZE")


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _read_number(path: Path) -> int | None:
    text = "".join(_read_lines(path))
    return int(text) if text.isdigit() else None
