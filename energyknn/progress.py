"""Progress of a long job: functions that wrap its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
Track = Callable[[Sequence[T], str], Iterable[T]]
"""Wraps the steps of a long job, and takes a word for what they do, to show its progress.

A step may have an attribute `work` with its share of the whole. Otherwise all steps count alike.
"""


def track_silently(steps: Sequence[T], description: str) -> Iterable[T]:  # noqa: ARG001 - the shape of a Track
    """Return the steps, and show nothing."""
    return steps


def track_on_stderr(steps: Sequence[T], description: str) -> Iterable[T]:
    """Yield the steps, and show a bar on stderr with the share of the work that is done and the time that is left."""
    from rich import progress as bars
    from rich.console import Console

    done = (bars.BarColumn(), bars.TaskProgressColumn(), bars.TimeElapsedColumn(), bars.TimeRemainingColumn())
    works = [float(getattr(step, "work", 1)) for step in steps]
    with bars.Progress(bars.TextColumn("{task.description}"), *done, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=sum(works))
        for step, work in zip(steps, works, strict=True):
            yield step
            progress.advance(task, work)
