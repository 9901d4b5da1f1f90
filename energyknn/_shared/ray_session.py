"""A Ray for the length of a `with` block: the user's, one at an address, or a quiet local one.

Importing this module does not load Ray.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

import numpy as np

from energyknn.errors import ClusterError, DeviceError, import_extra

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
_SET_BY_RAY = ("RAY_AUTH_MODE", "PYTHONBREAKPOINT")  # `ray.init` of Ray 2.60 sets them and leaves them set
_SECONDS_TO_ANSWER = 4.0  # to connect, and as long again for the first bytes
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # HTTP/2's first frame
_LARGEST_PORT = 65535


@contextmanager
def open_ray(
    address: str | None = None, *, num_cpus: int | None = None, n_gpus: float = 0, extra: str = "ray"
) -> Iterator[ModuleType]:
    """Connect to a Ray, or start one, for the length of a `with` block.

    Parameters
    ----------
    address : str or None, default=None
        ``host:port`` of a cluster that is running, or "auto" for the one on this machine. None stands for the Ray that
        this process is connected to, else the cluster that RAY_ADDRESS names, else a local Ray that is started here.
    num_cpus : int or None, default=None
        Cores of a local Ray; None for all.
    n_gpus : float, default=0
        GPUs that one node must have.
    extra : str, default="ray"
        The extra that an ImportError names.

    Yields
    ------
    module
        Ray, connected. A connection that was there before stays; one that was made here is shut down.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ClusterError
        If nothing answers at the address within eight seconds, the cluster has another release of Ray or Python, or
        this process is connected to another cluster.
    DeviceError
        If no node has the GPUs. A local Ray is not started then.

    Notes
    -----
    Environment variables switch off Ray's output, its usage statistics and its own loggers. They are put back
    afterwards. A variable that the user has set keeps its value.
    """
    ray = import_extra("ray", extra=extra)
    known = name_address(address)
    with ExitStack() as stack:
        stack.enter_context(quiet_ray())
        if ray.is_initialized():
            _check_same(ray, address)
        else:
            if known is None:
                check_gpus(n_gpus, most=count_local_gpus())
            else:
                check_address(known)
            stack.callback(ray.shutdown)
            try:
                start_ray(ray, address=known, num_cpus=num_cpus)
            except (ConnectionError, RuntimeError) as error:  # RuntimeError: another release of Ray or Python
                where = "A local Ray cannot be started" if known is None else f"The Ray at {known!r} cannot be joined"
                message = f"{where}: {' '.join(str(error).split())} All nodes need the same releases of Ray and Python."
                raise ClusterError(message) from error
        if n_gpus:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            check_gpus(n_gpus, most=max((node.get("GPU", 0) for node in nodes), default=0))
        yield ray


def name_address(address: str | None = None) -> str | None:
    """Return the address given, else the one that RAY_ADDRESS names, else None."""
    return address or os.environ.get("RAY_ADDRESS") or None


def check_address(address: str) -> None:
    """Refuse an address at which no Ray answers.

    Parameters
    ----------
    address : str
        ``host:port``, or "auto", which Ray itself looks up on this machine.

    Raises
    ------
    ClusterError
        If it is not an address, nothing answers within eight seconds, or what answers speaks another protocol.
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
        message = f"The server at {address!r} is not a Ray. Give the address that `ray start --head` prints."
        raise ClusterError(message)


def _check_same(ray: ModuleType, address: str | None) -> None:
    """Refuse an address other than that of the Ray which this process is connected to."""
    if address in (None, "auto"):
        return
    connected = ray.get_runtime_context().gcs_address
    if address != connected:
        message = (
            f"address is {address!r}, but this process is connected to the Ray at {connected!r}. "
            "Leave the address out, or call ray.shutdown() first."
        )
        raise ClusterError(message)


def start_ray(ray: ModuleType, *, address: str | None, num_cpus: int | None) -> None:
    """Connect to the cluster at an address; without one, start a local Ray that never joins another."""
    local = {"address": "local", "num_cpus": num_cpus, "include_dashboard": False}
    options = local if address is None else {"address": address}
    ray.init(**options, log_to_driver=False, logging_level="error")


@contextmanager
def quiet_ray() -> Iterator[None]:
    """Keep Ray quiet for the length of a `with` block; a setting of the user stays as it is."""
    before = {name: os.environ.get(name) for name in (*_QUIET, *_SET_BY_RAY)}
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune")]
    levels = [logger.level for logger in loggers]
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    loggers[1].setLevel(logging.WARNING)  # Tune tells of files that do not stay
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, old in before.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old


def count_local_gpus() -> float:
    """Count the GPUs that a local Ray would offer; infinity where this Ray cannot say so before it starts."""
    try:
        accelerators = import_extra("ray._private.accelerators", extra="ray")
        manager = accelerators.get_accelerator_manager_for_resource("GPU")
        visible = manager.get_current_process_visible_accelerator_ids()
        count = manager.get_current_node_num_accelerators()
    except (ImportError, AttributeError):  # a private module of Ray: the GPUs are counted after the start as well
        return np.inf
    return float(count if visible is None else min(count, len(visible)))


def check_gpus(wanted: float, *, most: float) -> None:
    """Refuse work that would wait for a GPU without end."""
    if wanted and most < wanted:
        message = (
            f"use_gpu or gpus_per_worker asks for {wanted:g} GPUs, but Ray sees {most:g} GPUs on any one node, so the "
            "work would never start. Set it to False or 0 to compute on the CPU."
        )
        raise DeviceError(message)
