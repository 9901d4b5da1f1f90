"""A quiet Ray for the length of a search, its rule for GPUs, and a folder that does not stay.

This module loads Ray only when a session starts.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

import numpy as np

from energyknn.errors import DeviceError, import_extra

__all__ = ["count_local_gpus", "name_address", "quiet_ray", "ray_session", "results_folder", "start_ray"]

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
_SET_BY_RAY = ("RAY_AUTH_MODE", "PYTHONBREAKPOINT")  # by `ray.init` of Ray 2.60, which leaves them set


@contextmanager
def ray_session(*, num_cpus: int | None = None, use_gpu: bool = False, extra: str = "ray") -> Iterator[None]:
    """Have a quiet Ray for the length of a `with` block.

    Parameters
    ----------
    num_cpus : int or None, default=None
        Cores of a Ray that is started here; None for all.
    use_gpu : bool, default=False
        Whether a GPU must be there.
    extra : str, default="ray"
        The extra that an ImportError names.

    Yields
    ------
    None
        While Ray is running. A Ray that was running before is left running.

    Raises
    ------
    ImportError
        If Ray is not installed.
    DeviceError
        If a GPU must be there and is not. Where no Ray is running, that is found before one is started.

    Warns
    -----
    UserWarning
        If `use_gpu`: the GPU is only reserved.

    Notes
    -----
    Ray's output, its usage statistics and its own loggers are switched off through environment variables, which
    are put back afterwards. A variable that is already set keeps its value.
    """
    ray = import_extra("ray", extra=extra)
    started = not ray.is_initialized()
    address = name_address()
    with ExitStack() as stack:
        stack.enter_context(quiet_ray())
        if use_gpu and started and address is None:
            _check_gpu(count_local_gpus())
        if started:
            stack.callback(ray.shutdown)
            start_ray(ray, address=address, num_cpus=num_cpus)
        if use_gpu:
            _check_gpu(ray.cluster_resources().get("GPU", 0))
            _warn_of_gpu()
        yield


def name_address(address: str | None = None) -> str | None:
    """Return the address given, else the one that RAY_ADDRESS names, else None."""
    return address or os.environ.get("RAY_ADDRESS") or None


def start_ray(ray: ModuleType, *, address: str | None, num_cpus: int | None) -> None:
    """Connect to a cluster, or start a Ray of our own that never joins another.

    Parameters
    ----------
    ray : module
        Ray, not initialised.
    address : str or None
        Of the cluster; None starts a local one.
    num_cpus : int or None
        Cores of a local one; None for all.
    """
    if address is not None:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    else:
        ray.init(
            address="local",
            num_cpus=num_cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )


@contextmanager
def quiet_ray() -> Iterator[None]:
    """Keep Ray quiet for the length of a `with` block; a setting of the user stays as it is."""
    with _quiet_environment(), _quiet_loggers():
        yield


@contextmanager
def _quiet_environment() -> Iterator[None]:
    """Switch off what Ray prints, reports and writes by itself, where the user has not decided."""
    before = {name: os.environ.get(name) for name in (*_QUIET, *_SET_BY_RAY)}
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Keep Tune from telling of files that do not stay, and put back the levels that a start changes."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune")]
    levels = [logger.level for logger in loggers]
    loggers[1].setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def results_folder(chosen: str | None) -> Iterator[str]:
    """Give the chosen folder, or one that is removed afterwards.

    Parameters
    ----------
    chosen : str or None
        A folder of the user's, which stays; None for a temporary one.

    Yields
    ------
    str
        Its absolute path.
    """
    if chosen is not None:
        yield os.path.abspath(os.path.expanduser(chosen))  # noqa: PTH100, PTH111 - Ray wants a string
        return
    with tempfile.TemporaryDirectory(prefix="energyknn-ray-", ignore_cleanup_errors=True) as name:
        yield name


def count_local_gpus() -> float:
    """Count the GPUs that a Ray started here would offer; infinity where this Ray cannot say so beforehand."""
    try:
        accelerators = import_extra("ray._private.accelerators", extra="ray")
        manager = accelerators.get_accelerator_manager_for_resource("GPU")
        visible = manager.get_current_process_visible_accelerator_ids()
        count = manager.get_current_node_num_accelerators()
    except (ImportError, AttributeError):  # Ray's own name for it: the check after the start still holds
        return np.inf
    return float(count if visible is None else min(count, len(visible)))


def _check_gpu(n_gpus: float) -> None:
    """Refuse a search whose trials would wait for a GPU without end."""
    if n_gpus < 1:
        message = (
            f"use_gpu=True, but Ray sees {n_gpus:g} GPUs. Every trial reserves one, so none would ever start. "
            "Set use_gpu=False: the computation runs on the CPU in any case."
        )
        raise DeviceError(message)


def _warn_of_gpu() -> None:
    warnings.warn(
        "use_gpu=True only reserves a GPU for each trial; scikit-learn computes on the CPU all the same.",
        UserWarning,
        stacklevel=2,
    )
