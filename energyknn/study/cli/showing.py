"""How commands show what they found: results on stdout, notes and progress on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from typing import Any

from rich.console import Console

from energyknn.progress import Track, track_on_stderr, track_silently

_PATIENCE = 10.0  # seconds before a job says where it is, in what is no terminal
_UNBOUNDED = 10_000  # columns of what is no terminal


def open_console() -> Console:
    """Return a console on stdout: as wide as the terminal or COLUMNS; where neither says, no line is broken."""
    bounded = sys.stdout.isatty() or "COLUMNS" in os.environ
    options: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    return Console(file=sys.stdout, width=None if bounded else _UNBOUNDED, **options)


def choose_track(options: Namespace) -> Track[Any]:
    """Return what shows progress: bars on a terminal, lines of long jobs elsewhere, nothing with --quiet."""
    if options.quiet:
        return track_silently
    return track_on_stderr if sys.stderr.isatty() else partial(track_on_stderr, after=_PATIENCE)


def write_note(options: Namespace, text: str) -> None:
    """Write a line to stderr that is no result; nothing with --quiet."""
    if not options.quiet:
        sys.stderr.write(f"{text}\n")


def count(number: int, what: str) -> str:
    """Return a number and what it counts.

    Examples
    --------
    >>> count(1, "row"), count(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {what if number == 1 else f'{what}s'}"


def write_json(value: Any) -> None:
    """Write a value to stdout as JSON: numbers in full, NaN as null."""
    sys.stdout.write(format_json(value))


def format_json(value: Any) -> str:
    """Return a value as JSON: numbers in full, NaN as null."""
    return json.dumps(_clean(value), indent=1, allow_nan=False) + "\n"


def _clean(value: Any) -> Any:
    """Return plain values for JSON, which knows neither NaN nor NumPy's numbers."""
    if isinstance(value, Mapping):
        return {str(name): _clean(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(part) for part in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
