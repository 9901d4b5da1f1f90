"""How far a long job is: functions that wrap its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
Track = Callable[[Sequence[T], str], Iterable[T]]
"""Wraps the steps of a long job, with a word for what they do, to show how far it is.

A step may say in an attribute `work` how much it is of the whole; else all are alike.
"""


def track_silently(steps: Sequence[T], description: str) -> Iterable[T]:  # noqa: ARG001 - the shape of a Track
    """Return the steps themselves: the `Track` that shows nothing."""
    return steps


def track_on_stderr(steps: Sequence[T], description: str) -> Iterable[T]:
    """Yield the steps, with a bar on stderr: the share of the work that is done, and the time that is left.

    Parameters
    ----------
    steps : sequence
        What is done.
    description : str
        What that is.

    Yields
    ------
    object
        The steps.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    works = [float(getattr(step, "work", 1)) for step in steps]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=sum(works))
        for step, work in zip(steps, works, strict=True):
            yield step
            progress.advance(task, work)
