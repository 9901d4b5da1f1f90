"""Progress of a long job: functions that wrap its steps, and an estimate of the time that is left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
Track = Callable[[Sequence[T], str], Iterable[T]]
"""Wraps the steps of a long job, and takes a word for what they do, to show its progress.

A step may have three attributes. `work` is its share of the whole; otherwise all steps count alike. `kind` is a word
for steps whose work takes equally long; otherwise all are of one kind. `name` is shown while the step runs.
"""

_SECONDS_BETWEEN_LINES = 30.0
_WIDTH_OF_BAR = 30
_TOO_LITTLE = 0.005  # share of the work whose seconds tell nothing


def track_silently(steps: Sequence[T], description: str) -> Iterable[T]:  # noqa: ARG001 - the shape of a Track
    """Return the steps, and show nothing."""
    return steps


def track_on_stderr(steps: Sequence[T], description: str, *, after: float = 0.0) -> Iterable[T]:
    """Yield the steps, and show on stderr how many are done and the time that is left.

    A terminal, and a notebook with ipywidgets, show bars. A job inside a step of another job gets a bar below it.
    Elsewhere a line is written when a job or a step with a name begins, and every 30 seconds. Jobs whose steps have no
    names begin in silence, and get their first line after so many seconds.
    """
    with _open_display(after) as display:
        job = Job(steps, description, parent=display.jobs[-1] if display.jobs else None)
        display.begin(job)
        try:
            for step in steps:
                job.begin_step()
                display.begin_step(job)
                yield step
                job.end_step()
        finally:
            if job.parent:
                job.parent.inner = None
            display.end(job)


def put_before(words: str, track: Track[T]) -> Track[T]:
    """Return a track that puts words before each description, such as the name of a study."""
    return lambda steps, description: track(steps, f"{words}: {description[:1].lower()}{description[1:]}")


class Job:
    """Steps that take unlike times, how far they are, and how long the rest will take.

    Parameters
    ----------
    steps : sequence
        With or without the attributes of a `Track`.
    description : str
        What the steps do.
    parent : Job or None, default=None
        The job inside whose current step this one runs.
    clock : callable, default=time.monotonic
        Returns seconds.

    Notes
    -----
    A kind of steps takes the seconds per work that its finished steps took, and one of which none is finished those of
    all finished steps. A step that takes longer than that is expected to last as long again as it is late, so the time
    left never stands still at nothing. A job inside the current step says how long that will take at least.

    Examples
    --------
    >>> seconds = iter([0.0, 0.0, 10.0, 10.0])
    >>> job = Job("abc", "Spell", clock=lambda: next(seconds))
    >>> job.begin_step()
    >>> job.end_step()
    >>> job.estimate_left()
    20.0
    """

    def __init__(
        self,
        steps: Sequence[Any],
        description: str,
        *,
        parent: Job | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.description, self.parent, self.inner = description, parent, None
        self.n_done, self.n_steps = 0, len(steps)
        self._names = [str(getattr(step, "name", "")) for step in steps]
        self._works = [float(getattr(step, "work", 1)) for step in steps]
        self._kinds = [str(getattr(step, "kind", "")) for step in steps]
        self._clock = clock
        self._started = clock()
        self._began: float | None = None
        self._known: dict[str, list[float]] = {}  # seconds and work of the finished steps of each kind
        if parent is not None:
            parent.inner = self

    inner: Job | None

    @property
    def name(self) -> str:
        """The name of the current step; "" where it has none."""
        return self._names[self.n_done] if self.n_done < self.n_steps else ""

    @property
    def seconds(self) -> float:
        """The seconds since the job began."""
        return self._clock() - self._started

    def begin_step(self) -> None:
        """Note that the next step begins."""
        self._began = self._clock()

    def end_step(self) -> None:
        """Note that the current step is done."""
        seconds, work = self._clock() - (self._began or 0.0), self._works[self.n_done]
        known = self._known.setdefault(self._kinds[self.n_done], [0.0, 0.0])
        known[0], known[1] = known[0] + seconds, known[1] + work
        self.n_done, self._began, self.inner = self.n_done + 1, None, None

    def estimate_left(self) -> float | None:
        """Estimate the seconds that are left; None before anything is known."""
        return self._look()[0]

    def estimate_done(self) -> float:
        """Estimate the share of the job's time that has passed, from 0 to 1."""
        left, seconds = self._look()
        return 0.0 if left is None else seconds / max(seconds + left, 1e-9)

    def _look(self) -> tuple[float | None, float]:
        """Return the seconds left and the seconds since the job began, by one look at the clock."""
        now = self._clock()
        seconds, n_done, began = now - self._started, self.n_done, self._began
        if n_done >= self.n_steps:
            return 0.0, seconds
        spent = 0.0 if began is None else now - began
        inner = self.inner.estimate_left() if self.inner else None
        least = None if inner is None else spent + inner
        rates = self._find_rates(n_done, least)
        if rates is None:
            return None, seconds
        whole = max(rates(n_done), least or 0.0)
        current = whole - spent if spent <= whole else spent - whole
        return current + sum(rates(place) for place in range(n_done + 1, self.n_steps)), seconds

    def _find_rates(self, current: int, least: float | None) -> Callable[[int], float] | None:
        """Return what tells the seconds of a step. `least` is what the current one takes, where that is known."""
        total, work = (sum(known[part] for known in self._known.values()) for part in (0, 1))
        if work <= _TOO_LITTLE * sum(self._works):
            if least is None or self._works[current] <= 0:
                return None
            total, work = least, self._works[current]
        known = {kind: sums[0] / sums[1] for kind, sums in self._known.items() if sums[1] > 0}
        return lambda place: self._works[place] * known.get(self._kinds[place], total / work)

    def describe(self) -> str:
        """Describe in a line how far the job is."""
        name = f", {self.name}" if self.name else ""
        left = self.estimate_left()
        rest = "" if left is None else f", about {format_seconds(left)} left"
        step = min(self.n_done + 1, self.n_steps)
        return f"{self.description}: {step} of {self.n_steps}{name}; {format_seconds(self.seconds)} so far{rest}"


def format_seconds(seconds: float) -> str:
    """Write seconds as hours, minutes and seconds.

    Examples
    --------
    >>> format_seconds(75.4)
    '0:01:15'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


class _Lines:
    """Shows jobs as lines: when one begins, or a little later, when a step with a name begins, and every 30 seconds."""

    def __init__(self, after: float = 0.0) -> None:
        self._after = after
        self.jobs: list[Job] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def begin(self, job: Job) -> None:
        self.jobs.append(job)
        if len(self.jobs) == 1:
            if not self._after or job.name:
                self._after = _SECONDS_BETWEEN_LINES
                self._write(f"{job.description}: {job.n_steps} {'step' if job.n_steps == 1 else 'steps'}")
            self._thread.start()

    def begin_step(self, job: Job) -> None:
        if len(self.jobs) == 1 and job.name:
            self._write(job.describe())

    def end(self, job: Job) -> None:
        self.jobs.remove(job)

    def close(self) -> None:
        self._ended.set()

    def _repeat(self) -> None:
        seconds = self._after
        while not self._ended.wait(seconds):
            seconds = _SECONDS_BETWEEN_LINES
            for job in self.jobs[:1]:
                self._write(job.describe())

    def _write(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class _Bars:
    """Shows jobs as bars, each below the one that it is a part of."""

    def __init__(self, console: Any) -> None:
        from rich.live import Live

        self.jobs: list[Job] = []
        self._live = Live(console=console, get_renderable=self._draw)

    def begin(self, job: Job) -> None:
        self.jobs.append(job)
        if len(self.jobs) == 1:
            self._live.start()

    def begin_step(self, job: Job) -> None:
        """Bars are drawn anew by themselves."""

    def end(self, job: Job) -> None:
        if len(self.jobs) > 1:  # the first stays until the display is closed
            self.jobs.remove(job)

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        for depth, job in enumerate(tuple(self.jobs)):
            left, step = job.estimate_left(), f"{min(job.n_done + 1, job.n_steps)} of {job.n_steps} {job.name}"
            times = format_seconds(job.seconds), "" if left is None else f"{format_seconds(left)} left"
            bar = ProgressBar(total=1.0, completed=job.estimate_done(), width=_WIDTH_OF_BAR)
            table.add_row("  " * depth + job.description, bar, step.rstrip(), *times)
        return table


_shown: ContextVar[_Lines | _Bars | None] = ContextVar("shown", default=None)


@contextmanager
def _open_display(after: float) -> Iterator[_Lines | _Bars]:
    """Give the display of the job around this one, or open one for as long as the first job lasts."""
    display = _shown.get()
    if display is not None:
        yield display
        return
    display = _make_display(after)
    _shown.set(display)
    try:
        yield display
    finally:
        display.close()
        _shown.set(None)


def _make_display(after: float) -> _Lines | _Bars:
    """Make bars for a terminal or a notebook that can draw them, and lines for all else."""
    from importlib.util import find_spec

    from rich.console import Console

    console = Console(stderr=True)
    draws = find_spec("ipywidgets") is not None if console.is_jupyter else console.is_terminal
    return _Bars(console) if draws else _Lines(after)
