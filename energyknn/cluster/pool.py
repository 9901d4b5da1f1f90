"""Workers on a Ray cluster that stay for one job after another.

A worker is a Ray actor: one process with a few cores. A job has a task, which is sent to the workers, and units of
work. Units of a group share what a worker prepares once, such as the index of a shard. A worker takes units of its
group as long as there are any, and forgets everything when the job ends. A finished unit is written to the journal. The
units of a lost worker are done again by others.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, fields
from importlib import import_module
from itertools import count, product
from time import monotonic
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import energyknn
from energyknn._shared.showing import in_one_line
from energyknn.cluster.journal import Journal
from energyknn.cluster.session import ClusterFacts, ClusterOptions, look_around, open_cluster
from energyknn.errors import ClusterError, import_extra
from energyknn.neighbors import search_neighbors
from energyknn.neighbors.engines.torch import find_device_name

_SENT_AHEAD = 2  # units of a worker: one that it does, and one that waits for it
_SECONDS_ALONE = 300.0  # without any worker, until the job is given up: on a busy machine one starts in a minute
_SECONDS_TO_END = 5.0  # for workers without a unit to end by themselves, until they are killed
_OWN_VERSIONS = (f"energyknn {energyknn.__version__}", f"numpy {np.__version__}")
_LOSSES = 3  # of a unit with its worker, beyond those that a lost node explains


class Outcome(NamedTuple):
    """The result of a unit.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        The result.
    failures : mapping of hashable to Exception
        Errors that did not stop the unit. A unit with failures is not kept in a journal.
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
        Arguments of `Task.prepare`: references to Ray's object store, or small values.
    arguments : callable
        Returns the arguments of `Task.work`. It is called when the unit is sent.
    work : float
        Size of the unit, to show progress.
    """

    key: str
    group: Hashable
    data: tuple[Any, ...]
    arguments: Callable[[], tuple[Any, ...]]
    work: float = 1.0


class Task(NamedTuple):
    """The functions of a job, which workers call.

    Attributes
    ----------
    prepare : callable
        Called with a unit's data and `n_jobs`, once for each worker and group.
    work : callable
        Called with what was prepared, a unit's arguments and `n_jobs`; returns an `Outcome`.
    uses_gpu : bool
        Whether `work` computes on a GPU where PyTorch finds one.
    """

    prepare: Callable[..., Any]
    work: Callable[..., Outcome]
    uses_gpu: bool = False


@in_one_line
@dataclass
class RunReport:
    """How a job went.

    Parameters
    ----------
    n_units : int
        Units of the job.
    n_restored : int
        Units whose results were read from the journal.
    n_done : int
        Units that workers did.
    n_again : int
        How often a unit was done again, because it failed or its worker was lost.
    n_lost : int
        Workers that were lost.
    devices : dict of str to int
        Units done by each device: "cpu", or the name of a GPU.
    nodes : dict of str to int
        Units done by each node.
    """

    n_units: int = 0
    n_restored: int = 0
    n_done: int = 0
    n_again: int = 0
    n_lost: int = 0
    devices: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, int] = field(default_factory=dict)


class Worker:
    """The body of an actor. It holds one group of one job: which, the task, its device, and what was prepared."""

    _held: tuple[Any, ...] | None

    def __init__(self, n_jobs: int) -> None:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        self._n_jobs = n_jobs
        self._limits = threadpool_limits(n_jobs)
        self.forget()

    def introduce(self) -> tuple[str, tuple[str, str]]:
        """Return the name of the node, and the releases of energyknn and NumPy there."""
        ray = import_extra("ray", extra="ray")
        return ray.get_runtime_context().get_node_id(), _OWN_VERSIONS

    def warm_up(self) -> None:
        """Import what jobs need, and load or compile the kernels, before there is work for them."""
        import_module("energyknn.cluster.tuning")
        search_neighbors([[0.0], [1.0]], None, 1, engine="blocked", n_jobs=1)

    def run(
        self, job: int, task: Sequence[Any], group: Hashable, data: tuple[Any, ...], arguments: tuple[Any, ...]
    ) -> tuple[Outcome, str]:
        """Do a unit, and return its outcome and the device that computed it.

        Data are prepared where the last unit was of another group or another job.
        """
        if self._held is None or self._held[0] != (job, group):
            ray = import_extra("ray", extra="ray")
            self.forget()  # so that a worker never holds two groups
            sent = ray.get(task[0])
            values = [ray.get(value) if isinstance(value, ray.ObjectRef) else value for value in data]
            device = find_device_name() if sent.uses_gpu else "cpu"
            self._held = (job, group), sent, device, sent.prepare(*values, n_jobs=self._n_jobs)
        _, known, device, prepared = self._held
        return known.work(prepared, *arguments, n_jobs=self._n_jobs), device

    def forget(self) -> None:
        """Drop everything that belongs to a job."""
        self._held = None


@dataclass(eq=False)
class _Hired:
    """A worker that has introduced itself."""

    actor: Any
    node: str
    group: Hashable = None
    n_sent: int = 0


@contextmanager
def open_pool(
    *,
    address: str | None = None,
    num_cpus: int | None = None,
    cpus_per_worker: int = 1,
    gpus_per_worker: float = 0,
    max_retries: int = 2,
) -> Iterator[WorkerPool]:
    """Start workers on a Ray cluster for the length of a `with` block, for one search or tuning after another.

    Parameters
    ----------
    address : str or None, default=None
        ``host:port`` of a cluster. None stands for the Ray that this process is connected to, else the cluster that
        RAY_ADDRESS names, else a quiet local Ray that is shut down afterwards.
    num_cpus : int or None, default=None
        Cores of a local Ray; None for all.
    cpus_per_worker : int, default=1
        Cores of each worker. As many workers start as find room.
    gpus_per_worker : float, default=0
        GPUs that Ray gives to each worker. With GPUs, choose the engine "torch".
    max_retries : int, default=2
        How often a unit of work that raises an error is tried again.

    Yields
    ------
    WorkerPool
        For the argument `pool` of the functions that run on Ray. The workers start at once and load the compiled
        kernels; the block does not wait for them. They hold their CPUs until the block is left.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ClusterError
        If the cluster cannot be used, or no node has room for a worker.
    DeviceError
        If workers are to have GPUs and no node has them.

    See Also
    --------
    search_neighbors_on_ray, score_candidates_on_ray, search_choices
    """
    options = ClusterOptions(address, num_cpus, cpus_per_worker, gpus_per_worker, max_retries)
    with open_cluster(options) as facts, WorkerPool(facts, options, warms_up=True) as pool:
        pool.hire(facts.n_workers)
        yield pool


@contextmanager
def use_pool(pool: WorkerPool | None, options: ClusterOptions) -> Iterator[WorkerPool]:
    """Give the pool of the caller, or one of its own for the length of a `with` block.

    Raises ValueError if options are given together with a pool, which has its own.
    """
    if pool is None:
        with open_cluster(options) as facts, WorkerPool(facts, options) as own:
            yield own
        return
    given = [item.name for item in fields(options) if getattr(options, item.name) != item.default]
    if given:
        message = f"{', '.join(given)} is given together with a pool, which has its own. Give it to open_pool."
        raise ValueError(message)
    yield pool


class WorkerPool(AbstractContextManager["WorkerPool"]):
    """Workers that do one job after another; a context manager that ends them.

    `facts` are the nodes when the last job began. With `warms_up`, workers load the compiled kernels when they start.
    """

    def __init__(self, facts: ClusterFacts, options: ClusterOptions, *, warms_up: bool = False) -> None:
        self.facts, self.options = facts, options
        self._warms_up = warms_up
        self._ray: ModuleType = import_extra("ray", extra="ray")
        self.joining: dict[Any, Any] = {}
        self.hired: list[_Hired] = []
        self._numbers = count()
        self._refusal = ""  # of a job, as long as there is a reason
        self._n_unfit = 0

    def __exit__(self, *_: object) -> None:
        """End the workers: those without a unit by themselves, since Ray may report a killed one as a fault."""
        self._refusal = "The pool is closed. Use it within the block of its open_pool."
        with suppress(self._ray.exceptions.RayError, ValueError):  # the cluster may be gone already
            leaving = [worker.actor.__ray_terminate__.remote() for worker in self.hired if not worker.n_sent]
            if leaving:
                self._ray.wait(leaving, num_returns=len(leaving), timeout=_SECONDS_TO_END)
        for actor in [*self.joining.values(), *(worker.actor for worker in self.hired)]:
            self._end(actor)
        self.joining, self.hired = {}, []

    @contextmanager
    def open_job(self, task: Task, journal: Journal | None = None) -> Iterator[PoolJob]:
        """Begin a job, which ends with the `with` block.

        Raises ClusterError if the pool is closed or does another job, or no node has room for a worker.
        """
        if self._refusal:
            raise ClusterError(self._refusal)
        self.facts = look_around(self.options)
        self._refusal = "The pool does another job. Wait for its end, or open a second pool."
        try:
            yield PoolJob(self, next(self._numbers), task, journal)
        finally:
            self._refusal = ""
            for worker in list(self.hired):
                if worker.n_sent:  # it is still at work for this job
                    self.dismiss(worker)
                else:
                    worker.group = None
                    worker.actor.forget.remote()

    def hire(self, n_wanted: int) -> None:
        """Start workers until there are `n_wanted`; Ray places them on the nodes."""
        for _ in range(n_wanted - len(self.hired) - len(self.joining)):
            options = {"num_cpus": self.options.cpus_per_worker, "num_gpus": self.options.gpus_per_worker}
            actor = self._ray.remote(**options)(Worker).remote(self.options.cpus_per_worker)
            self.joining[actor.introduce.remote()] = actor
            if self._warms_up:
                actor.warm_up.remote()

    def welcome(self, reference: Any) -> None:
        """Take in a worker that has started.

        Raises ClusterError if too many workers failed to start, or a node has other releases of energyknn or NumPy.
        """
        actor = self.joining.pop(reference)
        try:
            node, versions = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._n_unfit += 1
            self._end(actor)
            if self._n_unfit > _LOSSES + self.count_dead_nodes():
                message = f"Workers do not start: {error}"
                raise ClusterError(message) from error
            return
        if versions != _OWN_VERSIONS:
            self._end(actor)
            message = (
                f"Node {node[:8]} has {' and '.join(versions)}, and this process has "
                f"{' and '.join(_OWN_VERSIONS)}. Install the same releases on all nodes."
            )
            raise ClusterError(message)
        self.hired.append(_Hired(actor, node))

    def dismiss(self, worker: _Hired) -> None:
        """End a worker; another takes its place when there is work."""
        self.hired.remove(worker)
        self._end(worker.actor)

    def count_dead_nodes(self) -> int:
        """Count the nodes that the cluster has lost."""
        return sum(not node["Alive"] for node in self._ray.nodes())

    def _end(self, actor: Any) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):  # it may be gone already
            self._ray.kill(actor)


class PoolJob:
    """A job of a pool, made by `WorkerPool.open_job`. Workers tell it from other jobs by its number."""

    def __init__(self, pool: WorkerPool, number: int, task: Task, journal: Journal | None) -> None:
        self._pool, self._number, self._journal = pool, number, journal
        self._ray: ModuleType = import_extra("ray", extra="ray")
        self.facts, self.report = pool.facts, RunReport()
        self._task = (self.put(task),)
        self._sent: dict[Any, tuple[Unit, _Hired]] = {}
        self._waiting: dict[Hashable, deque[Unit]] = {}
        self._failures: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._last_manned = 0.0  # when there was a worker, or when it began to wait for one

    def put(self, value: Any) -> Any:
        """Put a value into the object store, once for all workers; return the reference."""
        return self._ray.put(value)

    def run(self, units: Sequence[Unit], is_over: Callable[[], bool] = lambda: False) -> Iterator[tuple[Unit, Outcome]]:
        """Do units, or read their results from the journal.

        Parameters
        ----------
        units : sequence of Unit
            Each with another key.
        is_over : callable, optional
            Asked at least once a second. Where it returns True, the job ends without the units that are left.

        Yields
        ------
        Unit, Outcome
            As they are finished, in any order.

        Raises
        ------
        Exception
            What a unit itself raised each time that it was tried; a note names the unit.
        ClusterError
            If there is no worker for five minutes, a unit ends its worker too often, or nodes have other releases of
            energyknn or NumPy.
        JournalError
            If the journal cannot be written.
        """
        self.report.n_units += len(units)
        for unit in units:
            restored = None if self._journal is None else self._journal.read(unit.key)
            if restored is None:
                self._waiting.setdefault(unit.group, deque()).append(unit)
            else:
                self.report.n_restored += 1
                yield unit, Outcome(restored)
        self._last_manned = monotonic()
        while (self._waiting or self._sent) and not is_over():
            n_units = len(self._sent) + sum(map(len, self._waiting.values()))
            self._pool.hire(min(self.facts.n_workers, n_units))
            self._send()
            for reference in self._wait():
                if reference in self._pool.joining:
                    self._pool.welcome(reference)
                    continue
                unit, outcome = self._receive(reference)
                if outcome is not None:
                    if self._journal is not None and not outcome.failures:
                        self._journal.write(unit.key, outcome.arrays)
                    yield unit, outcome

    def _send(self) -> None:
        """Send each worker its next units, the least busy worker first."""
        for depth, worker in product(range(_SENT_AHEAD), self._pool.hired):
            if worker.n_sent == depth and self._waiting:
                unit = self._choose(worker)
                reference = worker.actor.run.remote(self._number, self._task, unit.group, unit.data, unit.arguments())
                worker.group, worker.n_sent = unit.group, worker.n_sent + 1
                self._sent[reference] = unit, worker

    def _choose(self, worker: _Hired) -> Unit:
        """Take a unit of the worker's group; where none is left, of the group with the most units per worker."""
        group = worker.group
        if group not in self._waiting:
            busy = Counter(other.group for other in self._pool.hired)
            group = max(self._waiting, key=lambda name: len(self._waiting[name]) / (1 + busy[name]))
        unit = self._waiting[group].popleft()
        if not self._waiting[group]:
            del self._waiting[group]
        return unit

    def _wait(self) -> list[Any]:
        """Wait for results for a second at most; give up where there has been no worker for too long."""
        if self._pool.hired:
            self._last_manned = monotonic()
        elif monotonic() - self._last_manned > _SECONDS_ALONE:
            message = (
                f"There is no worker, and none has started for {_SECONDS_ALONE:.0f} s: the CPUs or GPUs of the cluster "
                "are taken or gone. Leave the block of an open pool, wait for other jobs or add a node, and run again. "
                "A journal keeps what is finished."
            )
            raise ClusterError(message)
        ready: list[Any] = self._ray.wait([*self._sent, *self._pool.joining], num_returns=1, timeout=1.0)[0]
        return ready

    def _receive(self, reference: Any) -> tuple[Unit, Outcome | None]:
        """Return a unit and its outcome, which is None where the unit has to be done again."""
        exceptions = self._ray.exceptions
        unit, worker = self._sent.pop(reference)
        worker.n_sent -= 1
        try:
            outcome, device = self._ray.get(reference)
        except exceptions.RayTaskError as error:
            self._do_again_after_failure(unit, error)
        except (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.WorkerCrashedError) as error:
            self._do_again_after_loss(unit, worker, error)
        else:
            self.report.n_done += 1
            for counts, name in ((self.report.devices, device), (self.report.nodes, worker.node)):
                counts[name] = counts.get(name, 0) + 1
            return unit, outcome
        self.report.n_again += 1
        self._waiting.setdefault(unit.group, deque()).appendleft(unit)
        return unit, None

    def _do_again_after_failure(self, unit: Unit, error: Any) -> None:
        """Count an error that a unit raised, and raise it here once the unit has been tried often enough."""
        self._failures[unit.key] += 1
        if self._failures[unit.key] > self._pool.options.max_retries:
            cause = error.cause if isinstance(error.cause, Exception) else RuntimeError(str(error))
            cause.add_note(f"Raised by the unit {unit.key!r} on a Ray worker, tried {self._failures[unit.key]} times.")
            raise cause from None

    def _do_again_after_loss(self, unit: Unit, worker: _Hired, error: Exception) -> None:
        """Drop a worker if it or its result was lost, and give up on a unit that keeps ending its workers."""
        if worker in self._pool.hired:
            self.report.n_lost += 1
            self._pool.dismiss(worker)
        self._losses[unit.key] += 1
        if self._losses[unit.key] > _LOSSES and self._losses[unit.key] > _LOSSES + self._pool.count_dead_nodes():
            message = (
                f"The unit {unit.key!r} was lost with its worker {self._losses[unit.key]} times. Does it need more "
                f"memory than a worker has? Take smaller blocks or more shards. The last loss: {error}"
            )
            raise ClusterError(message) from error
