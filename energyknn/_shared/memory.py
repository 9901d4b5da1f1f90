"""How much memory there is, and a refusal of work that needs more, before it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

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
        The least of what the machine, the process's control group and its limits (RLIMIT_AS, RLIMIT_DATA) leave; None
        where the system tells none of them, as outside of Linux.
    """
    found = [*_ask_machine(), *_ask_group(), *_ask_limits()]
    return max(0, min(found)) if found else None


def _ask_machine() -> Iterator[int]:
    """Ask for what can be had without swapping."""
    for line in _read_lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _ask_group() -> Iterator[int]:
    """Ask the control group, of the second version or the first, for what its limit leaves."""
    for folder, limit, usage, cache in (
        (_GROUPS / _find_group(), "memory.max", "memory.current", "inactive_file"),
        (_GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
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
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []


def _read_number(path: Path) -> int | None:
    text = "".join(_read_lines(path))
    return int(text) if text.isdigit() else None
