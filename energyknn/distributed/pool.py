"""Units of work on the workers of a cluster: sent a few at a time, done again where a node is lost, kept in a journal.

A worker is a Ray actor: one process of a few cores, which prepares something once (the index of a shard) for all units
of a group. It takes units of the group it has prepared for as long as there are any.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

import energyknn
from energyknn.distributed.cluster import ClusterFacts, ClusterOptions
from energyknn.distributed.journal import Journal
from energyknn.errors import ClusterError, import_extra

__all__ = ["Outcome", "RunReport", "Task", "Unit", "Worker", "WorkerPool"]

_SENT_AHEAD = 2  # units of a worker: one that it does, and one that waits for it
_SECONDS_ALONE = 60.0  # without any worker, until the job is given up
_LOSSES = 3  # of a unit with its worker, beyond those that a lost node explains


class Outcome(NamedTuple):
    """What a unit gives.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        The result.
    failures : mapping of hashable to Exception
        What failed without stopping the unit; a unit with failures is not kept in a journal.
    """

    arrays: Mapping[str, NDArray[Any]]
    failures: Mapping[Any, Exception] = MappingProxyType({})


class Unit(NamedTuple):
    """A piece of work.

    Attributes
    ----------
    key : str
        Its name, the same in every run.
    group : hashable
        Units of a group share what a worker prepares.
    data : tuple
        What a worker prepares from; references to Ray's object store, or small values.
    arguments : callable
        Returns what the unit is about, when it is sent.
    work : float
        How much it is of the whole, for progress.
    """

    key: str
    group: Hashable
    data: tuple[Any, ...]
    arguments: Callable[[], tuple[Any, ...]]
    work: float = 1.0


class Task(NamedTuple):
    """What workers do.

    Attributes
    ----------
    prepare : callable
        Called with a group's data, once for each worker and group.
    work : callable
        Called with what was prepared, a unit's arguments, and `n_jobs`; returns an `Outcome`.
    uses_gpu : bool
        Whether `work` computes on a GPU where PyTorch finds one.
    """

    prepare: Callable[..., Any]
    work: Callable[..., Outcome]
    uses_gpu: bool = False


@dataclass(frozen=True)
class RunReport:
    """How a job went.

    Parameters
    ----------
    n_units : int
        Units of the job.
    n_restored : int
        Those whose results were read from the journal.
    n_done : int
        Those that were done.
    n_again : int
        How often a unit was done again, because its worker was lost or it failed.
    n_lost : int
        Workers that were lost.
    devices : mapping of str to int
        Units done by device: "cpu", or the GPU's name.
    nodes : mapping of str to int
        Units done by node.
    """

    n_units: int = 0
    n_restored: int = 0
    n_done: int = 0
    n_again: int = 0
    n_lost: int = 0
    devices: Mapping[str, int] = field(default_factory=dict)
    nodes: Mapping[str, int] = field(default_factory=dict)


class _Introduction(NamedTuple):
    """What a worker says of itself."""

    node: str
    device: str
    versions: tuple[str, str]


class Worker:
    """The body of an actor."""

    def __init__(self, task: Task, n_jobs: int) -> None:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        self._task, self._n_jobs = task, n_jobs
        self._limits = threadpool_limits(n_jobs)
        self._group: Hashable = None
        self._prepared: Any = None

    def introduce(self) -> _Introduction:
        """Say where this is, what computes, and which releases."""
        ray = import_extra("ray", extra="ray")
        device = _name_device() if self._task.uses_gpu else "cpu"
        return _Introduction(ray.get_runtime_context().get_node_id(), device, _own_versions())

    def run(self, group: Hashable, arguments: tuple[Any, ...], *data: Any) -> Outcome:
        """Do a unit, and prepare for it where the last was of another group."""
        if group != self._group:
            self._group = self._prepared = None  # never two at a time
            self._prepared = self._task.prepare(*data)
            self._group = group
        return self._task.work(self._prepared, *arguments, n_jobs=self._n_jobs)


def _name_device() -> str:
    torch = import_extra("torch", extra="gpu")
    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else "cpu"


def _own_versions() -> tuple[str, str]:
    return (f"energyknn {energyknn.__version__}", f"numpy {np.__version__}")


@dataclass(eq=False)
class _Hired:
    """A worker that has introduced itself."""

    actor: Any
    introduction: _Introduction
    group: Hashable = None
    n_sent: int = 0


class WorkerPool:
    """The workers of a job; a context manager that ends them.

    Parameters
    ----------
    facts : ClusterFacts
        How many workers find room.
    options : ClusterOptions
        The size of a worker, and how often a unit is tried again.
    task : Task
        What they do.
    journal : Journal or None
        Where finished units are kept.
    """

    def __init__(self, facts: ClusterFacts, options: ClusterOptions, task: Task, journal: Journal | None) -> None:
        self._facts, self._options, self._task, self._journal = facts, options, task, journal
        self._ray: ModuleType = import_extra("ray", extra="ray")
        self._joining: dict[Any, Any] = {}
        self._hired: list[_Hired] = []
        self._sent: dict[Any, tuple[Unit, _Hired]] = {}
        self._waiting: dict[Hashable, deque[Unit]] = {}
        self._failures: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._devices: Counter[str] = Counter()
        self._nodes: Counter[str] = Counter()
        self._n_unfit = 0
        self._alone_since: float | None = None

    def __enter__(self) -> Self:
        """Return the pool; workers start with the first unit."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers, whatever they do."""
        for actor in [*self._joining.values(), *(worker.actor for worker in self._hired)]:
            self._end(actor)
        self._joining, self._hired, self._sent = {}, [], {}

    def put(self, value: Any) -> Any:
        """Put a value into the object store, once for all workers; return the reference."""
        return self._ray.put(value)

    @property
    def report(self) -> RunReport:
        """How the job has gone so far."""
        return RunReport(
            **{name: self._counts[name] for name in ("n_units", "n_restored", "n_done", "n_again", "n_lost")},
            devices=MappingProxyType(dict(self._devices)),
            nodes=MappingProxyType(dict(self._nodes)),
        )

    def run(self, units: Sequence[Unit]) -> Iterator[tuple[Unit, Outcome]]:
        """Do units, or read what the journal has of them.

        Parameters
        ----------
        units : sequence of Unit
            With keys of their own.

        Yields
        ------
        Unit, Outcome
            As they are finished, in any order.

        Raises
        ------
        Exception
            What a unit itself raised each time that it was tried; a note says which.
        ClusterError
            If no worker is left for a minute, a unit ends its worker again and again, or nodes have other releases
            of energyknn or NumPy.
        JournalError
            If the journal cannot be written.
        """
        self._counts["n_units"] += len(units)
        for unit in units:
            restored = None if self._journal is None else self._journal.read(unit.key)
            if restored is None:
                self._waiting.setdefault(unit.group, deque()).append(unit)
            else:
                self._counts["n_restored"] += 1
                yield unit, Outcome(restored)
        while self._waiting or self._sent:
            self._hire()
            self._send()
            for reference in self._wait():
                if reference in self._joining:
                    self._welcome(reference)
                    continue
                unit, outcome = self._receive(reference)
                if outcome is not None:
                    if self._journal is not None and not outcome.failures:
                        self._journal.write(unit.key, outcome.arrays)
                    yield unit, outcome

    def _hire(self) -> None:
        """Start as many workers as have work and find room; Ray places them where nodes are alive."""
        n_wanted = min(self._facts.n_workers, len(self._sent) + sum(map(len, self._waiting.values())))
        for _ in range(n_wanted - len(self._hired) - len(self._joining)):
            options = {"num_cpus": self._options.cpus_per_worker, "num_gpus": self._options.gpus_per_worker}
            actor = self._ray.remote(**options)(Worker).remote(self._task, self._options.cpus_per_worker)
            self._joining[actor.introduce.remote()] = actor

    def _send(self) -> None:
        """Give each worker what it does next, the least busy first."""
        for depth in range(_SENT_AHEAD):
            for worker in self._hired:
                if worker.n_sent == depth and self._waiting:
                    unit = self._choose(worker)
                    reference = worker.actor.run.remote(unit.group, unit.arguments(), *unit.data)
                    worker.group, worker.n_sent = unit.group, worker.n_sent + 1
                    self._sent[reference] = unit, worker

    def _choose(self, worker: _Hired) -> Unit:
        """Take a unit of the worker's group, else of the group with the most units for each of its workers."""
        group = worker.group
        if group not in self._waiting:
            busy = Counter(other.group for other in self._hired)
            group = max(self._waiting, key=lambda name: len(self._waiting[name]) / (1 + busy[name]))
        unit = self._waiting[group].popleft()
        if not self._waiting[group]:
            del self._waiting[group]
        return unit

    def _wait(self) -> list[Any]:
        """Wait for news, for a second at most; give up where there is nobody to bring any."""
        if self._hired:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = monotonic()
        elif monotonic() - self._alone_since > _SECONDS_ALONE:
            message = (
                f"No worker is there, and none has started for {_SECONDS_ALONE:.0f} s: the cluster's CPUs or GPUs are "
                "taken or gone. Free them or add a node, and run again; a journal keeps what is finished."
            )
            raise ClusterError(message)
        ready, _ = self._ray.wait([*self._sent, *self._joining], num_returns=1, timeout=1.0)
        found: list[Any] = ready
        return found

    def _welcome(self, reference: Any) -> None:
        """Take in a worker that has started."""
        actor = self._joining.pop(reference)
        try:
            introduction = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._n_unfit += 1
            self._end(actor)
            if self._n_unfit > _LOSSES + self._count_dead_nodes():
                message = f"Workers do not start: {error}"
                raise ClusterError(message) from error
            return
        if introduction.versions != _own_versions():
            message = (
                f"Node {introduction.node[:8]} has {' and '.join(introduction.versions)}; here are "
                f"{' and '.join(_own_versions())}. Install the same releases on all nodes."
            )
            raise ClusterError(message)
        self._hired.append(_Hired(actor, introduction))

    def _receive(self, reference: Any) -> tuple[Unit, Outcome | None]:
        """Take a result; None where the unit has to be done again."""
        exceptions = self._ray.exceptions
        unit, worker = self._sent.pop(reference)
        worker.n_sent -= 1
        try:
            outcome: Outcome = self._ray.get(reference)
        except exceptions.RayTaskError as error:
            self._do_again_after_failure(unit, error)
        except (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.WorkerCrashedError) as error:
            self._do_again_after_loss(unit, worker, error)
        else:
            self._counts["n_done"] += 1
            self._devices[worker.introduction.device] += 1
            self._nodes[worker.introduction.node] += 1
            return unit, outcome
        self._counts["n_again"] += 1
        self._waiting.setdefault(unit.group, deque()).appendleft(unit)
        return unit, None

    def _do_again_after_failure(self, unit: Unit, error: Any) -> None:
        """Count a failure of a unit's own; raise it as it was when it has been tried often enough."""
        self._failures[unit.key] += 1
        if self._failures[unit.key] > self._options.max_retries:
            cause = error.cause if isinstance(error.cause, Exception) else RuntimeError(str(error))
            cause.add_note(f"Raised by the unit {unit.key!r} on a Ray worker, tried {self._failures[unit.key]} times.")
            raise cause from None

    def _do_again_after_loss(self, unit: Unit, worker: _Hired, error: Exception) -> None:
        """Dismiss a worker that was lost, or whose result was; stop where a unit ends one worker after another."""
        if worker in self._hired:
            self._hired.remove(worker)
            self._counts["n_lost"] += 1
            self._end(worker.actor)
        self._losses[unit.key] += 1
        if self._losses[unit.key] > _LOSSES and self._losses[unit.key] > _LOSSES + self._count_dead_nodes():
            message = (
                f"The unit {unit.key!r} was lost with its worker {self._losses[unit.key]} times. Does it need more "
                f"memory than a worker has? Take smaller blocks or more shards. The last loss: {error}"
            )
            raise ClusterError(message) from error

    def _count_dead_nodes(self) -> int:
        return sum(not node["Alive"] for node in self._ray.nodes())

    def _end(self, actor: Any) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):  # it may be gone already
            self._ray.kill(actor)
