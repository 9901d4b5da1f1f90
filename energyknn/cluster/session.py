"""The nodes of a Ray cluster: how many workers find room on them, and whether their object stores are large enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from energyknn._shared.ray_session import open_ray
from energyknn._shared.showing import in_one_line
from energyknn.errors import ClusterError, import_extra

_UNITS_IN_STORE = 2  # of each worker: one that it does, and one that waits
_STORE_MARGIN = 1.05  # headers, and gaps between objects


@dataclass(frozen=True)
class ClusterOptions:
    """Which cluster to use, and what each of its workers gets.

    Parameters
    ----------
    address : str or None, default=None
        ``host:port`` of a running cluster, or "auto" for the one on this machine. None stands for the Ray that this
        process is connected to, else the cluster that RAY_ADDRESS names, else a local Ray that is shut down afterwards.
    num_cpus : int or None, default=None
        Cores of a local Ray; None for all.
    cpus_per_worker : int, default=1
        Cores of each worker, which is one process with as many threads.
    gpus_per_worker : float, default=0
        GPUs that Ray gives to each worker.
    max_retries : int, default=2
        How often a unit that raises an error is tried again.
    """

    address: str | None = None
    num_cpus: int | None = None
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0
    max_retries: int = 2

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, least in (("num_cpus", 1), ("cpus_per_worker", 1), ("gpus_per_worker", 0), ("max_retries", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                message = f"{name} is {value!r}. It must be at least {least}."
                raise ValueError(message)


@dataclass(frozen=True)
class Node:
    """A node of the cluster: Ray's identifier, the workers that find room, and the bytes of its object store."""

    name: str
    n_workers: int
    object_store: int


@in_one_line
@dataclass(frozen=True)
class ClusterFacts:
    """The nodes that are alive, and the name of the driver's node, into whose object store data go."""

    nodes: tuple[Node, ...]
    home: str

    @property
    def n_workers(self) -> int:
        """Number of workers that find room."""
        return sum(node.n_workers for node in self.nodes)


@contextmanager
def open_cluster(options: ClusterOptions) -> Iterator[ClusterFacts]:
    """Connect to a cluster for the length of a `with` block, as `open_ray` does, and yield its nodes."""
    with open_ray(options.address, num_cpus=options.num_cpus, n_gpus=options.gpus_per_worker):
        yield look_around(options)


def look_around(options: ClusterOptions) -> ClusterFacts:
    """Count the nodes of the cluster that this process is connected to, and the workers that find room on them.

    Raises
    ------
    ClusterError
        If no node has room for a worker.
    """
    ray = import_extra("ray", extra="ray")
    alive = [node for node in ray.nodes() if node["Alive"]]
    cpus, gpus, stores = (
        [node["Resources"].get(name, 0) for node in alive] for name in ("CPU", "GPU", "object_store_memory")
    )
    rooms = [int(n_cpus) // options.cpus_per_worker for n_cpus in cpus]
    if options.gpus_per_worker:
        rooms = [min(room, int(n_gpus / options.gpus_per_worker)) for room, n_gpus in zip(rooms, gpus, strict=True)]
    if not any(rooms):
        message = (
            f"A worker needs {options.cpus_per_worker} CPUs and {options.gpus_per_worker:g} GPUs. The nodes of the "
            f"cluster have {', '.join(f'{n_cpus:g}' for n_cpus in cpus)} CPUs and "
            f"{', '.join(f'{n_gpus:g}' for n_gpus in gpus)} GPUs. "
            "Lower cpus_per_worker or gpus_per_worker, or add a node."
        )
        raise ClusterError(message)
    nodes = zip((node["NodeID"] for node in alive), rooms, map(int, stores), strict=True)
    return ClusterFacts(tuple(Node(*node) for node in nodes), ray.get_runtime_context().get_node_id())


def check_object_store(facts: ClusterFacts, *, n_shared: int, shared: int, unit: int) -> None:
    """Raise ClusterError where the object store of a node is too small for a job.

    The driver's node holds everything that is shared and the units of all workers. Any other node holds what its own
    workers need.

    Parameters
    ----------
    facts : ClusterFacts
        The nodes.
    n_shared, shared : int
        Number of the objects that workers share, and bytes of the largest.
    unit : int
        Bytes of a unit's arguments and result.
    """
    for node in facts.nodes:
        is_home = node.name == facts.home
        held = n_shared if is_home else min(n_shared, node.n_workers)
        units = _UNITS_IN_STORE * unit * (facts.n_workers if is_home else node.n_workers)
        needed = int(_STORE_MARGIN * (held * shared + units))
        if node.object_store < needed:
            message = (
                f"Node {node.name[:8]} has an object store of {node.object_store:,} bytes, and the job needs "
                f"{needed:,}. Start Ray with object_store_memory={needed} or more there, or take smaller blocks or, "
                "on nodes that hold no data of their own, more shards."
            )
            raise ClusterError(message)
