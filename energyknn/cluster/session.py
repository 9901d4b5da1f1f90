"""A Ray cluster for the length of a job: the user's, one at an address, or a quiet local one."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from types import ModuleType
from typing import Any, NamedTuple

from energyknn._shared.ray_session import count_local_gpus, name_address, quiet_ray, start_ray
from energyknn.errors import ClusterError, DeviceError, import_extra

__all__ = [
    "ClusterFacts",
    "ClusterOptions",
    "Node",
    "StoreNeed",
    "check_address",
    "check_object_store",
    "look_around",
    "open_cluster",
    "wait_for_room",
]

_SECONDS_TO_ANSWER = 4.0  # to connect, and as long again for the first words
_SECONDS_FOR_ROOM = 10.0  # Ray tells of freed CPUs with a delay
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # HTTP/2's first frame
_LARGEST_PORT = 65535
_UNITS_IN_STORE = 2  # of each worker: one that it does, and one that waits
_STORE_MARGIN = 1.05  # headers, and gaps between objects


@dataclass(frozen=True)
class ClusterOptions:
    """Where work is done, and by how many.

    Parameters
    ----------
    address : str or None, default=None
        ``host:port`` of a cluster that is running, or "auto" for the one on this machine. None stands for what
        RAY_ADDRESS names, else for a local one that is started and shut down again.
    num_cpus : int or None, default=None
        Cores of a local one; None for all.
    cpus_per_worker : int, default=1
        Cores of each worker, which is one process with as many threads.
    gpus_per_worker : float, default=0
        GPUs that Ray gives to each worker.
    max_retries : int, default=2
        How often a unit is tried again that failed by its own fault.
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
    """A node of the cluster.

    Parameters
    ----------
    name : str
        Ray's identifier.
    n_workers : int
        How many workers find room.
    object_store : int
        Bytes.
    """

    name: str
    n_workers: int
    object_store: int


@dataclass(frozen=True)
class ClusterFacts:
    """What a cluster has at the beginning of a job.

    Parameters
    ----------
    nodes : tuple of Node
        All that are alive.
    home : str
        The node of this process, into whose object store data go.
    """

    nodes: tuple[Node, ...]
    home: str

    @property
    def n_workers(self) -> int:
        """How many workers find room."""
        return sum(node.n_workers for node in self.nodes)


class StoreNeed(NamedTuple):
    """Bytes that a job puts into object stores.

    Attributes
    ----------
    n_shared : int
        Number of things that workers share: shards of the rows, or the rows.
    shared : int
        Bytes of the largest.
    unit : int
        Bytes that a unit takes and gives.
    """

    n_shared: int
    shared: int
    unit: int


@contextmanager
def open_cluster(options: ClusterOptions) -> Iterator[ClusterFacts]:
    """Have a Ray cluster for the length of a `with` block.

    Parameters
    ----------
    options : ClusterOptions
        Which, and the size of a worker.

    Yields
    ------
    ClusterFacts
        Its nodes. A Ray that this process was connected to before stays connected; a cluster at an address stays up.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ClusterError
        If nothing answers at the address within ten seconds, the cluster has another release of Ray or Python, this
        process is connected to another cluster, or no node has room for a worker.
    DeviceError
        If workers are to have GPUs and no node has as many.
    """
    ray = import_extra("ray", extra="ray")
    address = name_address(options.address)
    with ExitStack() as stack:
        stack.enter_context(quiet_ray())
        if ray.is_initialized():
            _check_same(ray, options.address)
        else:
            if address is None:
                _check_gpus(options.gpus_per_worker, most=count_local_gpus())
            else:
                check_address(address)
            stack.callback(ray.shutdown)
            _connect(ray, address, options)
        yield look_around(options)


def check_address(address: str) -> None:
    """Refuse an address at which no Ray answers.

    Parameters
    ----------
    address : str
        ``host:port``, or "auto", which Ray itself looks up on this machine.

    Raises
    ------
    ClusterError
        If it is no address, nothing answers within eight seconds, or what answers speaks another protocol.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit() or not 0 < int(port) <= _LARGEST_PORT:
        message = f"address is {address!r}. It must be host:port, as `ray start --head` prints it, or 'auto'."
        raise ClusterError(message)
    try:
        with socket.create_connection((host, int(port)), timeout=_SECONDS_TO_ANSWER) as connection:
            connection.sendall(_GREETING)
            answer = connection.recv(64)
    except OSError as error:
        message = f"No Ray answers at {address!r} ({error}). Check the address, and that the cluster is up."
        raise ClusterError(message) from error
    if not answer or answer.startswith(b"HTTP/"):
        message = f"What answers at {address!r} is no Ray. Give the address that `ray start --head` prints."
        raise ClusterError(message)


def check_object_store(facts: ClusterFacts, need: StoreNeed) -> None:
    """Refuse a job for which object stores are too small.

    Parameters
    ----------
    facts : ClusterFacts
        The nodes.
    need : StoreNeed
        What the job puts into them.

    Raises
    ------
    ClusterError
        If one has fewer bytes than are needed: at home all that is shared and the units of all workers, elsewhere
        what the node's own workers hold.
    """
    for node in facts.nodes:
        is_home = node.name == facts.home
        held = need.n_shared if is_home else min(need.n_shared, node.n_workers)
        units = _UNITS_IN_STORE * need.unit * (facts.n_workers if is_home else node.n_workers)
        needed = int(_STORE_MARGIN * (held * need.shared + units))
        if node.object_store < needed:
            message = (
                f"Node {node.name[:8]} has an object store of {node.object_store:,} bytes, and the job needs "
                f"{needed:,}. Start Ray with object_store_memory={needed} or more there, or take smaller blocks or, "
                "on nodes that hold no data of their own, more shards."
            )
            raise ClusterError(message)


def wait_for_room(options: ClusterOptions) -> None:
    """Wait until a worker finds room beside all that runs on the cluster.

    Parameters
    ----------
    options : ClusterOptions
        The size of a worker.

    Raises
    ------
    ClusterError
        If none does within ten seconds.
    """
    ray = import_extra("ray", extra="ray")
    deadline = monotonic() + _SECONDS_FOR_ROOM
    while (free := ray.available_resources().get("CPU", 0)) < options.cpus_per_worker:
        if monotonic() > deadline:
            message = (
                f"{free:g} CPUs of the cluster are free, and a worker needs {options.cpus_per_worker}. Others have "
                "taken them: leave the block of an open pool first, or wait for other jobs."
            )
            raise ClusterError(message)
        sleep(0.1)


def _check_same(ray: ModuleType, address: str | None) -> None:
    """Refuse an address other than that of the Ray which this process is connected to."""
    connected = ray.get_runtime_context().gcs_address
    if address not in (None, "auto", connected):
        message = (
            f"address is {address!r}, but this process is connected to the Ray at {connected!r}. "
            "Leave the address out, or call ray.shutdown() first."
        )
        raise ClusterError(message)


def _connect(ray: ModuleType, address: str | None, options: ClusterOptions) -> None:
    try:
        start_ray(ray, address=address, num_cpus=options.num_cpus)
    except (ConnectionError, RuntimeError) as error:  # RuntimeError: another release of Ray or Python
        where = "A local Ray cannot be started" if address is None else f"The Ray at {address!r} cannot be joined"
        message = f"{where}: {' '.join(str(error).split())} All nodes need the same releases of Ray and Python."
        raise ClusterError(message) from error


def look_around(options: ClusterOptions) -> ClusterFacts:
    """Count the nodes of the cluster that this process is connected to, and the workers that find room on them.

    Parameters
    ----------
    options : ClusterOptions
        The size of a worker.

    Returns
    -------
    ClusterFacts
        As the cluster is now.

    Raises
    ------
    ClusterError
        If no node has room for a worker.
    DeviceError
        If workers are to have GPUs and no node has as many.
    """
    ray = import_extra("ray", extra="ray")
    alive = [node for node in ray.nodes() if node["Alive"]]
    resources: list[Mapping[str, Any]] = [node["Resources"] for node in alive]
    cpus = [int(found.get("CPU", 0)) for found in resources]
    gpus = [float(found.get("GPU", 0)) for found in resources]
    if max(cpus, default=0) < options.cpus_per_worker:
        message = (
            f"The cluster has nodes with {', '.join(map(str, cpus))} CPUs, and a worker needs "
            f"{options.cpus_per_worker}. Add a node with CPUs, or lower cpus_per_worker."
        )
        raise ClusterError(message)
    _check_gpus(options.gpus_per_worker, most=max(gpus, default=0))
    nodes = []
    for node, found, n_cpus, n_gpus in zip(alive, resources, cpus, gpus, strict=True):
        room = n_cpus // options.cpus_per_worker
        if options.gpus_per_worker:
            room = min(room, int(n_gpus / options.gpus_per_worker))
        nodes.append(Node(node["NodeID"], room, int(found.get("object_store_memory", 0))))
    facts = ClusterFacts(tuple(nodes), ray.get_runtime_context().get_node_id())
    if facts.n_workers == 0:
        message = (
            f"No node has room for a worker of {options.cpus_per_worker} CPUs and {options.gpus_per_worker:g} GPUs. "
            "Lower cpus_per_worker or gpus_per_worker, or add a node."
        )
        raise ClusterError(message)
    return facts


def _check_gpus(wanted: float, *, most: float) -> None:
    if wanted and most < wanted:
        message = (
            f"gpus_per_worker is {wanted:g}, but no node has more than {most:g} GPUs. "
            "Lower it, or set it to 0 to compute on the CPU."
        )
        raise DeviceError(message)
