"""One line for an object that holds much: what it is made of, and how large the parts are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type[Any])

_LONGEST = 200  # characters of a line
_WIDTHS = (60, 30, 12)  # of a part, tried until the line is short enough


def in_one_line(shown: Class) -> Class:
    """Let a dataclass or a named tuple show itself in one line. A class decorator.

    Short values are shown as they are. Arrays and frames are shown by their shapes, and long collections by their
    numbers of items.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> @in_one_line
    ... class Found(NamedTuple):
    ...     name: str
    ...     rows: object
    >>> Found("nearest", np.zeros((500, 3)))
    Found(name='nearest', rows=<500 x 3 float64>)
    """

    def show(self: Any) -> str:
        names = [field.name for field in fields(self) if field.repr] if is_dataclass(self) else list(self._fields)
        return show_parts(type(self).__name__, {name: getattr(self, name) for name in names})

    shown.__repr__ = show  # type: ignore[assignment]
    return shown


def show_parts(name: str, parts: Mapping[str, Any]) -> str:
    """Show a name and its parts in one line of at most 200 characters."""
    line = ""
    for width in _WIDTHS:
        line = f"{name}({', '.join(f'{part}={show_value(value, width)}' for part, value in parts.items())})"
        if len(line) <= _LONGEST:
            return line
    return f"{line[: _LONGEST - 4]}...)"


def show_value(value: Any, width: int) -> str:
    """Show a value in one line of about the width that is given."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"<{' x '.join(map(str, shape))} {getattr(value, 'dtype', type(value).__name__)}>"
    if isinstance(value, str):
        return repr(value if len(value) <= width else value[: width - 3] + "...")
    if isinstance(value, Mapping | list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        if _holds_much(value, width):
            return f"<{len(value)} {'item' if len(value) == 1 else 'items'}>"
        return repr(value)
    text = repr(value)
    return text if len(text) <= width and "\n" not in text else f"<{type(value).__name__}>"


def _holds_much(values: Collection[Any], width: int) -> bool:
    """Return whether a collection is too long for the width, or holds what takes lines of its own."""
    parts = list(values.values()) if isinstance(values, Mapping) else list(values)
    if len(parts) > width or any(getattr(part, "shape", ()) for part in parts):
        return True
    text = repr(values)
    return len(text) > width or "\n" in text
